/**
 * The pixel path in plain TypeScript: the reference for the native pass, and its replacement where the addon cannot be
 * loaded. It samples each output pixel separately, in double precision.
 */
import { GapcamError } from '../errors.js'
import { frameBytes, rowBytes, type Frame } from '../frame.js'
import { storedOf, type PixelData } from '../tensor.js'
import { isInside as isInPolygon } from './shape.js'
import type { Point, PreprocessSpec, Preprocessor, Region } from './spec.js'

/** A rectangle in pixels of the frame. */
interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The reference pass. Reads frames whose pixels are bytes; frames of the capture ring need the addon. */
export class PlainPass implements Preprocessor {
  readonly path: string
  readonly #spec: PreprocessSpec

  constructor(spec: PreprocessSpec, reason: string) {
    this.#spec = spec
    this.path = `plain TypeScript: ${reason}`
  }

  async run(frame: Frame, target: PixelData): Promise<void> {
    const { format, width, height, stride, pixels } = frame
    if (!(pixels instanceof Uint8Array))
      throw new GapcamError('FRAME_INVALID', 'a captured frame needs the native addon')
    if (stride < rowBytes(format, width) || pixels.length < frameBytes(format, stride, height)) {
      throw new GapcamError(
        'FRAME_INVALID',
        `a frame of ${width} x ${height} with stride ${stride} in ${pixels.length} bytes is shorter than its size says`,
      )
    }
    this.#fill(frame, pixels, target)
  }

  shown(width: number, height: number): Region {
    const box = cropBox(this.#spec, width, height)
    return { x: box.x / width, y: box.y / height, width: box.width / width, height: box.height / height }
  }

  close(): void {}

  #fill(frame: Frame, pixels: Uint8Array, target: PixelData): void {
    const spec = this.#spec
    const { width, height, fill = [0, 0, 0] } = spec
    const crop = cropBox(spec, frame.width, frame.height)
    const place = placement(spec, crop)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [u, v] = unrotated(spec, x, y)
        const [iu, iv] = [u - place.left, v - place.top]
        const isInside = iu >= 0 && iu < place.width && iv >= 0 && iv < place.height
        const rgb = isInside
          ? sample(
              frame,
              pixels,
              crop,
              ((iu + 0.5) * crop.width) / place.width - 0.5,
              ((iv + 0.5) * crop.height) / place.height - 0.5,
            )
          : fill
        write(spec, target, x, y, isInside ? masked(spec, rgb, ...shareOf(frame, crop, place, iu, iv)) : rgb)
      }
    }
  }
}

/** Where the centre of a pixel of the resampled picture lies in the frame, in shares. */
function shareOf(
  frame: Frame,
  crop: Box,
  { width, height }: { readonly width: number; readonly height: number },
  u: number,
  v: number,
): Point {
  return [
    (crop.x + ((u + 0.5) * crop.width) / width) / frame.width,
    (crop.y + ((v + 0.5) * crop.height) / height) / frame.height,
  ]
}

const masked = ({ mask }: PreprocessSpec, rgb: readonly number[], x: number, y: number): readonly number[] =>
  mask && !isInPolygon(mask.polygon, x, y) ? mask.fill : rgb

/** The rectangle of the frame that the output shows, in the frame's orientation. */
export function cropBox(spec: PreprocessSpec, width: number, height: number): Box {
  const { roi = { x: 0, y: 0, width: 1, height: 1 }, resize, rotate = 0 } = spec
  const x = Math.min(width - 1, Math.round(roi.x * width))
  const y = Math.min(height - 1, Math.round(roi.y * height))
  const w = Math.max(1, Math.min(width - x, Math.round(roi.width * width)))
  const h = Math.max(1, Math.min(height - y, Math.round(roi.height * height)))
  if (resize !== 'cover') return { x, y, width: w, height: h }
  const target = rotate % 180 === 0 ? spec.width / spec.height : spec.height / spec.width
  const wide = Math.min(w, Math.max(1, Math.round(h * target)))
  const high = Math.min(h, Math.max(1, Math.round(w / target)))
  return { x: x + Math.floor((w - wide) / 2), y: y + Math.floor((h - high) / 2), width: wide, height: high }
}

/** Size and corner of the resampled picture in the source's orientation. */
export function placement(
  { width, height, resize, rotate = 0 }: PreprocessSpec,
  crop: Box,
): { width: number; height: number; left: number; top: number } {
  const [wide, high] = rotate % 180 === 0 ? [width, height] : [height, width]
  if (resize !== 'contain') return { width: wide, height: high, left: 0, top: 0 }
  const scale = Math.min(wide / crop.width, high / crop.height)
  const w = Math.min(wide, Math.max(1, Math.round(crop.width * scale)))
  const h = Math.min(high, Math.max(1, Math.round(crop.height * scale)))
  return { width: w, height: h, left: Math.floor((wide - w) / 2), top: Math.floor((high - h) / 2) }
}

/** The place in the source's orientation of an output pixel. */
function unrotated(
  { width, height, rotate = 0, flipX, flipY }: PreprocessSpec,
  x: number,
  y: number,
): readonly [number, number] {
  const [ox, oy] = [flipX ? width - 1 - x : x, flipY ? height - 1 - y : y]
  switch (rotate) {
    case 90:
      return [oy, width - 1 - ox]
    case 180:
      return [width - 1 - ox, height - 1 - oy]
    case 270:
      return [height - 1 - oy, ox]
    default:
      return [ox, oy]
  }
}

/** Bilinear between pixel centres, the crop's edges repeated. */
function sample(frame: Frame, pixels: Uint8Array, crop: Box, u: number, v: number): readonly number[] {
  const [cu, cv] = [Math.min(Math.max(u, 0), crop.width - 1), Math.min(Math.max(v, 0), crop.height - 1)]
  const [x0, y0] = [Math.floor(cu), Math.floor(cv)]
  const [x1, y1] = [Math.min(x0 + 1, crop.width - 1), Math.min(y0 + 1, crop.height - 1)]
  const [fx, fy] = [cu - x0, cv - y0]
  const at = (x: number, y: number): readonly number[] => pixelAt(frame, pixels, crop.x + x, crop.y + y)
  const [a, b, c, d] = [at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1)]
  return [0, 1, 2].map((i) => (a[i]! * (1 - fx) + b[i]! * fx) * (1 - fy) + (c[i]! * (1 - fx) + d[i]! * fx) * fy)
}

/** RGB levels of one source pixel. */
export function pixelAt(
  { format, stride, height }: Frame,
  pixels: Uint8Array,
  x: number,
  y: number,
): readonly number[] {
  const row = y * stride
  switch (format) {
    case 'rgb24':
      return [pixels[row + 3 * x]!, pixels[row + 3 * x + 1]!, pixels[row + 3 * x + 2]!]
    case 'bgr24':
      return [pixels[row + 3 * x + 2]!, pixels[row + 3 * x + 1]!, pixels[row + 3 * x]!]
    case 'grey':
      return [pixels[row + x]!, pixels[row + x]!, pixels[row + x]!]
    case 'yuyv':
      return fromYuv(pixels[row + 2 * x]!, pixels[row + (x >> 1) * 4 + 1]!, pixels[row + (x >> 1) * 4 + 3]!)
    case 'uyvy':
      return fromYuv(pixels[row + 2 * x + 1]!, pixels[row + (x >> 1) * 4]!, pixels[row + (x >> 1) * 4 + 2]!)
    case 'nv12': {
      const chroma = stride * height + (y >> 1) * stride + (x >> 1) * 2
      return fromYuv(pixels[row + x]!, pixels[chroma]!, pixels[chroma + 1]!)
    }
    case 'i420': {
      const half = (stride + 1) >> 1
      const u = stride * height + (y >> 1) * half + (x >> 1)
      return fromYuv(pixels[row + x]!, pixels[u]!, pixels[u + half * ((height + 1) >> 1)]!)
    }
  }
}

/** ITU-R BT.601, limited range. */
function fromYuv(y: number, u: number, v: number): readonly number[] {
  const luma = (255 / 219) * (y - 16)
  const [cb, cr] = [u - 128, v - 128]
  const clamp = (level: number): number => Math.min(Math.max(level, 0), 255)
  return [
    clamp(luma + 1.596026786 * cr),
    clamp(luma - 0.39176229 * cb - 0.812967647 * cr),
    clamp(luma + 2.017232143 * cb),
  ]
}

function write(spec: PreprocessSpec, target: PixelData, x: number, y: number, rgb: readonly number[]): void {
  const { width, height, layout, order, type, code, mean, std } = spec
  for (let channel = 0; channel < 3; channel++) {
    const level = rgb[order === 'bgr' ? 2 - channel : channel]!
    const at = layout === 'nchw' ? channel * width * height + y * width + x : (y * width + x) * 3 + channel
    const value = (level - mean[channel]!) / std[channel]!
    target[at] = type === 'uint8' ? Math.floor(level + 0.5) : code ? storedOf(code, Math.fround(value)) : value
  }
}
