/**
 * Heat maps of a head that was taught: it is linear in feature maps that are pooled on grids, so what each place adds to the
 * score of a class is exact. A part is centred on a mean and brought to length 1 before the head; that length is the run's own.
 */
import { expected } from '../errors.js'
import type { FeatureMap, HeatSource } from './map.js'

/** Names of the values and constants of a taught graph that heat maps read. */
export const gridNames = {
  weights: 'gapcam.constant weights',
  mean: (part: number) => `gapcam.constant mean ${part}`,
  /** The share of each place in each cell. */
  cells: (part: number) => `gapcam.constant cells ${part}`,
  /** The map with its channels last, [places, channels]. */
  rows: (part: number) => `gapcam.rows ${part}`,
  /** Shares by map: the sums of the cells. */
  binned: (part: number) => `gapcam.binned ${part}`,
  /** The mean of the map, of a part that has no cells. */
  pooled: (part: number) => `gapcam.pooled ${part}`,
  /** The pooled part before centring. */
  part: (part: number) => `gapcam.part ${part}`,
} as const

/** A map that is pooled on a grid, with the head's weights of it. */
export interface GridPart {
  readonly map: FeatureMap
  /** [cells, places]. */
  readonly shares: Float32Array
  /** [channels · cells], the cells of a channel together. */
  readonly mean: Float32Array
  /** [channels · cells, classes]. */
  readonly weights: Float32Array
  /** The pooled part of the last run, memory of the engine. */
  readonly pooled: Float32Array
}

/** The weights of one class: [cells, channels], and their product with the mean of each cell. */
interface ClassWeights {
  readonly weights: Float32Array
  readonly atMean: Float64Array
}

/** Heat maps at the resolution of the first part's map: their mean plus the bias is the logit of the class. */
export function createGridHeat(parts: readonly GridPart[], classes: number): HeatSource {
  const { width, height } = parts[0]!.map
  const known = new Map<number, readonly ClassWeights[]>()
  return (classIndex) => {
    if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= classes)
      throw expected(`a class from 0 to ${classes - 1}`, 'the heat map', classIndex)
    const weights = known.get(classIndex) ?? parts.map((part) => classWeights(part, classIndex, classes))
    known.set(classIndex, weights)
    const values = new Float32Array(width * height)
    parts.forEach((part, i) => addPart(values, { width, height }, part, weights[i]!))
    for (let p = 0; p < values.length; p++) values[p]! *= values.length
    return { classIndex, width, height, values }
  }
}

const cellsOf = ({ mean, map }: GridPart): number => mean.length / map.channels

function classWeights(part: GridPart, classIndex: number, classes: number): ClassWeights {
  const [cells, { channels }] = [cellsOf(part), part.map]
  const weights = new Float32Array(cells * channels)
  const atMean = new Float64Array(cells)
  for (let c = 0; c < channels; c++)
    for (let b = 0; b < cells; b++) {
      const weight = part.weights[(c * cells + b) * classes + classIndex]!
      weights[b * channels + c] = weight
      atMean[b]! += weight * part.mean[c * cells + b]!
    }
  return { weights, atMean }
}

function addPart(
  values: Float32Array,
  size: { readonly width: number; readonly height: number },
  part: GridPart,
  { weights, atMean }: ClassWeights,
): void {
  const { map, shares, pooled, mean } = part
  const { data, channels, isNhwc } = map
  const [cells, places] = [cellsOf(part), map.width * map.height]
  const length = Math.sqrt(pooled.reduce((sum, value, i) => sum + (value - mean[i]!) ** 2, 0))
  if (!(length > 0)) return
  const [placeStride, channelStride] = isNhwc ? [channels, 1] : [1, places]
  for (let p = 0; p < places; p++) {
    const y = Math.floor((Math.floor(p / map.width) * size.height) / map.height)
    const x = Math.floor(((p % map.width) * size.width) / map.width)
    let sum = 0
    for (let b = 0; b < cells; b++) {
      const share = shares[b * places + p]!
      if (share === 0) continue
      let product = -atMean[b]!
      for (let c = 0; c < channels; c++)
        product += weights[b * channels + c]! * data[p * placeStride + c * channelStride]!
      sum += share * product
    }
    values[y * size.width + x]! += sum / length
  }
}
