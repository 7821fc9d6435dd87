/**
 * Weights as signed 8-bit numbers with one scale for each output channel, symmetric around 0, from -127 to 127. A channel of
 * almost nothing gets a scale that keeps its bias inside 32 bits.
 */
import { intAttribute, floatsOf, type Constant, type Graph } from '../model/graph.js'
import type { Covariance } from './covariance.js'
import { compensation, roundRow } from './rounding.js'
import type { Layer } from './selection.js'

export interface QuantizedWeights {
  readonly values: Int8Array
  readonly shape: readonly number[]
  /** The axis of the output channels. */
  readonly axis: number
  /** One for each output channel. */
  readonly scales: Float32Array
  /** Rounded minus exact, summed over the kernel's places: [output channel, input channel of its group]. */
  readonly errors: Float64Array
}

/** A channel whose largest weight is below this share of the layer's largest counts as almost nothing. */
const leastShare = 2 ** -10

/**
 * Quantizes the weights of a layer that has some. With the covariance of its inputs, rounding errors compensate each other; else
 * each weight is rounded to nearest.
 */
export function quantizeWeights(
  graph: Graph,
  { node, weights }: Layer,
  covariance: Covariance | null = null,
): QuantizedWeights {
  const constant = graph.constants.get(weights!)!
  const { shape } = constant
  const axis = node.op === 'Conv' || (node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 1) ? 0 : 1
  const values = floatsOf(constant)
  const [outputs, inputs, places] =
    axis === 0 ? [shape[0]!, shape[1]!, count(shape.slice(2))] : [shape[1]!, shape[0]!, 1]
  const length = inputs * places
  const at = (o: number, k: number): number => (axis === 0 ? o * length + k : k * outputs + o)
  const scales = scalesOf(values, outputs, at, length)
  const result = new Int8Array(values.length)
  const errors = new Float64Array(outputs * inputs)
  const round = rounder(covariance, outputs)
  for (let o = 0; o < outputs; o++) {
    const row = Float64Array.from({ length }, (_, k) => values[at(o, k)]! / scales[o]!)
    round(row, o)
    for (let k = 0; k < length; k++) {
      const j = at(o, k)
      result[j] = row[k]!
      errors[o * inputs + Math.floor(k / places)]! += row[k]! * scales[o]! - values[j]!
    }
  }
  return { values: result, shape, axis, scales, errors }
}

/** Rounds the weights of one output in place. */
function rounder(covariance: Covariance | null, outputs: number): (row: Float64Array, output: number) => void {
  const nearest = (row: Float64Array): void => {
    for (let k = 0; k < row.length; k++) row[k] = Math.max(-127, Math.min(127, roundHalfEven(row[k]!)))
  }
  if (!covariance) return nearest
  const { groups, blocks, samples } = covariance
  let [group, factors] = [-1, [] as readonly ReturnType<typeof compensation>[]]
  return (row, output) => {
    const own = Math.floor((output * groups) / outputs)
    if (own !== group) factors = blocks[own]!.map(({ matrix, size }) => compensation(matrix, size, samples))
    group = own
    blocks[own]!.forEach(({ start, size }, i) => {
      const part = row.subarray(start, start + size)
      const factor = factors[i]
      if (factor) roundRow(part, factor, roundHalfEven)
      else nearest(part)
    })
  }
}

function scalesOf(
  values: Float32Array,
  outputs: number,
  at: (o: number, k: number) => number,
  length: number,
): Float32Array {
  const largest = Float64Array.from({ length: outputs }, (_, o) => {
    let most = 0
    for (let k = 0; k < length; k++) most = Math.max(most, Math.abs(values[at(o, k)]!))
    return most
  })
  const least = Math.max(...largest) * leastShare
  return Float32Array.from(largest, (most) => Math.max(most, least, 2 ** -100) / 127)
}

const count = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1)

/** As ONNX's QuantizeLinear rounds. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

/** Limit of a bias in steps: sums of a layer stay far from 2^31. */
const mostBias = 2 ** 30

/** A bias as 32-bit numbers in steps of input scale times weight scale. */
export function quantizeBias(bias: Float64Array, inputScale: number, scales: Float32Array): Constant {
  const steps = Int32Array.from(bias, (value, o) =>
    Math.max(-mostBias, Math.min(mostBias, roundHalfEven(value / (inputScale * scales[o]!)))),
  )
  return { type: 'int32', shape: [steps.length], bytes: new Uint8Array(steps.buffer) }
}
