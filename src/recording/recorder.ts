/**
 * The flight recorder: the last seconds of a zone's frames in memory with everything that was made of them, written to a
 * file when the confidence falls, when the label changes, or on request. Memory and disk are bounded. A full disk is
 * logged once and changes nothing else.
 */
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Logger } from '../log.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import type { TensorData } from '../tensor.js'
import type { About } from './format.js'
import { keptFrame, pixelBytesOf, sampleInput, type KeptFrame, type Outcome } from './frames.js'
import { storeRecording } from './store.js'

/** Follows the frames of one zone. Each call belongs to the frame that began last. */
export interface FrameRecorder {
  /** Copies the pixels before the frame is released. `spec` says how they become the network's input. */
  begin(frame: Frame, spec: PreprocessSpec): void
  /** The network's input, before the inference. */
  input(data: TensorData): void
  finish(outcome: Outcome, events: readonly string[]): void
  /** Writes the last seconds and resolves with the file's name. Rejects with RECORDING_NOT_WRITTEN. */
  request(reason: string): Promise<string>
  /** Resolves when writing has ended. */
  close(): Promise<void>
}

export interface RecorderOptions {
  readonly folder: string
  readonly seconds: number
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Event types that cause a recording. */
  readonly on: readonly string[]
  readonly about: (spec: PreprocessSpec) => Omit<About, 'reason' | 'startedMs'>
  readonly log: Pick<Logger, 'info' | 'warn'>
}

/** Keeps the last seconds of one zone. `request` writes them to a file. */
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
    // A recording has one view: frames of the view before are dropped.
    if (spec !== this.#spec) {
      this.#ring = []
      this.#bytes = 0
      this.#spec = spec
    }
    this.#current = keptFrame(frame, this.#room(pixelBytesOf(frame)))
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
    // At most one recording in the length of the ring. An earlier event waits and is part of the next recording.
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

  /** Resolves when the recording in progress is written, or has failed. */
  get idle(): Promise<unknown> {
    return this.#writing
  }

  async close(): Promise<void> {
    await this.#writing
    this.#ring = []
  }

  /** Memory for a frame: that of the oldest one where the ring is full. */
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
    const path = await storeRecording(folder, diskBytes, about, frames)
    this.#saidFull = false
    const { reason } = about
    log.info({ file: path, frames: frames.length, reason }, `recorded ${frames.length} frames to ${path}`)
    return path
  }

  /** Logs a failure once until a recording succeeds again: a disk stays full for a while. */
  #complain(error: unknown): void {
    if (this.#saidFull) return
    this.#saidFull = true
    this.#options.log.warn(messageOf(error))
  }
}
