/**
 * Turns convolutions and pools of one dimension into ones of two dimensions between Reshapes. Efficient channel attention
 * uses them.
 */
import { int64Constant, madeNode, type Constant, type Graph, type Node, type Value } from '../graph.js'
import { planarAttributes, planarShape, windowOps } from '../shapes/planar.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'

/** Gives windows of one dimension a second one. */
export function makePlanar(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const [x = '', weights = '', ...rest] = node.inputs
    const [y = ''] = node.outputs
    const kernels = index.constant(weights)
    if (
      node.domain !== '' ||
      !windowOps.includes(node.op) ||
      index.shape(x).length !== 3 ||
      (node.op === 'Conv' && !kernels)
    )
      continue
    const [row, result, sizes, planarWeights] = [`${node.name}.row`, `${y}.row`, `${y}.sizes`, `${weights}.planar`]
    const [from, to] = [planarShape(index.shape(x)), index.shape(y)]
    values.push({ name: row, type: 'float32', shape: from }, { name: result, type: 'float32', shape: planarShape(to) })
    constants.set(`${node.name}.sizes`, int64Constant([from.length], from)).set(sizes, int64Constant([to.length], to))
    if (kernels) constants.set(planarWeights, { ...kernels, shape: planarShape(kernels.shape) })
    replaced.set(node, [
      madeNode('Reshape', { inputs: [x, `${node.name}.sizes`], output: row }),
      {
        ...node,
        attributes: planarAttributes(node),
        inputs: kernels ? [row, planarWeights, ...rest] : [row],
        outputs: [result, ...node.outputs.slice(1)],
      },
      madeNode('Reshape', { name: sizes, inputs: [result, sizes], output: y }),
    ])
  }
  return applyChanges(graph, { replaced, values, constants })
}
