/**
 * Prepares frames on the GPU: converts, crops, rotates and resizes them directly into the CUDA engine's input. While
 * the GPU does not serve, the CPU's preprocessor takes over. It gives the same values, bit for bit.
 */
import type { CudaFramePass } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Preprocessor, Region } from '../pixels/spec.js'
import type { EngineTensor } from './engine.js'
import type { PixelData } from '../tensor.js'

export interface CudaFramesOptions {
  readonly pass: CudaFramePass
  /** The same preprocessing on the CPU. It is closed with this one. */
  readonly cpu: Preprocessor
  /** The tensor that the GPU's pass writes. */
  readonly input: EngineTensor
  /** Whether the engine's next run is expected to be on the GPU. */
  readonly isServing: () => boolean
  /** Called once, with a sentence, when the GPU fails to prepare a frame. */
  readonly onFault: (sentence: string) => void
}

/** The preprocessor of one camera on the GPU. */
export class CudaPreprocessor implements Preprocessor {
  readonly #options: CudaFramesOptions
  /** After one failure the CPU prepares all further frames: that takes a fraction of an inference. */
  #hasFailed = false

  constructor(options: CudaFramesOptions) {
    this.#options = options
  }

  get path(): string {
    return this.#hasFailed ? this.#options.cpu.path : 'cuda'
  }

  async run(frame: Frame, target: PixelData): Promise<void> {
    const { pass, cpu, input, isServing, onFault } = this.#options
    if (this.#hasFailed || target !== input.data || !isServing()) return cpu.run(frame, target)
    try {
      await pass.run(frame, frame.pixels)
    } catch (error) {
      if (error instanceof TypeError) throw error
      if ((error as { code?: unknown }).code === 'FRAME_INVALID')
        throw new GapcamError('FRAME_INVALID', messageOf(error), { cause: error })
      this.#hasFailed = true
      onFault(messageOf(error))
      await cpu.run(frame, target)
    }
  }

  shown(width: number, height: number): Region {
    return this.#options.cpu.shown(width, height)
  }

  close(): void {
    // If the session is closed already, so is the pass.
    this.#options.pass.close().catch(() => undefined)
    this.#options.cpu.close()
  }
}
