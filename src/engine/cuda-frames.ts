/**
 * Frames prepared by the GPU: converted, cropped, turned and resized there, straight into the CUDA engine's input. The
 * CPU's pass stands behind it: it prepares the same numbers, bit for bit, where the GPU does not serve.
 */
import type { CudaFramePass } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Preprocessor, Region } from '../pixels/spec.js'
import type { EngineTensor } from './engine.js'

export interface CudaFramesOptions {
  readonly pass: CudaFramePass
  /** The same pass on the CPU; closed with this one. */
  readonly cpu: Preprocessor
  /** Where the GPU's pass writes. */
  readonly input: EngineTensor
  /** Whether the engine's next run is on the GPU, as far as one knows. */
  readonly isServing: () => boolean
  readonly onFault: (sentence: string) => void
}

export class CudaPreprocessor implements Preprocessor {
  readonly #options: CudaFramesOptions
  /** A conversion that failed once is not worth a second fault: the CPU does it in a fraction of an inference. */
  #hasFailed = false

  constructor(options: CudaFramesOptions) {
    this.#options = options
  }

  get path(): string {
    return this.#hasFailed ? this.#options.cpu.path : 'cuda'
  }

  async run(frame: Frame, target: Float32Array | Uint8Array): Promise<void> {
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
    // The session may be closed already, and with it all that it had.
    this.#options.pass.close().catch(() => undefined)
    this.#options.cpu.close()
  }
}
