/**
 * Turns a frame into the network's input in one pass: crop, rotate, flip, resize, colour order, normalisation. The
 * addon's pixel pass runs on a thread pool; without the addon the plain TypeScript pass does the same, slowly.
 */
import { loadAddon } from '../addon.js'
import type { NativePixelPass } from '../addon-pixels.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { PixelData } from '../tensor.js'
import { PlainPass } from './plain.js'
import type { PreprocessSpec, Preprocessor, Region } from './spec.js'

/**
 * A preprocessor of this spec: native where the addon loads, else plain TypeScript.
 *
 *     const pass = createPreprocessor(spec)
 *     await pass.run(frame, new Float32Array(spec.width * spec.height * 3))
 */
export function createPreprocessor(spec: PreprocessSpec): Preprocessor {
  const loaded = loadAddon()
  return 'addon' in loaded
    ? new NativePreprocessor(new loaded.addon.PixelPass(nativeSpec(spec)))
    : new PlainPass(spec, loaded.reason)
}

/** A spec in the form that the addon's passes take, native and CUDA. */
export function nativeSpec(spec: PreprocessSpec): Record<string, unknown> {
  const { roi = { x: 0, y: 0, width: 1, height: 1 } } = spec
  return {
    width: spec.width,
    height: spec.height,
    isNchw: spec.layout === 'nchw',
    isBytes: spec.type === 'uint8' || spec.code !== undefined,
    code: spec.code
      ? { isSigned: spec.code.type === 'int8', scale: spec.code.scale, zeroPoint: spec.code.zeroPoint }
      : null,
    isBgr: spec.order === 'bgr',
    mean: spec.mean,
    std: spec.std,
    resize: spec.resize,
    roi: [roi.x, roi.y, roi.width, roi.height],
    rotate: spec.rotate ?? 0,
    flipX: spec.flipX ?? false,
    flipY: spec.flipY ?? false,
    fill: spec.fill ?? [0, 0, 0],
    mask: spec.mask ? { polygon: spec.mask.polygon.flat(), fill: spec.mask.fill } : null,
  }
}

class NativePreprocessor implements Preprocessor {
  readonly path = 'native'
  readonly native: NativePixelPass

  constructor(pass: NativePixelPass) {
    this.native = pass
  }

  async run(frame: Frame, target: PixelData): Promise<void> {
    try {
      await this.native.run(frame, frame.pixels, target)
    } catch (error) {
      if (error instanceof TypeError) throw error
      throw new GapcamError('FRAME_INVALID', messageOf(error), { cause: error })
    }
  }

  shown(width: number, height: number): Region {
    const [x = 0, y = 0, w = 1, h = 1] = this.native.shown(width, height)
    return { x, y, width: w, height: h }
  }

  close(): void {
    this.native.close()
  }
}
