/** Runs programs under test as child processes: their output and exit status. `endAll` ends those that a failed test leaves. */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectRoot } from './shared.js'

export interface Running {
  readonly pid: number
  stdout(): string
  stderr(): string
  /** Resolves with the first match in what was printed on both streams so far or from now on; rejects when the program ends before. */
  until(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>
  kill(signal: NodeJS.Signals): void
  /** Writes to its stdin, where that is a pipe. */
  type(text: string): void
  /** The exit status, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>
}

const running = new Set<ChildProcess>()

/** The command line of this checkout, as installed by `npm run build`. */
export const cli = `${projectRoot}dist/cli/main.js`

export function launch(command: string, args: readonly string[], options: SpawnOptions = {}): Running {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  running.add(child)
  let [stdout, stderr] = ['', '']
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const look of [...waiting]) look()
  }
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk
    wake()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk
    wake()
  })
  let isOver = false
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      running.delete(child)
      isOver = true
      resolve(status ?? signal!)
      wake()
    })
  })
  const until = (pattern: RegExp, timeoutMs = 30_000): Promise<RegExpMatchArray> =>
    new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        clearTimeout(timer)
        waiting.delete(look)
        done()
      }
      const fail = (why: string): void =>
        settle(() =>
          reject(new Error(`${command} ${why} before it printed ${pattern}\nstdout:\n${stdout}\nstderr:\n${stderr}`)),
        )
      const look = (): void => {
        const match = pattern.exec(stdout) ?? pattern.exec(stderr)
        if (match) settle(() => resolve(match))
        else if (isOver) fail('ended')
      }
      const timer = setTimeout(() => fail(`took more than ${timeoutMs / 1000} s`), timeoutMs)
      waiting.add(look)
      look()
    })
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    until,
    kill: (signal) => void child.kill(signal),
    type: (text) => void child.stdin?.write(text),
    ended,
  }
}

/** Runs `gapcam` with these arguments, in this environment without GAPCAM_* variables, with a new state directory and `env`. */
export function gapcam(args: readonly string[], { env = {}, ...options }: SpawnOptions = {}): Running {
  const stateDir = mkdtempSync(join(tmpdir(), 'gapcam-state-'))
  const running = launch(process.execPath, [cli, ...args], {
    env: { ...cleanEnvironment(), GAPCAM_STATE_DIR: stateDir, ...env },
    ...options,
  })
  // Removed when the program ends, since the test runner may be ended before it could do so.
  void running.ended.finally(() => rmSync(stateDir, { recursive: true, force: true }))
  return running
}

export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^GAPCAM_|^npm_|^VITEST|^NODE_ENV$/i.test(name)),
  )
}

/** Objects of an NDJSON stream. */
export function jsonLines<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

/** Ends the programs that a failed test has left; for afterEach and afterAll. */
export async function endAll(): Promise<void> {
  await Promise.all(
    [...running].map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once('close', () => resolve())
          child.kill('SIGKILL')
        }),
    ),
  )
}
