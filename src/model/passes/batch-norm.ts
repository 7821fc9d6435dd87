/**
 * Folds per-channel scales and offsets (BatchNormalization, and the Mul and Add by constants into which some exporters
 * split it) into the weights and bias of the convolution or matrix before them, or of those behind them. A padded
 * convolution behind them cannot absorb an offset: the padding is added after the offset and stays zero.
 */
import { elementCount } from '../../tensor.js'
import { floatConstant, floatsOf, type Constant, type Graph, type Node, type Value } from '../graph.js'
import { resolveWindow } from '../shapes/window.js'
import { affineOf, affineOperand, type Affine } from './affine.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed, repeated } from './changes.js'
import { isByOutput, isFoldable } from './weighted.js'

/** Repeats until nothing can be folded. */
export function foldBatchNorms(graph: Graph): Graph {
  return repeated(graph, (current) => foldIntoNext(repeated(scaledBeforeRelu(current), foldIntoPrevious)))
}

/** Moves a product by positive numbers from behind a Relu in front of it, where a convolution can absorb it. */
function scaledBeforeRelu(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  for (const node of graph.nodes) {
    const relu = node.op === 'Mul' ? index.soleMaker(affineOperand(index, node) ?? '', node) : undefined
    if (relu?.op !== 'Relu' && relu?.op !== 'LeakyRelu') continue
    const linear = index.soleMaker(relu.inputs[0]!, relu)
    const affine =
      linear && isFoldable(index, linear)
        ? affineOf(index, node, linear.op === 'Conv' ? 1 : index.shape(relu.inputs[0]!).length - 1)
        : null
    if (!affine?.factor.every((factor) => factor > 0)) continue
    const [value, between] = [relu.outputs[0]!, `${node.outputs[0]!}.scaled`]
    values.push({ name: between, type: 'float32', shape: index.shape(value) })
    replaced.set(relu, [
      changed(node, {
        inputs: node.inputs.map((input) => (input === value ? relu.inputs[0]! : input)),
        outputs: [between],
      }),
    ])
    replaced.set(node, [changed(relu, { inputs: [between], outputs: node.outputs })])
  }
  return applyChanges(graph, { replaced, values })
}

/** Folds an affine map into the node whose result it alone reads. */
function foldIntoPrevious(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const value = affineOperand(index, node)
    const linear = value === null ? undefined : index.soleMaker(value, node)
    if (!linear || replaced.has(linear) || !isFoldable(index, linear)) continue
    const affine = affineOf(index, node, linear.op === 'Conv' ? 1 : index.shape(value!).length - 1)
    if (!affine) continue
    const weights = `${linear.inputs[1]!}*${node.name}`
    const bias = `${linear.name}.bias*${node.name}`
    constants.set(weights, scaledWeights(index, linear, affine.factor))
    constants.set(bias, scaledBias(index, linear, affine))
    replaced.set(node, [])
    replaced.set(linear, [changed(linear, { inputs: [linear.inputs[0]!, weights, bias], outputs: [node.outputs[0]!] })])
  }
  return applyChanges(graph, { replaced, constants })
}

/** The weights with each output's factor. */
function scaledWeights(index: GraphIndex, linear: Node, factor: Float32Array): Constant {
  const weights = index.constant(linear.inputs[1])!
  const values = floatsOf(weights)
  const result = new Float32Array(values.length)
  if (!isByOutput(index, linear)) {
    for (let i = 0; i < values.length; i += factor.length)
      for (let n = 0; n < factor.length; n++) result[i + n] = values[i + n]! * factor[n]!
    return floatConstant(weights.shape, result)
  }
  const run = elementCount(weights.shape.slice(1))
  for (let n = 0, i = 0; n < factor.length; n++)
    for (const end = i + run; i < end; i++) result[i] = values[i]! * factor[n]!
  return floatConstant(weights.shape, result)
}

/** The bias that gives factor · bias + offset. */
function scaledBias(index: GraphIndex, linear: Node, { factor, offset }: Affine): Constant {
  const bias = linear.inputs[2] ? floatsOf(index.constant(linear.inputs[2])!) : null
  const at = (i: number): number => (bias ? bias[bias.length === 1 ? 0 : i]! : 0)
  return floatConstant(
    [factor.length],
    Float32Array.from(factor, (f, i) => at(i) * f + offset[i]!),
  )
}

/** Folds an affine map into all nodes that read it, if every one of them can absorb it. */
function foldIntoNext(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const value = affineOperand(index, node)
    const [output = ''] = node.outputs
    const readers = index.readers(output)
    if (value === null || index.isOutput(output) || readers.length === 0 || replaced.has(node)) continue
    const affine = affineOf(index, node, readers.every(({ op }) => op === 'Conv') ? 1 : index.shape(output).length - 1)
    if (!affine || !readers.every((reader) => !replaced.has(reader) && absorbs(index, reader, output, affine))) continue
    replaced.set(node, [])
    for (const reader of readers) {
      const [weights, bias] = [`${reader.inputs[1]!}*${node.name}`, `${reader.name}.bias*${node.name}`]
      const inner = absorbed(index, reader, affine)
      constants.set(weights, inner.weights)
      constants.set(bias, inner.bias)
      replaced.set(reader, [changed(reader, { inputs: [value, weights, bias] })])
    }
  }
  return applyChanges(graph, { replaced, constants })
}

/** Whether a node can absorb an affine map of its input `value`. */
function absorbs(index: GraphIndex, reader: Node, value: string, { offset }: Affine): boolean {
  if (reader.inputs[0] !== value || !isFoldable(index, reader)) return false
  if (reader.op !== 'Conv') return index.shape(value).length >= 2 && index.view(reader).int('transA', 0) === 0
  const [, , h = 0, w = 0] = index.shape(value)
  const [, , kh = 0, kw = 0] = index.shape(reader.inputs[1]!)
  return (
    offset.every((o) => o === 0) ||
    unlessUnsupported(() => resolveWindow(index.view(reader), [h, w], [kh, kw]).pads.every((pad) => pad === 0)) === true
  )
}

/** New weights and bias: for x they give what the old ones give for factor x + offset. */
function absorbed(index: GraphIndex, linear: Node, { factor, offset }: Affine): { weights: Constant; bias: Constant } {
  const weights = index.constant(linear.inputs[1])!
  const values = floatsOf(weights)
  const result = new Float32Array(values.length)
  const byOutput = isByOutput(index, linear)
  const outputs = weights.shape[byOutput ? 0 : 1]!
  const bias = linear.inputs[2] ? floatsOf(index.constant(linear.inputs[2])!) : null
  const shift = Float64Array.from({ length: outputs }, (_, n) => (bias ? bias[bias.length === 1 ? 0 : n]! : 0))
  // Elements of one input channel that lie side by side, and input channels that one output reads.
  const run = elementCount(weights.shape.slice(2))
  const channels = weights.shape[byOutput ? 1 : 0]!
  const perGroup = outputs / (linear.op === 'Conv' ? index.view(linear).int('group', 1) : 1)
  const step = byOutput ? run : outputs
  for (let n = 0; n < outputs; n++) {
    const first = linear.op === 'Conv' ? Math.floor(n / perGroup) * channels : 0
    let sum = shift[n]!
    for (let c = 0, at = byOutput ? n * channels * run : n; c < channels; c++, at += step) {
      const f = factor[first + c]!
      const o = offset[first + c]!
      for (let i = at; i < at + run; i++) {
        result[i] = values[i]! * f
        sum += values[i]! * o
      }
    }
    shift[n] = sum
  }
  return { weights: floatConstant(weights.shape, result), bias: floatConstant([outputs], Float32Array.from(shift)) }
}
