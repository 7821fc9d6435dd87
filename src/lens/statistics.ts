/**
 * The statistics that the lens watch judges: a coarse brightness picture, the amount of fine detail, and the shares of
 * black and white pixels. They come from one native pass over the network's input.
 */
import { loadAddon, type LensLayout } from '../addon.js'
import { viewOf } from '../pixels/geometry.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import type { PixelData } from '../tensor.js'

/** Cells across and down. The same as in native/image/lens.h. */
export const lensCells = 56

/** Statistics of one picture. The meter owns the memory: it is valid until its next call. */
export interface LensStatistics {
  /** Mean difference between neighbouring pixels, levels. */
  readonly fine: number
  /** Shares of pixels below level 16, and at level 250 or above. */
  readonly dark: number
  readonly bright: number
  /** Mean luma of each cell in levels, row by row. */
  readonly cells: Float32Array
}

/** Measures one input of the network. */
export type LensMeter = (input: PixelData) => LensStatistics

/**
 * A meter for the inputs that `spec` makes from frames of this size. The letterbox is not measured.
 *
 *     const meter = createLensMeter(spec, frame.width, frame.height)
 *     const { fine, dark, bright, cells } = meter(input)
 */
export function createLensMeter(spec: PreprocessSpec, frameWidth: number, frameHeight: number): LensMeter {
  const layout = layoutOf(spec, frameWidth, frameHeight)
  const loaded = loadAddon()
  const measure = 'addon' in loaded ? loaded.addon.measureLens : measurePlainly
  const all = new Float32Array(3 + lensCells * lensCells)
  const cells = all.subarray(3)
  return (input) => {
    measure(input, layout, all)
    return { fine: all[0]!, dark: all[1]!, bright: all[2]!, cells }
  }
}

/** Weights that turn the input's normalized values into ITU-R BT.601 luma in levels. */
function layoutOf(spec: PreprocessSpec, frameWidth: number, frameHeight: number): LensLayout {
  const { width, height, layout, order, type, code, mean, std } = spec
  const { picture } = viewOf(spec, frameWidth, frameHeight)
  const luma = order === 'bgr' ? [0.114, 0.587, 0.299] : [0.299, 0.587, 0.114]
  const isLevels = type === 'uint8'
  // value = step · (number − zero)
  const { scale: step, zeroPoint: zero } = code ?? { scale: 1, zeroPoint: 0 }
  const weight = (c: 0 | 1 | 2): number => luma[c]! * (isLevels ? 1 : std[c] * step)
  return {
    width,
    height,
    isNchw: layout === 'nchw',
    rectangle: [picture.x, picture.y, picture.width, picture.height],
    weights: [weight(0), weight(1), weight(2)],
    offset: isLevels ? 0 : luma.reduce((sum, share, c) => sum + share * (mean[c]! - std[c]! * step * zero), 0),
  }
}

/** The measurement in plain TypeScript: the reference of the native one, and its replacement without the addon. */
export function measurePlainly(input: PixelData, layout: LensLayout, statistics: Float32Array): void {
  const {
    width,
    height,
    isNchw,
    rectangle: [left, top, across, down],
    weights,
    offset,
  } = layout
  const luma = new Float64Array(across * down)
  const [pixel, channel] = isNchw ? [1, width * height] : [3, 1]
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const at = ((top + y) * width + left + x) * pixel
      luma[y * across + x] =
        offset + weights[0] * input[at]! + weights[1] * input[at + channel]! + weights[2] * input[at + 2 * channel]!
    }
  }
  let [fine, dark, bright] = [0, 0, 0]
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const level = luma[y * across + x]!
      if (x + 1 < across) fine += Math.abs(level - luma[y * across + x + 1]!)
      if (y + 1 < down) fine += Math.abs(level - luma[(y + 1) * across + x]!)
      if (level < 16) dark++
      if (level >= 250) bright++
    }
  }
  statistics[0] = fine / (2 * across * down - across - down)
  statistics[1] = dark / (across * down)
  statistics[2] = bright / (across * down)
  for (let i = 0; i < lensCells; i++)
    for (let j = 0; j < lensCells; j++)
      statistics[3 + i * lensCells + j] = cellMean(luma, across, boundsOf(i, down), boundsOf(j, across))
}

function boundsOf(cell: number, size: number): readonly [number, number] {
  const start = Math.floor((cell * size) / lensCells)
  return [start, Math.max(start + 1, Math.floor(((cell + 1) * size) / lensCells))]
}

function cellMean(
  luma: Float64Array,
  across: number,
  [top, bottom]: readonly [number, number],
  [left, right]: readonly [number, number],
): number {
  let sum = 0
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += luma[y * across + x]!
  return sum / ((bottom - top) * (right - left))
}
