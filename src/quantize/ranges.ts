/** From statistics to the scale and zero point of an unsigned 8-bit tensor. */
import type { Bounds } from './bounds.js'
import type { TensorStatistics } from './calibration.js'

/** `real = scale · (quantized - zeroPoint)`, quantized from 0 to 255. */
export interface Affine {
  readonly scale: number
  readonly zeroPoint: number
}

/** The share of values that a range without a known bound keeps inside. 0.9999 cuts features off: 1.3 dB less with MobileNetV2. */
const kept = 0.99999

/**
 * The range of a tensor: least to greatest value on a side that an activation bounds, else the 99.999 % quantile; 0 is always
 * inside, since padding is 0.
 */
export function rangeOf(statistics: TensorStatistics, bounds: Bounds | null): Bounds {
  const { min, max } = statistics
  const isBelowBounded = bounds !== null && bounds.low > -Infinity
  const isAboveBounded = bounds !== null && bounds.high < Infinity
  const low = isBelowBounded ? min : quantile(statistics, 1 - kept)
  const high = isAboveBounded ? max : quantile(statistics, kept)
  return { low: Math.min(0, Math.max(low, min)), high: Math.max(0, Math.min(high, max)) }
}

/** The value below which a share of the histogram lies. */
function quantile({ min, max, histogram }: TensorStatistics, share: number): number {
  const total = histogram.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (let i = 0; i < histogram.length; i++) {
    seen += histogram[i]!
    if (seen >= share * total) return min + ((i + (share > 0.5 ? 1 : 0)) * (max - min)) / histogram.length
  }
  return max
}

/** Scale and zero point with which 0 to 255 cover the range. */
export function affineOf({ low, high }: Bounds): Affine {
  const scale = Math.fround((high - low) / 255) || 2 ** -20
  return { scale, zeroPoint: Math.min(255, Math.max(0, Math.round(-low / scale))) }
}
