/**
 * Convolutions and products on bytes: the weights in the form that steps take, the multipliers that bring a sum to the
 * result's scale, and the bias as int32. The arithmetic is onnxruntime's (see quantized-steps.ts).
 */
import { elementCount, type Code } from '../../tensor.js'
import { floatsOf, numbersOf, type Constant, type Node, type StoredIntegers } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'
import { integersOf } from './weights.js'

/** The constants of an integer convolution or product. */
export interface Product {
  readonly op: 'QConv' | 'QDense'
  /** int8 with zero point 0, or uint8. */
  readonly weights: Constant
  readonly weightZero: number
  readonly bias: Constant | null
  /** (scale of x · scale of the weights) / scale of y, by output. */
  readonly multipliers: Float32Array
  /** Whether the weights of one output lie together. Always for a convolution. */
  readonly isTransposed: boolean
}

/** More products in a sum might not fit int32. */
const mostDepth = Math.floor(2 ** 31 / (255 * 255)) - 1
/** A bias whose scale differs by more than this share from that of the sum is rounded anew. */
const sameScale = 1e-6

const { fround } = Math

/** What a Conv, Gemm or MatMul on bytes of code `x` needs for a result of code `y`; null where it cannot run on integers. */
export function productOf(index: GraphIndex, node: Node, x: Code, y: Code): Product | null {
  const integers = index.graph.integers?.get(node.inputs[1] ?? '')
  const axis = outputAxis(index, node)
  const stored = integers ? byteWeights(integers) : null
  if (!integers || axis === null || !stored) return null
  const outputs = stored.weights.shape[axis] ?? 0
  if (integers.scale.length > 1 && (integers.axis !== axis || integers.scale.length !== outputs)) return null
  if (elementCount(stored.weights.shape) / outputs > mostDepth) return null
  const sums = Float32Array.from({ length: outputs }, (_, o) => fround(x.scale) * fround(scaleAt(integers, o)))
  const multipliers = sums.map((scale) => scale / fround(y.scale))
  const bias = biasOf(index, node, sums)
  if (bias === undefined || !multipliers.every((m) => Number.isFinite(m))) return null
  return { op: node.op === 'Conv' ? 'QConv' : 'QDense', ...stored, bias, multipliers, isTransposed: axis === 0 }
}

const scaleAt = ({ scale }: StoredIntegers, at: number): number => scale[scale.length === 1 ? 0 : at]!

/** The axis of the weights along which the outputs lie; null for a node that steps on integers do not cover. */
function outputAxis(index: GraphIndex, node: Node): 0 | 1 | null {
  const view = index.view(node)
  const rank = index.shape(node.inputs[1] ?? '').length
  if (node.op === 'Conv') return rank === 4 && node.outputs.length === 1 && node.inputs.length < 4 ? 0 : null
  if (rank !== 2) return null
  if (node.op === 'MatMul') return index.shape(node.inputs[0]!).length >= 2 ? 1 : null
  const isPlain = view.float('alpha', 1) === 1 && view.float('beta', 1) === 1 && view.int('transA', 0) === 0
  return node.op === 'Gemm' && isPlain ? (view.int('transB', 0) === 1 ? 0 : 1) : null
}

/** Weights as int8 around 0, or as uint8 around any number; null where each output has its own zero point. */
function byteWeights({ stored, zeroPoint }: StoredIntegers): { weights: Constant; weightZero: number } | null {
  const [zero = 0] = zeroPoint
  if (zeroPoint.some((other) => other !== zero)) return null
  if (stored.type === 'int8' && zero === 0) return { weights: stored, weightZero: 0 }
  if (stored.type === 'uint8' && zero !== 128) return { weights: stored, weightZero: zero }
  if (stored.type !== 'int8' && stored.type !== 'uint8') return null
  // The other sign bit: 128 and 0 trade places.
  const turned: Constant = {
    type: stored.type === 'int8' ? 'uint8' : 'int8',
    shape: stored.shape,
    bytes: Uint8Array.from(stored.bytes, (byte) => byte ^ 128),
  }
  return { weights: turned, weightZero: stored.type === 'int8' ? zero + 128 : 0 }
}

/** The bias in steps of the sums; null without one, undefined where it is not constant or not one number an output. */
function biasOf(index: GraphIndex, node: Node, sums: Float32Array): Constant | null | undefined {
  const [, , name = ''] = node.inputs
  if (name === '') return null
  const constant = index.constant(name)
  const count = constant ? elementCount(constant.shape) : 0
  if (constant?.type !== 'float32' || !(count === sums.length || count === 1)) return undefined
  if (node.op === 'Gemm' && (constant.shape.at(-1) ?? 1) !== count) return undefined
  const integers = index.graph.integers?.get(name)
  const stored = integers ? storedBias(integers, sums) : null
  const values = floatsOf(constant)
  const rounded = stored ?? Int32Array.from(sums, (scale, o) => int32(values[count === 1 ? 0 : o]! / scale))
  return {
    type: 'int32',
    shape: [sums.length],
    bytes: new Uint8Array(rounded.buffer, rounded.byteOffset, rounded.byteLength),
  }
}

/** The integers of the file where their scale is that of the sums. */
function storedBias(integers: StoredIntegers, sums: Float32Array): Int32Array | null {
  const { stored, zeroPoint } = integers
  const isRight =
    zeroPoint.every((zero) => zero === 0) &&
    elementCount(stored.shape) === sums.length &&
    sums.every((scale, o) => Math.abs(scaleAt(integers, o) / scale - 1) <= sameScale)
  return isRight ? Int32Array.from(numbersOrView(stored)) : null
}

const numbersOrView = (constant: Constant): ArrayLike<number> =>
  constant.type === 'int32' ? numbersOf(constant) : integersOf(constant)

/** The nearest int32, ties to even. */
function int32(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  return Number.isNaN(rounded) ? 0 : Math.min(Math.max(rounded, -(2 ** 31)), 2 ** 31 - 1)
}
