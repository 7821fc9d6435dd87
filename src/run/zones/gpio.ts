/**
 * Watches a GPIO line for rising edges with `gpiomon` of libgpiod, versions 1 and 2. It is started again when it ends, with
 * growing pauses; why it cannot run is told once for each reason.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { messageOf } from '../../errors.js'

export interface GpioOptions {
  /** Such as `gpiochip0`. */
  readonly chip: string
  readonly line: number
  readonly onEdge: () => void
  /** Hears in one sentence why the line is not watched. */
  readonly onFault: (sentence: string) => void
  /** The program; default `gpiomon`. */
  readonly program?: string | undefined
}

const firstPauseMs = 1000
const longestPauseMs = 60_000

/** Arguments of `gpiomon` by its major version. */
function argumentsOf(version: number, chip: string, line: number): readonly string[] {
  return version >= 2
    ? ['--chip', chip, '--edges', 'rising', '--format', 'edge', String(line)]
    : ['--rising-edge', '--line-buffered', '--format=edge', chip, String(line)]
}

/** Starts to watch; returns how to stop. */
export function watchGpio({ chip, line, onEdge, onFault, program = 'gpiomon' }: GpioOptions): () => void {
  let child: ChildProcess | null = null
  let timer: NodeJS.Timeout | null = null
  let isStopped = false
  let pauseMs = firstPauseMs
  let told: string | null = null

  function again(reason: string): void {
    if (isStopped) return
    if (reason !== told) onFault(`the line ${chip}/${line} is not watched: ${reason}`)
    told = reason
    timer = setTimeout(() => void start(), pauseMs)
    timer.unref()
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }

  async function start(): Promise<void> {
    const version = await versionOf(program)
    if (isStopped) return
    if (typeof version === 'string') return again(version)
    const running = spawn(program, argumentsOf(version, chip, line), { stdio: ['ignore', 'pipe', 'pipe'] })
    child = running
    let complaint = ''
    running.stderr.on('data', (data: Buffer) => {
      complaint = (complaint + data.toString()).slice(-500)
    })
    createInterface({ input: running.stdout }).on('line', () => {
      pauseMs = firstPauseMs
      told = null
      onEdge()
    })
    running.once('error', (error) => again(messageOf(error)))
    running.once('close', (status) => {
      if (status !== null || !isStopped) again(complaint.trim() || `${program} ended with status ${status}`)
    })
  }

  void start()
  return () => {
    isStopped = true
    if (timer) clearTimeout(timer)
    child?.kill()
  }
}

/** The major version of gpiomon, or why it cannot be used. */
async function versionOf(program: string): Promise<number | string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'])
    return Number(/v(\d+)\./.exec(stdout)?.[1] ?? 1)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? `${program} is not installed; it is in the package gpiod`
      : messageOf(error).split('\n')[0]!
  }
}
