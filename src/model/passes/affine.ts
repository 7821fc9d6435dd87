/**
 * Affine maps of each channel, y = factor x + offset: BatchNormalization, and the Mul, Add, Sub and Div by constants into
 * which exporters split it.
 */
import { hasFusedActivation } from '../activation.js'
import { floatsOf, type Node } from '../graph.js'
import { batchNormAffine } from '../operators/elementwise.js'
import { unlessUnsupported } from './attempt.js'
import type { GraphIndex } from '../graph-index.js'

/** One factor and one offset per channel. */
export interface Affine {
  readonly factor: Float32Array
  readonly offset: Float32Array
}

/** The only operand that is not constant, if the node may be an affine map of it; else null. */
export function affineOperand(index: GraphIndex, node: Node): string | null {
  if (node.domain !== '' || hasFusedActivation(node)) return null
  if (node.op === 'BatchNormalization') return node.inputs[0]!
  if (!['Mul', 'Add', 'Sub', 'Div'].includes(node.op)) return null
  const [a = '', b = ''] = node.inputs
  const [isFirst, isSecond] = [index.constant(a) !== undefined, index.constant(b) !== undefined]
  return isFirst === isSecond ? null : isFirst ? b : a
}

/** The affine map that a node computes of its operand, whose channels lie along `axis`; else null. */
export function affineOf(index: GraphIndex, node: Node, axis: number): Affine | null {
  const value = affineOperand(index, node)
  if (value === null || index.shape(node.outputs[0]!).join() !== index.shape(value).join()) return null
  if (node.op === 'BatchNormalization')
    return axis === 1 ? unlessUnsupported(() => batchNormAffine(index.view(node))) : null
  const shape = index.shape(value)
  const channels = shape[axis] ?? 1
  const isFirst = node.inputs[0] === value
  const other = index.constant(node.inputs[isFirst ? 1 : 0])
  const spread = other?.type === 'float32' ? perChannel(floatsOf(other), other.shape, shape, axis) : null
  if (!spread) return null
  const constant = (number: number): Float32Array => new Float32Array(channels).fill(number)
  switch (node.op) {
    case 'Mul':
      return { factor: spread, offset: constant(0) }
    case 'Add':
      return { factor: constant(1), offset: spread }
    case 'Div':
      return isFirst ? { factor: spread.map((v) => 1 / v), offset: constant(0) } : null
    case 'Sub':
      return isFirst ? { factor: constant(1), offset: spread.map((v) => -v) } : { factor: constant(-1), offset: spread }
    default:
      return null
  }
}

/** The map `second(first(x))`. */
export function composed(first: Affine, second: Affine): Affine {
  return {
    factor: first.factor.map((f, i) => f * second.factor[i]!),
    offset: first.offset.map((o, i) => o * second.factor[i]! + second.offset[i]!),
  }
}

/** A constant as one value per channel, or null where it differs along other axes. */
function perChannel(
  values: Float32Array,
  shape: readonly number[],
  target: readonly number[],
  axis: number,
): Float32Array | null {
  const channels = target[axis] ?? 1
  if (values.length === 1) return new Float32Array(channels).fill(values[0]!)
  const aligned = [...new Array<number>(Math.max(0, target.length - shape.length)).fill(1), ...shape]
  const isChannelOnly =
    values.length === channels &&
    aligned.length === target.length &&
    aligned.every((size, i) => (i === axis ? size === channels : size === 1))
  return isChannelOnly ? values : null
}
