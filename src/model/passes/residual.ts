/** An Add of a convolution's result and another tensor of its sizes becomes the convolution's residual operand. */
import type { Graph, Node } from '../graph.js'
import { applyChanges, changed, GraphIndex } from './rewrite.js'

export function fuseResiduals(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const position = new Map(graph.nodes.map((node, i) => [node, i]))
  const replaced = new Map<Node, readonly Node[]>()
  for (const add of graph.nodes) {
    if (add.op !== 'Add' || add.inputs.length !== 2) continue
    // The later of two convolutions takes the earlier one's result, which exists by then.
    const candidates = [0, 1].map((i) => ({ conv: convOf(index, add, add.inputs[i]!), other: add.inputs[1 - i]! }))
    const best = candidates.filter(({ conv }) => conv !== undefined && !replaced.has(conv))
      .sort((a, b) => position.get(b.conv!)! - position.get(a.conv!)!)[0]
    if (!best?.conv || index.constant(best.other) || !isBefore(index, position, best.other, best.conv)) continue
    const { conv, other } = best
    if (index.shape(other).join() !== index.shape(conv.outputs[0]!).join()) continue
    const [x = '', weights = '', bias = ''] = conv.inputs
    replaced.set(add, [])
    replaced.set(conv, [changed(conv, { inputs: [x, weights, bias, other], outputs: add.outputs })])
  }
  return applyChanges(graph, { replaced })
}

/** The convolution without residual whose result only this Add reads. */
function convOf(index: GraphIndex, add: Node, value: string): Node | undefined {
  const maker = index.soleMaker(value, add)
  return maker?.op === 'Conv' && maker.inputs.length < 4 ? maker : undefined
}

/** Whether a value is made before a node runs. */
function isBefore(index: GraphIndex, position: ReadonlyMap<Node, number>, value: string, node: Node): boolean {
  const maker = index.maker(value)
  return maker === undefined || position.get(maker)! < position.get(node)!
}
