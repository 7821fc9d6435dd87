/**
 * Class activation maps: what each place of the feature map before global average pooling adds to a class's score. The
 * map is an output of the engine (none of its steps is run twice), and the product with one class's weights is all that
 * a heat map costs; nothing is computed while nobody asks.
 */
import { loadAddon } from '../addon.js'
import type { HeatHead } from '../model/metadata/heat-head.js'
import { expected } from '../errors.js'

/** Memory of its own. */
export interface HeatMap {
  readonly classIndex: number
  readonly width: number
  readonly height: number
  /** Row by row; their mean and a bias make the class's logit. Negative where a place speaks against the class. */
  readonly values: Float32Array
}

/** Heat of the last run, for any class. Throws TypeError for a class that the model does not have. */
export type HeatSource = (classIndex: number) => HeatMap

/** The feature map as an engine gives it: one picture, channels first or last. */
export interface FeatureMap {
  readonly data: Float32Array
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly isNhwc: boolean
}

export function createHeatSource(head: HeatHead, map: FeatureMap, classes: number): HeatSource {
  const { width, height, data, isNhwc } = map
  const loaded = loadAddon()
  const product = 'addon' in loaded ? loaded.addon.heatProduct : plainProduct
  return (classIndex) => {
    if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= classes)
      throw expected(`a class from 0 to ${classes - 1}`, 'the heat map', classIndex)
    const values = new Float32Array(width * height)
    product(data, head.weights(classIndex), isNhwc, values)
    return { classIndex, width, height, values }
  }
}

/** What the native product is tested against, and what serves where the addon cannot be loaded. */
export function plainProduct(map: Float32Array, weights: Float32Array, isNhwc: boolean, heat: Float32Array): void {
  const [places, channels] = [heat.length, weights.length]
  const [placeStride, channelStride] = isNhwc ? [channels, 1] : [1, places]
  for (let p = 0; p < places; p++) {
    let sum = 0
    for (let c = 0; c < channels; c++) sum += map[p * placeStride + c * channelStride]! * weights[c]!
    heat[p] = sum
  }
}
