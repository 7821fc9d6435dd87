/**
 * Recognizes global average pooling in each form that exporters write: ReduceMean over H and W (with or without
 * keepdims), ReduceMean of a map flattened to [N,C,H·W], a sum divided by H·W, or an average whose window is the map.
 */
import { elementCount } from '../../tensor.js'
import { int64Constant, madeNode, type Constant, type Graph, type Node, type Value } from '../graph.js'
import { resolveReduce } from '../shapes/reduce.js'
import { resolveWindow } from '../shapes/window.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'

/** The map of which a node computes the mean, or null. */
type Recognizer = (index: GraphIndex, node: Node) => string | null

/** Replaces each form by a GlobalAveragePool, with a Reshape where the result has another shape. */
export function recognizeMeans(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const map = mapOf(index, node)
    if (map === null) continue
    const [output = ''] = node.outputs
    const [n = 1, c = 1] = index.shape(map)
    const gap = madeNode('GlobalAveragePool', { name: node.name, inputs: [map], output })
    const shape = index.shape(output)
    if (shape.join() === [n, c, 1, 1].join()) {
      replaced.set(node, [gap])
      continue
    }
    const [pooled, sizes] = [`${output}.mean`, `${output}.sizes`]
    values.push({ name: pooled, type: 'float32', shape: [n, c, 1, 1] })
    constants.set(sizes, int64Constant([shape.length], shape))
    replaced.set(node, [
      { ...gap, outputs: [pooled] },
      madeNode('Reshape', { name: `${node.name} sizes`, inputs: [pooled, sizes], output }),
    ])
  }
  return applyChanges(graph, { replaced, values, constants })
}

function mapOf(index: GraphIndex, node: Node): string | null {
  if (node.domain !== '') return null
  for (const recognize of recognizers) {
    const map = unlessUnsupported(() => recognize(index, node))
    if (map !== null) return map
  }
  return null
}

/** ReduceMean over H and W. */
const spatialMean: Recognizer = (index, node) => {
  const [x = ''] = node.inputs
  if (node.op !== 'ReduceMean' || index.shape(x).length !== 4) return null
  return resolveReduce(index.view(node)).axes.join() === '2,3' ? x : null
}

/** ReduceMean over the last axis of a map reshaped to [N,C,H·W]. */
const flattenedMean: Recognizer = (index, node) => {
  const reshape = node.op === 'ReduceMean' ? index.maker(node.inputs[0]!) : undefined
  if (reshape?.op !== 'Reshape' || resolveReduce(index.view(node)).axes.join() !== '2') return null
  const [from, to] = [index.shape(reshape.inputs[0]!), index.shape(reshape.outputs[0]!)]
  return from.length === 4 && to.length === 3 && to[0] === from[0] && to[1] === from[1] ? reshape.inputs[0]! : null
}

/** ReduceSum over H and W, divided by H·W. */
const scaledSum: Recognizer = (index, node) => {
  if (node.op !== 'Div' && node.op !== 'Mul') return null
  const [sum, factor] = [index.soleMaker(node.inputs[0]!, node), index.scalar(node.inputs[1])]
  const [x = ''] = sum?.inputs ?? []
  if (sum?.op !== 'ReduceSum' || factor === undefined || index.shape(x).length !== 4) return null
  const places = elementCount(index.shape(x).slice(2))
  const isMean = Math.abs((node.op === 'Div' ? factor / places : factor * places) - 1) < 1e-6
  return isMean && resolveReduce(index.view(sum)).axes.join() === '2,3' ? x : null
}

/** AveragePool with a window as large as the map. */
const wholeWindow: Recognizer = (index, node) => {
  const [x = ''] = node.inputs
  const [, , h = 0, w = 0] = index.shape(x)
  if (node.op !== 'AveragePool') return null
  const { kernel, pads, dilations } = resolveWindow(index.view(node), [h, w])
  return [...pads, kernel[0] - h, kernel[1] - w, dilations[0] - 1, dilations[1] - 1].every(
    (difference) => difference === 0,
  )
    ? x
    : null
}

const recognizers: readonly Recognizer[] = [spatialMean, flattenedMean, scaledSum, wholeWindow]
