/**
 * The flight recorder: the last seconds of a camera's frames in memory, with what was made of them, written to a file
 * when the confidence falls, the label changes, or somebody asks. Memory and disk are bounded, the oldest recordings go
 * first, and a disk that is full is said and changes nothing else.
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GapcamError, messageOf } from '../errors.js'
import { frameBytes, type Frame } from '../frame.js'
import type { Logger } from '../log.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import type { TensorData } from '../tensor.js'
import { encodeFrame, encodeStart, type About } from './format.js'
import { factsOf, sampleInput, type KeptFrame, type Outcome } from './frames.js'

/** Follows one camera's frames through its pipeline; every call but `finish` is of the frame that began last. */
export interface FrameRecorder {
  /** Copies the pixels, before the frame is released; `spec` makes them the network's input. */
  begin(frame: Frame, spec: PreprocessSpec): void
  /** The network's input, before the inference. */
  input(data: TensorData): void
  finish(outcome: Outcome, events: readonly string[]): void
  /** Resolves with the file's name when the last seconds are written. Rejects with RECORDING_NOT_WRITTEN. */
  request(reason: string): Promise<string>
  /** Waits for what is being written. */
  close(): Promise<void>
}

export interface RecorderOptions {
  readonly folder: string
  readonly seconds: number
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Events that cause a recording. */
  readonly on: readonly string[]
  readonly about: (spec: PreprocessSpec) => Omit<About, 'reason' | 'startedMs'>
  readonly log: Pick<Logger, 'info' | 'warn'>
}

export const recordingEnding = '.gcrec'

export class FlightRecorder implements FrameRecorder {
  readonly #options: RecorderOptions
  #ring: KeptFrame[] = []
  #spec: PreprocessSpec | null = null
  #bytes = 0
  #current: KeptFrame | null = null
  #writing: Promise<unknown> = Promise.resolve()
  #isWriting = false
  #lastMs = -Infinity
  #waiting: string | null = null
  #saidFull = false

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  begin(frame: Frame, spec: PreprocessSpec): void {
    // One recording has one view: what was seen through another is let go.
    if (spec !== this.#spec) {
      this.#ring = []
      this.#bytes = 0
      this.#spec = spec
    }
    const bytes =
      frame.pixels instanceof Uint8Array ? frame.pixels.length : frameBytes(frame.format, frame.stride, frame.height)
    const pixels = this.#room(bytes)
    frame.copyTo(pixels)
    const { seq, wallTime, width, height, format, stride, file } = frame
    this.#current = {
      seq,
      wallTime,
      facts: { width, height, format, stride, ...(file === undefined ? {} : { file }) },
      pixels,
      input: null,
      outcome: null,
    }
  }

  input(data: TensorData): void {
    if (this.#current) this.#current.input = sampleInput(data)
  }

  finish(outcome: Outcome, events: readonly string[]): void {
    const frame = this.#current
    this.#current = null
    if (!frame) return
    frame.outcome = outcome
    this.#ring.push(frame)
    this.#bytes += frame.pixels.length
    const event = events.find((type) => this.#options.on.includes(type))
    // One recording a ring's length: what comes sooner waits, and is in the next with what came after it.
    if (event !== undefined) this.#waiting ??= event
    if (this.#waiting === null || outcome.nowMs - this.#lastMs < this.#options.seconds * 1000 || this.#isWriting) return
    this.#lastMs = outcome.nowMs
    void this.request(this.#waiting).catch((error: unknown) => this.#complain(error))
  }

  request(reason: string): Promise<string> {
    const frames = this.#ring
    this.#ring = []
    this.#bytes = 0
    this.#waiting = null
    if (frames.length === 0)
      return Promise.reject(
        new GapcamError(
          'RECORDING_NOT_WRITTEN',
          'there is nothing to record: no frame has come since the last recording',
        ),
      )
    const facts = this.#options.about(this.#spec!)
    const written = this.#writing.then(() => this.#write(frames, { ...facts, reason, startedMs: frames[0]!.wallTime }))
    this.#isWriting = true
    this.#writing = written
      .catch(() => undefined)
      .finally(() => {
        this.#isWriting = false
      })
    return written
  }

  /** Resolves when what is being written is on the disk, or is not to be. */
  get idle(): Promise<unknown> {
    return this.#writing
  }

  async close(): Promise<void> {
    await this.#writing
    this.#ring = []
  }

  /** Memory for a frame, from the oldest where the ring is full. */
  #room(bytes: number): Uint8Array {
    let free: Uint8Array | null = null
    const oldest = (): KeptFrame | undefined => this.#ring[0]
    const newestMs = this.#ring.at(-1)?.outcome?.nowMs ?? 0
    for (let first = oldest(); first; first = oldest()) {
      const isOld = newestMs - (first.outcome?.nowMs ?? 0) > this.#options.seconds * 1000
      if (!isOld && this.#bytes + bytes <= this.#options.memoryBytes) break
      this.#ring.shift()
      this.#bytes -= first.pixels.length
      if (first.pixels.length === bytes) free = first.pixels
    }
    return free ?? new Uint8Array(bytes)
  }

  async #write(frames: readonly KeptFrame[], about: About): Promise<string> {
    const { folder, diskBytes, log } = this.#options
    const { camera, startedMs, reason } = about
    const path = join(
      folder,
      `${camera}-${new Date(startedMs).toISOString().replace(/[:.]/g, '-')}-${frames[0]!.seq}${recordingEnding}`,
    )
    const need = frames.reduce(
      (sum, { pixels, outcome }) => sum + pixels.length + (outcome?.logits.byteLength ?? 0) + 4096,
      0,
    )
    if (need > diskBytes)
      throw new GapcamError(
        'RECORDING_NOT_WRITTEN',
        `a recording of ${megabytes(need)} MB is more than the ${megabytes(diskBytes)} MB that recordings may take`,
      )
    try {
      await mkdir(folder, { recursive: true })
      await makeRoom(folder, diskBytes - need)
      await writeAll(path, about, frames)
    } catch (error) {
      await rm(`${path}.part`, { force: true }).catch(() => undefined)
      throw new GapcamError('RECORDING_NOT_WRITTEN', `recording ${path}: ${sentenceOf(error)}`, { cause: error })
    }
    this.#saidFull = false
    log.info({ file: path, frames: frames.length, reason }, `recorded ${frames.length} frames to ${path}`)
    return path
  }

  /** A disk stays full for a while: said once, until something could be written again. */
  #complain(error: unknown): void {
    if (this.#saidFull) return
    this.#saidFull = true
    this.#options.log.warn(messageOf(error))
  }
}

async function writeAll(path: string, about: About, frames: readonly KeptFrame[]): Promise<void> {
  const file = await open(`${path}.part`, 'w')
  try {
    for (const part of encodeStart(about)) await file.appendFile(part)
    let previous: Outcome['after'] | null = null
    for (const frame of frames) {
      const facts = factsOf(frame, previous)
      if (!facts) continue
      for (const part of encodeFrame(
        facts,
        frame.pixels,
        facts.digests.logits === null ? new Float32Array(0) : frame.outcome!.logits,
      ))
        await file.appendFile(part)
      previous = frame.outcome!.after
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
}

/** Deletes the oldest recordings until the rest take no more than so many bytes; and what a crash left half-written. */
async function makeRoom(folder: string, mostBytes: number): Promise<void> {
  const names = (await readdir(folder)).filter(
    (name) => name.endsWith(recordingEnding) || name.endsWith(`${recordingEnding}.part`),
  )
  const files = await Promise.all(
    names.map(async (name) => ({
      path: join(folder, name),
      isPart: name.endsWith('.part'),
      ...(await sizeOf(join(folder, name))),
    })),
  )
  files.sort((a, b) => a.modifiedMs - b.modifiedMs)
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const { path, bytes, isPart } of files) {
    if (total <= mostBytes && !isPart) continue
    await rm(path, { force: true })
    total -= bytes
  }
}

async function sizeOf(path: string): Promise<{ bytes: number; modifiedMs: number }> {
  const { size, mtimeMs } = await stat(path)
  return { bytes: size, modifiedMs: mtimeMs }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e6)

export function sentenceOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk is full'
  return code === 'EROFS' ? 'the disk can only be read' : messageOf(error)
}
