/** A real broker and a client of its makers, both children of the test that `cleanUp` ends. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Whether mosquitto and mosquitto_sub are installed. Where CI=true they must be. */
export const hasMosquitto = ((): boolean => {
  try {
    execFileSync('mosquitto_sub', ['--help'], { stdio: 'ignore', env: searchPath() })
  } catch (error) {
    // It answers --help with status 1; only a missing program is missing.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && process.env['CI'] !== 'true') return false
  }
  return true
})()

/** Debian keeps the broker in /usr/sbin, which is not on every user's path. */
function searchPath(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` }
}

/** As root mosquitto becomes another user, which may not read the test's files. */
export const asThisUser = process.getuid?.() === 0 ? ['user root'] : []

export interface Mosquitto {
  readonly port: number
  readonly url: string
  /** SIGKILL: nothing is saved, no DISCONNECT. */
  kill(): Promise<void>
  /** The same port and configuration again, without any data. */
  restart(): Promise<void>
}

/** A folder that `cleanUp` removes. */
const folders: string[] = []
const children = new Set<ChildProcess>()

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-mqtt-'))
  folders.push(folder)
  return folder
}

/** Ends every child of this file and removes its folders; for afterEach. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...children].map(end))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

async function end(child: ChildProcess): Promise<void> {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

export function startChild(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: searchPath() })
  children.add(child)
  return child
}

export async function startMosquitto(
  settings: readonly string[] = ['allow_anonymous true'],
  port?: number,
): Promise<Mosquitto> {
  const chosen = port ?? (await freePort())
  const file = join(temporaryFolder(), 'mosquitto.conf')
  writeFileSync(file, [`listener ${chosen} 127.0.0.1`, 'persistence false', ...settings, ''].join('\n'))
  let child: ChildProcess
  const run = async (): Promise<void> => {
    child = startChild('mosquitto', ['-c', file])
    child.stderr?.resume()
    child.stdout?.resume()
    await until(() => answers(chosen), 'mosquitto to listen')
  }
  await run()
  return { port: chosen, url: `mqtt://127.0.0.1:${chosen}`, kill: () => end(child), restart: run }
}

export interface Received {
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly retain: number
}

/** mosquitto_sub on these topics; `messages` grows as they come. */
export async function subscribe(
  port: number,
  topic: string,
  more: readonly string[] = [],
): Promise<{ readonly messages: Received[]; stop(): Promise<void> }> {
  const marker = `subscribed/${Math.random().toString(36).slice(2)}`
  const child = startChild('mosquitto_sub', [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-q',
    '1',
    '-F',
    '%j',
    '-t',
    topic,
    '-t',
    marker,
    ...more,
  ])
  const messages: Received[] = []
  let isReady = false
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const message = JSON.parse(line) as Received
    if (message.topic === marker) isReady = true
    else messages.push(message)
  })
  await until(async () => {
    // Not every version says when its subscription exists, so a test message must arrive first.
    if (!isReady)
      await runToEnd('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-t', marker, '-m', 'x', ...more])
    return isReady
  }, 'the subscription to stand')
  return { messages, stop: () => end(child) }
}

/** The retained message of one topic, or the first one there within half a minute. */
export async function retained(port: number, topic: string, more: readonly string[] = []): Promise<string> {
  return (
    await runToEnd('mosquitto_sub', [
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      '-C',
      '1',
      '-W',
      '30',
      '-t',
      topic,
      ...more,
    ])
  ).trimEnd()
}

async function runToEnd(command: string, args: readonly string[]): Promise<string> {
  const child = startChild(command, args)
  let output = ''
  child.stdout?.on('data', (data: Buffer) => {
    output += data.toString()
  })
  child.stderr?.resume()
  await once(child, 'close')
  children.delete(child)
  return output
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('connect', () => socket.destroy())
    socket.once('error', () => resolve(false))
  })
}

/** Waits for a condition. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 45_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
