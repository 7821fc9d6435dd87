/** Fuses an Add of a convolution's or matrix's result and another tensor of the same sizes, as its residual operand. */
import type { Graph, Node } from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'
import { isFoldable } from './weighted.js'

/** Fuses every Add that can be a residual. */
export function fuseResiduals(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const position = new Map(graph.nodes.map((node, i) => [node, i]))
  const replaced = new Map<Node, readonly Node[]>()
  for (const add of graph.nodes) {
    if ((add.op !== 'Add' && add.op !== 'Sum') || add.domain !== '' || add.inputs.length !== 2) continue
    // Of two convolutions, the later one takes the result of the earlier one as its residual.
    const candidates = [0, 1].map((i) => ({ linear: linearOf(index, add, add.inputs[i]!), other: add.inputs[1 - i]! }))
    const best = candidates
      .filter(({ linear }) => linear !== undefined && !replaced.has(linear))
      .sort((a, b) => position.get(b.linear!)! - position.get(a.linear!)!)[0]
    if (!best?.linear || index.constant(best.other)) continue
    const { linear, other } = best
    if (index.shape(other).join() !== index.shape(linear.outputs[0]!).join()) continue
    const [x = '', weights = '', bias = ''] = linear.inputs
    const fused = changed(linear, { inputs: [x, weights, bias, other], outputs: add.outputs })
    // Where the other operand is made later, the convolution moves to the place of the Add.
    const isThere = isBefore(index, position, other, linear)
    replaced.set(add, isThere ? [] : [fused])
    replaced.set(linear, isThere ? [fused] : [])
  }
  return applyChanges(graph, { replaced })
}

/** The convolution or matrix without residual whose result only this Add reads. */
function linearOf(index: GraphIndex, add: Node, value: string): Node | undefined {
  const maker = index.soleMaker(value, add)
  return maker && (maker.op === 'Conv' ? maker.inputs.length < 4 : maker.inputs.length < 4 && isFoldable(index, maker))
    ? maker
    : undefined
}

/** Whether a value is made before a node runs. */
function isBefore(index: GraphIndex, position: ReadonlyMap<Node, number>, value: string, node: Node): boolean {
  const maker = index.maker(value)
  return maker === undefined || position.get(maker)! < position.get(node)!
}
