/**
 * Networks whose activations are quantised with scales that each run finds (DynamicQuantizeLinear, ConvInteger and
 * MatMulInteger): their weights become real numbers, and the activations stay what they are. This is more exact and saves
 * the search for the scale. A use that is not covered stays as it is.
 */
import {
  floatConstant,
  intAttribute,
  madeNode,
  type Attribute,
  type Constant,
  type Graph,
  type Node,
} from '../graph.js'
import { GraphIndex } from '../graph-index.js'

const float32 = 1
const half = 10

/** The graph with products of real numbers in place of those that a run quantises. */
export function expandDynamic(graph: Graph): Graph {
  const isDynamic = ({ op }: Node): boolean => op === 'DynamicQuantizeLinear' || products.has(op)
  if (!graph.nodes.some(isDynamic)) return graph
  const index = GraphIndex.of(graph)
  const constants = new Map(graph.constants)
  const sources = realSources(index)
  const replaced = new Map<Node, readonly Node[]>()
  for (const [quantizer, x] of sources) {
    const [, scale = ''] = quantizer.outputs
    // The real numbers are not scaled, so the factor that scales the product back is 1.
    constants.set(scale, one)
    replaced.set(quantizer, [])
    for (const reader of index.readers(quantizer.outputs[0]!))
      replaced.set(reader, onReals(reader, x, scale, constants))
  }
  for (const node of graph.nodes)
    if (!replaced.has(node) && isWholeProduct(index, node)) replaced.set(node, onIntegers(node, constants))
  return { ...graph, constants, nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]) }
}

const one = floatConstant([], Float32Array.of(1))
const products: ReadonlySet<string> = new Set(['ConvInteger', 'MatMulInteger', 'MatMulIntegerToFloat'])
const onNumbers: Readonly<Record<string, string>> = { ConvInteger: 'Conv', MatMulInteger: 'MatMul' }

/** Each DynamicQuantizeLinear of which every use is covered, with the real numbers that it quantises. */
function realSources(index: GraphIndex): ReadonlyMap<Node, string> {
  const found = new Map<Node, string>()
  for (const node of index.graph.nodes) {
    if (node.op !== 'DynamicQuantizeLinear') continue
    const [y = '', scale = '', zero = ''] = node.outputs
    const areInner = node.outputs.every((output) => !index.isOutput(output))
    const isCovered = (reader: Node): boolean =>
      reader.inputs[0] === y &&
      (reader.op === 'DequantizeLinear' || (products.has(reader.op) && areCast(index, reader)))
    const readsScale = (reader: Node): boolean => isCovered(reader) || reader.op === 'Mul'
    if (
      areInner &&
      index.readers(y).every(isCovered) &&
      index.readers(zero).every(isCovered) &&
      index.readers(scale).every(readsScale)
    )
      found.set(node, node.inputs[0]!)
  }
  return found
}

/** Whether a product's integers are only read as floats, so that it may give floats at once. */
function areCast(index: GraphIndex, node: Node): boolean {
  if (node.op === 'MatMulIntegerToFloat') return true
  const [y = ''] = node.outputs
  return !index.isOutput(y) && index.readers(y).every((reader) => reader.op === 'Cast' && isFloat(reader))
}

const isFloat = (cast: Node): boolean => [float32, half].includes(intAttribute(cast, 'to', 0))

const isWholeProduct = (index: GraphIndex, node: Node): boolean => node.op in onNumbers && areCast(index, node)

const axis = (value: number): Readonly<Record<string, Attribute>> => ({ axis: { kind: 'int', value } })

/** A reader of quantised activations, on the real numbers x. */
function onReals(node: Node, x: string, scale: string, constants: Map<string, Constant>): readonly Node[] {
  const [y = ''] = node.outputs
  if (node.op === 'DequantizeLinear') return [madeNode('Identity', { name: node.name, inputs: [x], output: y })]
  if (node.op !== 'MatMulIntegerToFloat') return product(node, [], x, constants)
  const [, b = '', , bScale = '', , bZero = '', bias = ''] = node.inputs
  const weights = dequantize(b, bScale === '' ? scale : bScale, bZero, `${y}.b`, -1)
  const result = bias === '' ? y : `${y}.product`
  return [
    weights,
    madeNode('MatMul', { name: node.name, inputs: [x, `${y}.b`], output: result }),
    ...(bias === '' ? [] : [madeNode('Add', { inputs: [result, bias], output: y })]),
  ]
}

/** A product of integers that are known as such: they are small enough to be exact as floats. */
function onIntegers(node: Node, constants: Map<string, Constant>): readonly Node[] {
  const [x = '', , zero = ''] = node.inputs
  const [y = ''] = node.outputs
  constants.set(`${y}.one`, one)
  return product(node, [dequantize(x, `${y}.one`, zero, `${y}.x`, -2)], `${y}.x`, constants)
}

/** ConvInteger or MatMulInteger on a real x: the weights less their zero point, unscaled. */
function product(node: Node, before: readonly Node[], x: string, constants: Map<string, Constant>): readonly Node[] {
  const [, weights = '', , zero = ''] = node.inputs
  const [y = ''] = node.outputs
  const isConv = node.op === 'ConvInteger'
  constants.set(`${y}.one`, one)
  const { name, attributes } = node
  return [
    ...before,
    dequantize(weights, `${y}.one`, zero, `${y}.weights`, isConv ? 0 : -1),
    madeNode(onNumbers[node.op]!, { name, attributes, inputs: [x, `${y}.weights`], output: y }),
  ]
}

function dequantize(x: string, scale: string, zero: string, output: string, along: number): Node {
  return madeNode('DequantizeLinear', {
    inputs: zero === '' ? [x, scale] : [x, scale, zero],
    output,
    attributes: axis(along),
  })
}
