/** `gapcam record`: every frame into one file. Frames that the disk is too slow for are left out and counted. */
import { open, type FileHandle } from 'node:fs/promises'
import { GapcamError, writeFaultOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { PolicyState } from '../decision/policy.js'
import type { TensorData } from '../tensor.js'
import { encodeFrame, encodeStart, type About } from './format.js'
import { factsOf, keptFrame, loggedLogits, pixelBytesOf, sampleInput, type KeptFrame, type Outcome } from './frames.js'
import type { FrameRecorder } from './recorder.js'

/** Limit of the frames that wait for the disk, bytes. */
const mostWaiting = 64e6

/** Records one zone into one file until `close`. */
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

  /** Rejects with RECORDING_NOT_WRITTEN. `onFault` is called once when writing fails; what was written can be replayed. */
  static async open(path: string, about: About, onFault: (error: GapcamError) => void): Promise<FileRecorder> {
    try {
      return new FileRecorder(path, await open(path, 'w'), about, onFault)
    } catch (error) {
      throw new GapcamError('RECORDING_NOT_WRITTEN', `recording ${path}: ${writeFaultOf(error)}`, { cause: error })
    }
  }

  begin(frame: Frame): void {
    const bytes = pixelBytesOf(frame)
    this.#current = null
    if (this.#fault) return
    if (this.#waiting + bytes > mostWaiting) {
      this.dropped++
      return
    }
    this.#current = keptFrame(frame, new Uint8Array(bytes))
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
      await this.#append(encodeFrame(facts, frame.pixels, loggedLogits(facts, frame)))
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
      this.#fault = new GapcamError('RECORDING_NOT_WRITTEN', `recording ${this.#path}: ${writeFaultOf(error)}`, {
        cause: error,
      })
      this.#onFault(this.#fault)
    }
  }
}
