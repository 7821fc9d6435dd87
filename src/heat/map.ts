/**
 * Class activation maps: what each place of the feature map before global average pooling adds to the score of a class.
 * The feature map is an extra output of the engine, so no step runs twice. A heat map costs one product with the weights
 * of its class, and only when it is asked for.
 */
import { loadAddon } from '../addon.js'
import type { HeatHead } from '../model/metadata/heat-head.js'
import { expected } from '../errors.js'

/** The heat map of one class. The caller owns its memory. */
export interface HeatMap {
  readonly classIndex: number
  readonly width: number
  readonly height: number
  /** Row by row. Their mean plus a bias is the logit of the class. Negative values are evidence against the class. */
  readonly values: Float32Array
}

/** The heat map of the last run for any class. Throws TypeError for a class that the model does not have. */
export type HeatSource = (classIndex: number) => HeatMap

/** The heat source of a model, or the reason why it has none. */
export type Heat = { readonly heat: HeatSource } | { readonly reason: string }

/** The feature map as an engine outputs it: one image, channels first or last. */
export interface FeatureMap {
  readonly data: Float32Array
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly isNhwc: boolean
}

/**
 * Heat maps from the engine's feature map `map`, which is read at each call.
 *
 *     const heat = createHeatSource(head, map, classes)
 *     await engine.run()
 *     const { width, height, values } = heat(classIndex)
 */
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

/** The product in plain TypeScript: the reference of the native one, and its replacement without the addon. */
export function plainProduct(map: Float32Array, weights: Float32Array, isNhwc: boolean, heat: Float32Array): void {
  const [places, channels] = [heat.length, weights.length]
  const [placeStride, channelStride] = isNhwc ? [channels, 1] : [1, places]
  for (let p = 0; p < places; p++) {
    let sum = 0
    for (let c = 0; c < channels; c++) sum += map[p * placeStride + c * channelStride]! * weights[c]!
    heat[p] = sum
  }
}
