/**
 * What the pixel path is asked for: the network's input size and layout, and how a frame becomes it. `preprocess.ts`
 * (native) and `plain.ts` (reference) both implement `Preprocessor`; the GPU's pass in `engine/` does too.
 */
import type { NativePixelPass } from '../addon-pixels.js'
import type { Frame } from '../frame.js'
import type { Code, PixelData } from '../tensor.js'

/** How a frame's rectangle becomes the input's: cropped to fill it, distorted to fill it, or letterboxed inside it. */
export type ResizeMode = 'cover' | 'stretch' | 'contain'

/** One number for each of three channels. */
export type Triple = readonly [number, number, number]

/** A part of the frame, as shares of its width and height (0 to 1). */
export interface Region {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A place in a frame or picture, as shares of its width and height. */
export type Point = readonly [x: number, y: number]

/** What lies outside a polygon is painted over, so that it cannot be evidence for a label. */
export interface Mask {
  /** Corners in shares of the frame; inside by the even-odd rule. */
  readonly polygon: readonly Point[]
  /** RGB levels of what lies outside. */
  readonly fill: Triple
}

/** How bytes stand for values. */
export type PixelCode = Code & { readonly type: 'int8' | 'uint8' }

/** Everything that turns a frame into a network's input of `width` × `height` pixels and three channels. */
export interface PreprocessSpec {
  readonly width: number
  readonly height: number
  readonly layout: 'nchw' | 'nhwc'
  /** uint8 gives the levels themselves; mean and std are not applied. */
  readonly type: 'float32' | 'uint8'
  /** Writes the values of type float32 as bytes, rounded as `storedOf` does. Default: as float32. */
  readonly code?: PixelCode | undefined
  readonly order: 'rgb' | 'bgr'
  /** value = (level - mean) / std, in levels (0 to 255), by channel of the output. */
  readonly mean: Triple
  readonly std: Triple
  readonly resize: ResizeMode
  /** Cropped before everything else; default the whole frame. */
  readonly roi?: Region | undefined
  /** Degrees clockwise, after the crop. */
  readonly rotate?: 0 | 90 | 180 | 270 | undefined
  /** Mirrored left to right, after the rotation. */
  readonly flipX?: boolean | undefined
  /** Mirrored top to bottom, after the rotation. */
  readonly flipY?: boolean | undefined
  /** RGB levels around a contained picture; default black. */
  readonly fill?: Triple | undefined
  /** Default: nothing is masked. */
  readonly mask?: Mask | undefined
}

/** Turns frames into inputs of one spec. Owned by its creator, who closes it. */
export interface Preprocessor {
  /** 'native', 'cuda', or the reason why neither serves. */
  readonly path: string
  /** The addon's pass, which an engine may run together with its network; absent where there is none. */
  readonly native?: NativePixelPass | undefined
  /** Writes width × height × 3 elements. Rejects with FRAME_INVALID. One run at a time; the frame is not released. */
  run(frame: Frame, target: PixelData): Promise<void>
  /** The part of a frame of this size (pixels) that the output shows, before rotation and flips. */
  shown(width: number, height: number): Region
  /** Frees the pass's memory. */
  close(): void
}

/**
 * The levels of a frame as RGB bytes, rows of pixels, stretched to this size.
 *
 *     const pass = createPreprocessor(rgbLevels(640, 480))
 */
export function rgbLevels(width: number, height: number): PreprocessSpec {
  return {
    width,
    height,
    layout: 'nhwc',
    type: 'uint8',
    order: 'rgb',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: 'stretch',
  }
}
