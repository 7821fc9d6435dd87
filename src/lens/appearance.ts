/** The appearance of a picture in a few numbers, and whether two pictures show the scene from different positions. */
import { lensCells, type LensStatistics } from './statistics.js'

/** A picture in a few numbers. */
export interface Appearance {
  /** Mean luma, and its standard deviation over a grid of 14 by 14 cells, in levels. */
  readonly mean: number
  readonly deviation: number
  /** deviation / mean: it does not depend on the light. */
  readonly contrast: number
  /**
   * Mean difference between neighbouring pixels over that between neighbouring cells: about 0.5 for photographs, and a
   * quarter without detail finer than a cell. Null for a picture without contrast.
   */
  readonly sharpness: number | null
  /** 28 by 28 cells, normalized to mean 0 and length 1: the scene independent of the light. */
  readonly structure: Float32Array
}

const side = lensCells / 2
/** The largest shift of a view that is searched, in cells: two fifths of its width. */
const farthest = 11

/** The appearance behind the statistics of one picture. */
export function appearanceOf({ fine, cells }: LensStatistics): Appearance {
  const coarse = reduced(reduced(cells, lensCells), side)
  const mean = average(coarse)
  const deviation = Math.sqrt(average(coarse.map((level) => (level - mean) ** 2)))
  const step = meanStep(cells, lensCells)
  return {
    mean,
    deviation,
    contrast: deviation / Math.max(mean, 1),
    sharpness: step < 0.75 ? null : fine / step,
    structure: normalized(reduced(cells, lensCells)),
  }
}

/** The weighted mean of two appearances; `share` is the weight of `b`. */
export function blend(a: Appearance, b: Appearance, share: number): Appearance {
  const mix = (x: number, y: number): number => x + share * (y - x)
  return {
    mean: mix(a.mean, b.mean),
    deviation: mix(a.deviation, b.deviation),
    contrast: mix(a.contrast, b.contrast),
    sharpness:
      a.sharpness === null || b.sharpness === null ? (a.sharpness ?? b.sharpness) : mix(a.sharpness, b.sharpness),
    structure: normalized(a.structure.map((value, i) => mix(value, b.structure[i]!))),
  }
}

/** The correlation of two structures: 1 for the same scene, about 0 for unrelated scenes. */
export function correlation(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** Whether the view has changed: the scene is shifted, or at least eight ninths of the picture are unrelated to before. */
export function hasMoved(before: Float32Array, now: Float32Array): boolean {
  const here = correlation(before, now)
  if (here > 0.6) return false
  return bestShift(before, now) > Math.max(0.75, here + 0.25) || changedNinths(before, now) >= 8
}

/** The highest correlation of the overlapping parts, over all shifts except zero. */
function bestShift(before: Float32Array, now: Float32Array): number {
  let best = -1
  for (let dy = -farthest; dy <= farthest; dy++) {
    for (let dx = -farthest; dx <= farthest; dx++)
      if (dx !== 0 || dy !== 0)
        best = Math.max(best, overlap(before, now, { left: 0, top: 0, width: side, height: side }, dx, dy))
  }
  return best
}

/** The number of ninths of the picture that are unrelated to before. */
function changedNinths(before: Float32Array, now: Float32Array): number {
  let changed = 0
  for (let i = 0; i < 9; i++) {
    const [left, right] = [Math.floor(((i % 3) * side) / 3), Math.floor(((i % 3) + 1) * (side / 3))]
    const [top, bottom] = [Math.floor((Math.floor(i / 3) * side) / 3), Math.floor((Math.floor(i / 3) + 1) * (side / 3))]
    if (overlap(before, now, { left, top, width: right - left, height: bottom - top }, 0, 0) < 0.4) changed++
  }
  return changed
}

interface Part {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Pearson's correlation of before[x, y] and now[x + dx, y + dy] over the part, as far as both exist. */
function overlap(
  before: Float32Array,
  now: Float32Array,
  { left, top, width, height }: Part,
  dx: number,
  dy: number,
): number {
  let [n, a, b, aa, bb, ab] = [0, 0, 0, 0, 0, 0]
  for (let y = Math.max(top, -dy); y < Math.min(top + height, side - dy); y++) {
    for (let x = Math.max(left, -dx); x < Math.min(left + width, side - dx); x++) {
      const [p, q] = [before[y * side + x]!, now[(y + dy) * side + x + dx]!]
      n++
      a += p
      b += q
      aa += p * p
      bb += q * q
      ab += p * q
    }
  }
  const spread = (aa - (a * a) / n) * (bb - (b * b) / n)
  return spread > 0 ? (ab - (a * b) / n) / Math.sqrt(spread) : 0
}

/** Half as many cells in each direction, as means of two by two. */
function reduced(cells: Float32Array, width: number): Float32Array {
  const half = width / 2
  const result = new Float32Array(half * half)
  for (let y = 0; y < half; y++)
    for (let x = 0; x < half; x++) {
      const at = 2 * y * width + 2 * x
      result[y * half + x] = (cells[at]! + cells[at + 1]! + cells[at + width]! + cells[at + width + 1]!) / 4
    }
  return result
}

/** The mean difference between neighbouring cells. */
function meanStep(cells: Float32Array, width: number): number {
  let sum = 0
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) {
      const level = cells[y * width + x]!
      if (x + 1 < width) sum += Math.abs(level - cells[y * width + x + 1]!)
      if (y + 1 < width) sum += Math.abs(level - cells[(y + 1) * width + x]!)
    }
  return sum / (2 * width * (width - 1))
}

function normalized(values: Float32Array): Float32Array {
  const mean = average(values)
  const centred = values.map((value) => value - mean)
  const length = Math.sqrt(centred.reduce((sum, value) => sum + value * value, 0))
  return length > 0 ? centred.map((value) => value / length) : centred
}

function average(values: Float32Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}
