/** Reshape, Transpose, Reshape that swap channel groups become one ChannelShuffle: one copy in NHWC instead of three. */
import type { Graph, Node } from '../graph.js'
import { permutation } from '../shapes/movement.js'
import { applyChanges, GraphIndex } from './rewrite.js'

export function recognizeShuffles(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const last of graph.nodes) {
    const groups = last.op === 'Reshape' ? shuffledGroups(index, last) : null
    if (groups === null) continue
    replaced.set(last, [{
      name: last.name, op: 'ChannelShuffle', domain: 'gapcam', attributes: { groups: { kind: 'int', value: groups.count } },
      inputs: [groups.source], outputs: last.outputs,
    }])
  }
  return applyChanges(graph, { replaced })
}

/** The groups of a shuffle that ends in `last`, or null where it is none. */
function shuffledGroups(index: GraphIndex, last: Node): { source: string; count: number } | null {
  const transpose = index.soleMaker(last.inputs[0]!, last)
  if (transpose?.op !== 'Transpose') return null
  const first = index.soleMaker(transpose.inputs[0]!, transpose)
  if (first?.op !== 'Reshape') return null
  const source = first.inputs[0]!
  const [n, c, h, w] = index.shape(source)
  const split = index.shape(transpose.inputs[0]!)
  const isShuffle = index.shape(source).length === 4 && split.length === 5 && split[0] === n && split[1]! * split[2]! === c && split[3] === h && split[4] === w
  if (!isShuffle || permutation(index.view(transpose)).join() !== '0,2,1,3,4') return null
  return index.shape(last.outputs[0]!).join() === index.shape(source).join() ? { source, count: split[1]! } : null
}
