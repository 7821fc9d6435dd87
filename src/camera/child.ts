/**
 * Cameras that are another program: a child writes frames to a pipe. Of a live source only the newest frame is kept; a
 * file is read no faster than its frames are taken. The child ends when the camera is closed or when we die.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import { redact } from '../secrets.js'
import type { Camera, CameraDescription } from './camera.js'
import type { Size } from './decode-size.js'
import type { FrameCutter, FrameSink, Geometry } from './cutters.js'
import { Pace } from './pace.js'
import { endingWithUs } from './programs.js'

/** What to start, and how to read what it writes. */
export interface ChildSource {
  /** The camera's URI and name for people, without secrets. */
  readonly uri: string
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Written to its stdin, which then ends: what other users must not read in its command line, or the stream itself. */
  readonly input?: string | Readable | undefined
  readonly cutter: FrameCutter
  readonly fps?: number | undefined
  /** See `CameraDescription`. */
  readonly fullSize?: Size | null | undefined
  /** Keeps only the newest frame; otherwise every frame waits until it is taken. */
  readonly keepsNewest: boolean
  /** A camera, whose picture is expected to change. */
  readonly isLive: boolean
  /** Least time between two frames, for programs that cannot limit their rate. */
  readonly periodMs?: number | undefined
  /** The error for a program that ended before it delivered a frame, from its last words. */
  readonly explain?: ((why: string) => GapcamError) | undefined
  /** Frees what was opened for the child. */
  readonly release?: (() => void) | undefined
}

/** Resolves what to start when the camera is opened. */
export type ChildPlan = (signal: AbortSignal) => Promise<ChildSource>

const buffersInRing = 4
const endMs = 1000
const longestStderr = 4000

/** A camera over a child process. */
export function openChild(plan: ChildPlan): Camera {
  return new ChildCamera(plan)
}

interface Captured {
  readonly buffer: Buffer
  readonly seq: number
  readonly capturedNs: bigint
}

class ChildCamera implements Camera, FrameSink {
  dropped = 0
  isLive = false
  readonly #plan: ChildPlan
  #source: ChildSource | null = null
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  readonly #free: Buffer[] = []
  #newest: Captured | null = null
  readonly #queue: Captured[] = []
  #allocated = 0
  #seq = 0
  readonly #pace = new Pace()
  #wake: (() => void) | null = null
  #stderr = ''
  #fault: GapcamError | null = null
  #end: 'finished' | 'failed' | 'closed' | null = null

  constructor(plan: ChildPlan) {
    this.#plan = plan
  }

  async open(signal: AbortSignal): Promise<CameraDescription> {
    const source = await this.#plan(signal)
    this.#source = source
    this.isLive = source.isLive
    if (this.#end === 'closed') throw this.#lost()
    this.#start(source)
    const { width, height, format } = await this.#geometry(source, signal)
    const { uri, name, fullSize } = source
    return { uri, name, width, height, format, fps: source.fps, ...(fullSize === undefined ? {} : { fullSize }) }
  }

  /** Waits until the stream has revealed the size of its frames. */
  async #geometry({ cutter }: ChildSource, signal: AbortSignal): Promise<Geometry> {
    while (cutter.geometry === null) {
      if (this.#end !== null || signal.aborted) throw this.#lost()
      await this.#change()
    }
    return cutter.geometry
  }

  #start({ command, args, input, cutter }: ChildSource): void {
    const child = spawn(...endingWithUs(command, args), {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    // A child that ends before it has read its stdin reports its own error.
    child.stdin?.on('error', () => undefined)
    if (typeof input === 'string') child.stdin?.end(input)
    else input?.on('error', () => child.stdin?.end()).pipe(child.stdin!)
    this.#child = child
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#stderr += error.message
        this.#finish('failed')
        resolve()
      })
      child.once('close', (status, killer) => {
        if (killer !== null && this.#end === null) this.#stderr += `\nit was ended by ${killer}`
        this.#finish(status === 0 ? 'finished' : 'failed')
        resolve()
      })
    })
    child.stdout!.on('data', (chunk: Buffer) => this.#feed(cutter, chunk))
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-longestStderr)
    })
  }

  #feed(cutter: FrameCutter, chunk: Buffer): void {
    if (this.#fault !== null) return
    const wasOpen = cutter.geometry !== null
    try {
      cutter.feed(chunk, this)
    } catch (error) {
      this.#fault = error instanceof GapcamError ? error : new GapcamError('CAMERA_FORMAT', messageOf(error))
      this.#finish('failed')
    }
    if (!wasOpen && cutter.geometry !== null) this.#wake?.()
  }

  #finish(how: 'finished' | 'failed'): void {
    this.#end ??= how
    this.#wake?.()
  }

  #change(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
    })
  }

  /** A free buffer; else, once the ring is full, that of the newest frame, which is dropped; else one more. */
  buffer(bytes: number): Buffer {
    const free = this.#free.pop()
    if (free) return free
    if (this.#newest && this.#allocated >= buffersInRing) {
      const { buffer } = this.#newest
      this.#newest = null
      this.dropped++
      return buffer
    }
    this.#allocated++
    return Buffer.allocUnsafeSlow(bytes)
  }

  complete(buffer: Buffer): void {
    const frame = { buffer, seq: ++this.#seq, capturedNs: process.hrtime.bigint() }
    if (this.#source?.keepsNewest) {
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
    const { periodMs, keepsNewest = false } = this.#source ?? {}
    if (periodMs !== undefined && this.#end === null) await this.#pace.wait(periodMs, signal)
    for (;;) {
      const ready = this.#newest ?? this.#queue.shift()
      if (ready) {
        this.#newest = null
        return this.#frameOf(ready)
      }
      if (this.#end === 'finished' && !keepsNewest) return null
      if (this.#end !== null || signal.aborted) throw this.#lost()
      this.#child?.stdout?.resume()
      await this.#change()
    }
  }

  #frameOf({ buffer, seq, capturedNs }: Captured): Frame {
    const { width, height, format, stride } = this.#source!.cutter.geometry!
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
    if (this.#end === 'closed' || this.#end === null) return new GapcamError('CAMERA_LOST', `camera ${uri} is closed`)
    if (this.#fault !== null) return new GapcamError(this.#fault.code, `camera ${uri}: ${this.#fault.message}`)
    const why = redact(lastWords(this.#stderr))
    if (this.#seq === 0 && this.#source?.explain) return this.#source.explain(why)
    const hint = this.#seq === 0 ? `It ended before it delivered a picture. See gapcam doctor ${uri}` : undefined
    const sentence = `camera ${uri}: ${this.#source?.command} has ended${why === '' ? '' : `: ${why}`}`
    return new GapcamError('CAMERA_LOST', sentence, hint === undefined ? {} : { hint })
  }

  async close(): Promise<void> {
    this.#end = 'closed'
    this.#wake?.()
    this.#source?.release?.()
    const child = this.#child
    if (!child) return
    child.stdout?.destroy()
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), endMs)
    await this.#exited
    clearTimeout(timer)
  }
}

/** The last line of a program's errors that says something: newer ffmpegs end with a line that only repeats the fact. */
function lastWords(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim().replace(/^\[[^\]]+ @ 0x[0-9a-f]+\] /, ''))
    .filter((line) => line !== '')
  return lines.findLast((line) => !/^Error opening input files?\b/.test(line)) ?? lines.at(-1) ?? ''
}
