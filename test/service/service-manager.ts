/** Takes the place of systemd: a real datagram socket, read by another program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { launch, type Running } from '../process.js'
import { projectRoot } from '../shared.js'

export interface Manager {
  readonly socket: string
  /** What it was told so far, in order. */
  told(): string[]
  readonly running: Running
}

let count = 0

export async function startManager(kind: 'path' | 'abstract' = 'path'): Promise<Manager> {
  const socket =
    kind === 'path'
      ? join(mkdtempSync(join(tmpdir(), 'gapcam-notify-')), 'notify')
      : `@gapcam-test-${process.pid}-${count++}`
  const running = launch('python3', [join(projectRoot, 'test/service/notify-socket.py'), socket])
  if (kind === 'path') void running.ended.finally(() => rmSync(dirname(socket), { recursive: true, force: true }))
  await running.until(/listening/)
  return {
    socket,
    running,
    told: () =>
      running
        .stdout()
        .split('\n')
        .slice(1)
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as string),
  }
}

/** Stops one thread of a process: the main thread, or the one with this name. Resolves with a function that continues it. */
export async function holdThread(pid: number, name: 'main' | 'gapcam session'): Promise<Running> {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const named = tasks.filter((task) => readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim() === name)
  // Threads of a pool inherit the name of the thread that created them, which comes first.
  const task = name === 'main' ? String(pid) : named[0]
  if (task === undefined) throw new Error(`process ${pid} has no thread ${name}`)
  const holder = launch('python3', [join(projectRoot, 'test/service/hold-thread.py'), task])
  await holder.until(/held/)
  return holder
}
