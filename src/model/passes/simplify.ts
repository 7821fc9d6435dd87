/**
 * Removes nodes that change nothing: identities, dropout, sums of one operand, windows of one pixel, and movements that
 * move nothing.
 */
import type { Graph, Node } from '../graph.js'
import { permutation, resolvePad, resolveSlice } from '../shapes/movement.js'
import { broadcastShapes } from '../view.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'

/** Removes nodes without effect. Nodes that make an output of the graph stay. */
export function simplify(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const renamed = new Map<string, string>()
  for (const node of graph.nodes) {
    const [output] = node.outputs
    // The node that makes an output of the graph stays, since the output keeps its name.
    if (output === undefined || index.isOutput(output) || node.domain !== '') continue
    const same = isIdentity(index, node) ? node.inputs[0]! : undoneBy(index, node)
    if (same === null) continue
    replaced.set(node, [])
    renamed.set(output, same)
  }
  return applyChanges(graph, { replaced, renamed })
}

function isIdentity(index: GraphIndex, node: Node): boolean {
  const [input = ''] = node.inputs
  const sameShape = index.shape(input).join() === index.shape(node.outputs[0]!).join()
  switch (node.op) {
    case 'Identity':
      return true
    case 'Dropout':
      return !node.outputs.slice(1).some((output) => output !== '' && index.readers(output).length > 0)
    case 'Sum':
    case 'Max':
    case 'Min':
    case 'Mean':
    case 'Concat':
      return node.inputs.length === 1
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      return sameShape
    case 'Expand':
      return sameShape || index.readers(node.outputs[0]!).every((reader) => broadcastsAnyway(index, reader))
    case 'Cast':
    case 'CastLike':
      return index.graph.values.get(input)?.type === index.graph.values.get(node.outputs[0]!)?.type
    case 'Transpose':
      return permutation(index.view(node)).every((axis, i) => axis === i)
    case 'Slice':
      return (
        sameShape && unlessUnsupported(() => resolveSlice(index.view(node)).steps.every((step) => step === 1)) === true
      )
    case 'Pad':
      return (
        unlessUnsupported(() => {
          const { before, after } = resolvePad(index.view(node))
          return [...before, ...after].every((pad) => pad === 0)
        }) === true
      )
    case 'AveragePool':
    case 'MaxPool':
      return sameShape && isOnePixel(index, node)
    case 'Add':
    case 'Sub':
      return sameShape && index.scalar(node.inputs[1]) === 0
    case 'Mul':
    case 'Div':
      return sameShape && index.scalar(node.inputs[1]) === 1
    default:
      return false
  }
}

/** Whether a reader gives the same result without the Expands before it, because it broadcasts itself. */
function broadcastsAnyway(index: GraphIndex, reader: Node): boolean {
  if (reader.domain !== '' || !['Add', 'Sub', 'Mul', 'Div'].includes(reader.op)) return false
  const shapes = reader.inputs.map((name) => {
    const maker = index.maker(name)
    return index.shape(maker?.op === 'Expand' ? maker.inputs[0]! : name)
  })
  return broadcastShapes(shapes).join() === index.shape(reader.outputs[0]!).join()
}

/** Whether a pool has a window of one pixel. Adaptive pools become such pools where the map has the right size. */
function isOnePixel(index: GraphIndex, node: Node): boolean {
  const view = index.view(node)
  return [view.ints('kernel_shape'), view.ints('strides')].every((sizes) => sizes?.every((size) => size === 1) ?? true)
}

/** The input of the Transpose before this one, if this one undoes it; else null. */
function undoneBy(index: GraphIndex, node: Node): string | null {
  const before = node.op === 'Transpose' ? index.maker(node.inputs[0]!) : undefined
  if (before?.op !== 'Transpose') return null
  const [first, second] = [permutation(index.view(before)), permutation(index.view(node))]
  return second.every((axis, i) => first[axis] === i) ? before.inputs[0]! : null
}
