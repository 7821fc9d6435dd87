/**
 * Per-channel scales and offsets behind a convolution go into its weights and bias: BatchNormalization, and the Mul and
 * Add by constants that some exporters split it into. Repeats until nothing is left to take in.
 */
import { elementCount } from '../../tensor.js'
import { floatConstant, floatsOf, type Constant, type Graph, type Node } from '../graph.js'
import { batchNormAffine } from '../operators/elementwise.js'
import { Unsupported } from '../view.js'
import { applyChanges, changed, GraphIndex } from './rewrite.js'

/** y = factor x + offset for each channel. */
interface Affine {
  readonly factor: Float32Array
  readonly offset: Float32Array
}

export function foldBatchNorms(graph: Graph): Graph {
  let current = graph
  for (;;) {
    const next = foldOnce(current)
    if (next === current) return current
    current = next
  }
}

function foldOnce(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const conv = convBefore(index, node)
    if (!conv || replaced.has(conv)) continue
    const channels = index.shape(conv.inputs[1]!)[conv.op === 'Conv' ? 0 : gemmAxis(index, conv)]!
    const affine = affineOf(index, node, conv.outputs[0]!, channels)
    if (!affine) continue
    const weights = `${conv.inputs[1]!}*${node.name}`
    const bias = `${conv.name}.bias*${node.name}`
    constants.set(weights, scaledWeights(index, conv, affine))
    constants.set(bias, scaledBias(index, conv, affine))
    replaced.set(node, [])
    replaced.set(conv, [changed(conv, { inputs: [conv.inputs[0]!, weights, bias], outputs: [node.outputs[0]!] })])
  }
  return applyChanges(graph, { replaced, constants })
}

/** The convolution (or Gemm without factors) whose result only this node reads, and whose weights are constant. */
function convBefore(index: GraphIndex, node: Node): Node | undefined {
  if (!['BatchNormalization', 'Mul', 'Add', 'Sub', 'Div'].includes(node.op)) return undefined
  const input = node.inputs.find((name) => !index.constant(name))
  const maker = input === undefined ? undefined : index.soleMaker(input, node)
  if (!maker || maker.inputs.length > 3 || index.constant(maker.inputs[1])?.type !== 'float32') return undefined
  const hasConstantBias = !maker.inputs[2] || index.constant(maker.inputs[2])?.type === 'float32'
  if (!hasConstantBias) return undefined
  if (maker.op === 'Conv') return maker
  const view = index.view(maker)
  const isPlainGemm = maker.op === 'Gemm' && view.float('alpha', 1) === 1 && view.float('beta', 1) === 1
  return isPlainGemm ? maker : undefined
}

function gemmAxis(index: GraphIndex, gemm: Node): number {
  return index.view(gemm).int('transB', 0) === 1 ? 0 : 1
}

function affineOf(index: GraphIndex, node: Node, value: string, channels: number): Affine | null {
  if (node.op === 'BatchNormalization') return batchNormOf(index, node)
  const isFirst = node.inputs[0] === value
  const other = index.constant(node.inputs[isFirst ? 1 : 0])
  const spread = other?.type === 'float32' ? perChannel(floatsOf(other), other.shape, index.shape(value), channels) : null
  if (!spread || index.shape(node.outputs[0]!).join() !== index.shape(value).join()) return null
  const ones = new Float32Array(channels).fill(1)
  const zeros = new Float32Array(channels)
  switch (node.op) {
    case 'Mul': return { factor: spread, offset: zeros }
    case 'Add': return { factor: ones, offset: spread }
    case 'Div': return isFirst ? { factor: spread.map((v) => 1 / v), offset: zeros } : null
    case 'Sub': return isFirst ? { factor: ones, offset: spread.map((v) => -v) } : { factor: ones.map((v) => -v), offset: spread }
    default: return null
  }
}

function batchNormOf(index: GraphIndex, node: Node): Affine | null {
  try {
    return batchNormAffine(index.view(node))
  } catch (error) {
    if (error instanceof Unsupported) return null
    throw error
  }
}

/** A constant as one value a channel, where it broadcasts along nothing but the channels. */
function perChannel(values: Float32Array, shape: readonly number[], target: readonly number[], channels: number): Float32Array | null {
  if (values.length === 1) return new Float32Array(channels).fill(values[0]!)
  const aligned = [...new Array<number>(Math.max(0, target.length - shape.length)).fill(1), ...shape]
  const isChannelOnly = values.length === channels && aligned.length === target.length && aligned.every((size, axis) => (axis === 1 ? size === channels : size === 1))
  return isChannelOnly ? values : null
}

function scaledWeights(index: GraphIndex, conv: Node, { factor }: Affine): Constant {
  const weights = index.constant(conv.inputs[1])!
  const values = floatsOf(weights)
  if (conv.op === 'Gemm' && gemmAxis(index, conv) === 1) return floatConstant(weights.shape, values.map((v, i) => v * factor[i % factor.length]!))
  const run = elementCount(weights.shape.slice(1))
  return floatConstant(weights.shape, values.map((v, i) => v * factor[Math.floor(i / run)]!))
}

function scaledBias(index: GraphIndex, conv: Node, { factor, offset }: Affine): Constant {
  const bias = conv.inputs[2] ? floatsOf(index.constant(conv.inputs[2])!) : null
  const at = (i: number): number => (bias ? bias[bias.length === 1 ? 0 : i]! : 0)
  return floatConstant([factor.length], Float32Array.from(factor, (f, i) => at(i) * f + offset[i]!))
}
