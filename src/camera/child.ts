/**
 * Cameras that are another program: a child writes raw frames of one size to a pipe. A live source is read all the
 * time and only its newest frame is kept; a file is read no faster than its frames are taken.
 *
 * A child never outlives us: it is ended on close, and where setpriv is there the kernel kills it when we are killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import { redact } from '../secrets.js'
import { frameBytes, type Frame, type PixelFormat } from '../frame.js'
import type { Camera, CameraDescription } from './camera.js'

/** What to start, and what it will write. */
export interface ChildSource {
  readonly uri: string
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Written to its stdin, which then ends; what every user may not read in its command line. */
  readonly input?: string
  readonly width: number
  readonly height: number
  readonly format: PixelFormat
  readonly stride: number
  readonly fps?: number
  /** Keeps only the newest frame; else every frame waits to be taken. */
  readonly isLive: boolean
}

/** Resolves what to start when the camera is opened, since that may need to ask the source first. */
export type ChildPlan = (signal: AbortSignal) => Promise<ChildSource>

const buffersInRing = 4
const endMs = 1000
const setpriv = '/usr/bin/setpriv'

/** A camera over a child process. */
export function openChild(plan: ChildPlan): Camera {
  return new ChildCamera(plan)
}

class ChildCamera implements Camera {
  dropped = 0
  readonly #plan: ChildPlan
  #source: ChildSource | null = null
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  readonly #free: Buffer[] = []
  #filling: Buffer | null = null
  #filled = 0
  #newest: { buffer: Buffer; seq: number; capturedNs: bigint } | null = null
  #seq = 0
  #wake: (() => void) | null = null
  #stderr = ''
  #end: 'finished' | 'failed' | 'closed' | null = null

  constructor(plan: ChildPlan) {
    this.#plan = plan
  }

  async open(signal: AbortSignal): Promise<CameraDescription> {
    const source = await this.#plan(signal)
    if (this.#end === 'closed') throw new GapcamError('CAMERA_LOST', `camera ${source.uri} is closed`)
    this.#source = source
    const bytes = frameBytes(source.format, source.stride, source.height)
    for (let i = 0; i < buffersInRing; i++) this.#free.push(Buffer.allocUnsafeSlow(bytes))
    this.#start(source)
    const { uri, name, width, height, format, fps } = source
    return { uri, name, width, height, format, ...(fps ? { fps } : {}) }
  }

  #start({ command, args, input }: ChildSource): void {
    const child = spawn(...endingWithUs(command, args), {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    // A child that ends before it has read says so itself.
    child.stdin?.on('error', () => undefined).end(input)
    this.#child = child
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#stderr += error.message
        this.#finish('failed')
        resolve()
      })
      child.once('close', (status) => {
        this.#finish(status === 0 ? 'finished' : 'failed')
        resolve()
      })
    })
    child.stdout!.on('data', (chunk: Buffer) => this.#take(chunk))
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-2000)
    })
  }

  #finish(how: 'finished' | 'failed'): void {
    this.#end ??= how
    this.#wake?.()
  }

  /** Fills frame buffers from the pipe; a chunk may end one frame and begin the next. */
  #take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      this.#filling ??= this.#nextBuffer()
      const count = Math.min(this.#filling.length - this.#filled, chunk.length - at)
      chunk.copy(this.#filling, this.#filled, at, at + count)
      this.#filled += count
      at += count
      if (this.#filled < this.#filling.length) return
      this.#complete(this.#filling)
      this.#filling = null
      this.#filled = 0
    }
  }

  /** A free buffer, else that of the newest frame, which nobody has taken. */
  #nextBuffer(): Buffer {
    const free = this.#free.pop()
    if (free) return free
    // Only a live source has one.
    if (this.#newest) {
      const { buffer } = this.#newest
      this.#newest = null
      this.dropped++
      return buffer
    }
    // A reader that holds every buffer, or a file's frames in a row: one more.
    const { format, stride, height } = this.#source!
    return Buffer.allocUnsafeSlow(frameBytes(format, stride, height))
  }

  readonly #queue: { buffer: Buffer; seq: number; capturedNs: bigint }[] = []

  #complete(buffer: Buffer): void {
    const frame = { buffer, seq: ++this.#seq, capturedNs: process.hrtime.bigint() }
    if (this.#source?.isLive) {
      if (this.#newest) {
        this.#free.push(this.#newest.buffer)
        this.dropped++
      }
      this.#newest = frame
    } else {
      this.#queue.push(frame)
      this.#child?.stdout?.pause()
    }
    this.#wake?.()
  }

  async next(signal: AbortSignal): Promise<Frame | null> {
    for (;;) {
      const ready = this.#newest ?? this.#queue.shift()
      if (ready) {
        this.#newest = null
        return this.#frameOf(ready)
      }
      if (this.#end === 'finished' && !this.#source?.isLive) return null
      if (this.#end !== null || signal.aborted) throw this.#lost()
      this.#child?.stdout?.resume()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = null
    }
  }

  #frameOf({ buffer, seq, capturedNs }: { buffer: Buffer; seq: number; capturedNs: bigint }): Frame {
    const { width, height, format, stride } = this.#source!
    let isReleased = false
    return {
      seq,
      capturedNs,
      wallTime: Date.now(),
      width,
      height,
      format,
      stride,
      pixels: buffer,
      copyTo: (target) => target.set(buffer),
      release: () => {
        if (!isReleased) this.#free.push(buffer)
        isReleased = true
      },
    }
  }

  #lost(): GapcamError {
    const uri = redact(this.#source?.uri ?? 'child')
    if (this.#end === 'closed') return new GapcamError('CAMERA_LOST', `camera ${uri} is closed`)
    const why = redact(this.#stderr.trim().split('\n').at(-1) ?? '')
    const hint = this.#seq === 0 ? { hint: `It ended before it delivered a picture. See gapcam doctor ${uri}` } : {}
    return new GapcamError(
      'CAMERA_LOST',
      `camera ${uri}: ${this.#source?.command} has ended${why === '' ? '' : `: ${why}`}`,
      hint,
    )
  }

  async close(): Promise<void> {
    this.#end = 'closed'
    this.#wake?.()
    const child = this.#child
    if (!child) return
    child.stdout?.destroy()
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), endMs)
    await this.#exited
    clearTimeout(timer)
  }
}

/** A command line that the kernel ends when we are killed, where setpriv is there to ask it. */
export function endingWithUs(command: string, args: readonly string[]): [command: string, args: string[]] {
  return existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]]
}

/** Whether a program is on the PATH. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => folder !== '' && existsSync(`${folder}/${program}`))
}

/** CAMERA_TOOL_MISSING where a program is not installed. */
export function requireProgram(program: string, uri: string, debianPackage: string): void {
  if (isInstalled(program)) return
  throw new GapcamError('CAMERA_TOOL_MISSING', `camera ${redact(uri)} needs ${program}, which is not installed`, {
    hint: `Debian: sudo apt-get install ${debianPackage}`,
  })
}
