/**
 * From a frame to the network's input in one pass: crop, rotate, flip, resize, colour order, normalisation. The native
 * pixel path does it on a thread of its own; without the addon the same in plain TypeScript serves, slowly.
 */
import { loadAddon, type NativePixelPass } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import { PlainPass } from './plain.js'

export type ResizeMode = 'cover' | 'stretch' | 'contain'
export type Triple = readonly [number, number, number]

/** A part of the frame, as shares of its width and height (0 to 1). */
export interface Region {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface PreprocessSpec {
  readonly width: number
  readonly height: number
  readonly layout: 'nchw' | 'nhwc'
  /** uint8 gives the levels themselves; mean and std are not applied. */
  readonly type: 'float32' | 'uint8'
  readonly order: 'rgb' | 'bgr'
  /** value = (level - mean) / std, in levels (0 to 255), by channel of the output. */
  readonly mean: Triple
  readonly std: Triple
  readonly resize: ResizeMode
  /** Cropped before everything else; default the whole frame. */
  readonly roi?: Region | undefined
  /** Clockwise, after the crop. */
  readonly rotate?: 0 | 90 | 180 | 270 | undefined
  /** Mirrored after the rotation. */
  readonly flipX?: boolean | undefined
  readonly flipY?: boolean | undefined
  /** RGB levels around a contained picture; default black. */
  readonly fill?: Triple | undefined
}

export interface Preprocessor {
  /** 'native', 'cuda', or why neither. */
  readonly path: string
  /** Writes width × height × 3 elements. Rejects with FRAME_INVALID. One run at a time; the frame is not released. */
  run(frame: Frame, target: Float32Array | Uint8Array): Promise<void>
  /** The part of a frame of this size that the output shows, before rotation and flips. */
  shown(width: number, height: number): Region
  close(): void
}

export function createPreprocessor(spec: PreprocessSpec): Preprocessor {
  const loaded = loadAddon()
  return 'addon' in loaded
    ? new NativePreprocessor(new loaded.addon.PixelPass(nativeSpec(spec)))
    : new PlainPass(spec, loaded.reason)
}

/** A spec as the addon's passes take it. */
export function nativeSpec(spec: PreprocessSpec): Record<string, unknown> {
  const { roi = { x: 0, y: 0, width: 1, height: 1 } } = spec
  const isBytes = spec.type === 'uint8'
  return {
    width: spec.width,
    height: spec.height,
    isNchw: spec.layout === 'nchw',
    isBytes,
    isBgr: spec.order === 'bgr',
    mean: spec.mean,
    std: spec.std,
    resize: spec.resize,
    roi: [roi.x, roi.y, roi.width, roi.height],
    rotate: spec.rotate ?? 0,
    flipX: spec.flipX ?? false,
    flipY: spec.flipY ?? false,
    fill: spec.fill ?? [0, 0, 0],
  }
}

class NativePreprocessor implements Preprocessor {
  readonly path = 'native'
  readonly #pass: NativePixelPass

  constructor(pass: NativePixelPass) {
    this.#pass = pass
  }

  async run(frame: Frame, target: Float32Array | Uint8Array): Promise<void> {
    try {
      await this.#pass.run(frame, frame.pixels, target)
    } catch (error) {
      if (error instanceof TypeError) throw error
      throw new GapcamError('FRAME_INVALID', messageOf(error), { cause: error })
    }
  }

  shown(width: number, height: number): Region {
    const [x = 0, y = 0, w = 1, h = 1] = this.#pass.shown(width, height)
    return { x, y, width: w, height: h }
  }

  close(): void {
    this.#pass.close()
  }
}
