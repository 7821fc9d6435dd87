/** `gapcam record`: every frame to one file as it comes. What the disk cannot take in time is left out and counted. */
import { open, type FileHandle } from 'node:fs/promises'
import { GapcamError } from '../errors.js'
import { frameBytes, type Frame } from '../frame.js'
import type { PolicyState } from '../decision/policy.js'
import type { TensorData } from '../tensor.js'
import { encodeFrame, encodeStart, type About } from './format.js'
import { factsOf, sampleInput, type KeptFrame, type Outcome } from './frames.js'
import { sentenceOf, type FrameRecorder } from './recorder.js'

/** Frames that wait for the disk, in bytes. */
const mostWaiting = 64e6

export class FileRecorder implements FrameRecorder {
  readonly #path: string
  readonly #file: FileHandle
  readonly #onFault: (error: GapcamError) => void
  #current: KeptFrame | null = null
  #previous: PolicyState | null = null
  #last: Promise<void>
  #waiting = 0
  #fault: GapcamError | null = null
  written = 0
  /** Frames that the disk was too slow for. */
  dropped = 0

  private constructor(path: string, file: FileHandle, about: About, onFault: (error: GapcamError) => void) {
    this.#path = path
    this.#file = file
    this.#onFault = onFault
    this.#last = this.#append(encodeStart(about))
  }

  /** Rejects with RECORDING_NOT_WRITTEN. `onFault` hears once of a disk that takes no more; what was written can be replayed. */
  static async open(path: string, about: About, onFault: (error: GapcamError) => void): Promise<FileRecorder> {
    try {
      return new FileRecorder(path, await open(path, 'w'), about, onFault)
    } catch (error) {
      throw new GapcamError('RECORDING_NOT_WRITTEN', `recording ${path}: ${sentenceOf(error)}`, { cause: error })
    }
  }

  begin(frame: Frame): void {
    const bytes =
      frame.pixels instanceof Uint8Array ? frame.pixels.length : frameBytes(frame.format, frame.stride, frame.height)
    this.#current = null
    if (this.#fault) return
    if (this.#waiting + bytes > mostWaiting) {
      this.dropped++
      return
    }
    const pixels = new Uint8Array(bytes)
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

  finish(outcome: Outcome): void {
    const frame = this.#current
    this.#current = null
    if (!frame) return
    frame.outcome = outcome
    const facts = factsOf(frame, this.#previous)
    if (!facts) return
    this.#previous = outcome.after
    const bytes = frame.pixels.length
    this.#waiting += bytes
    this.#last = this.#last.then(async () => {
      await this.#append(
        encodeFrame(facts, frame.pixels, facts.digests.logits === null ? new Float32Array(0) : outcome.logits),
      )
      this.#waiting -= bytes
      if (!this.#fault) this.written++
    })
  }

  async request(): Promise<string> {
    await this.#last
    if (this.#fault) throw this.#fault
    return this.#path
  }

  async close(): Promise<void> {
    await this.#last
    await this.#file.close()
  }

  async #append(parts: readonly Buffer[]): Promise<void> {
    if (this.#fault) return
    try {
      for (const part of parts) await this.#file.appendFile(part)
    } catch (error) {
      this.#fault = new GapcamError('RECORDING_NOT_WRITTEN', `recording ${this.#path}: ${sentenceOf(error)}`, {
        cause: error,
      })
      this.#onFault(this.#fault)
    }
  }
}
