/** Removes nodes that change nothing: identities, dropout, sums of one, movements to where the elements are already. */
import type { Graph, Node } from '../graph.js'
import { permutation, resolvePad, resolveSlice } from '../shapes/movement.js'
import { Unsupported } from '../view.js'
import { applyChanges, GraphIndex } from './rewrite.js'

export function simplify(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const renamed = new Map<string, string>()
  for (const node of graph.nodes) {
    const [output] = node.outputs
    // An output of the graph keeps its name, so the node that makes it stays.
    if (output === undefined || index.isOutput(output) || !isIdentity(index, node)) continue
    replaced.set(node, [])
    renamed.set(output, node.inputs[0]!)
  }
  return applyChanges(graph, { replaced, renamed })
}

function isIdentity(index: GraphIndex, node: Node): boolean {
  if (node.domain !== '') return false
  const [input = '', ] = node.inputs
  const sameShape = index.shape(input).join() === index.shape(node.outputs[0]!).join()
  switch (node.op) {
    case 'Identity': return true
    case 'Dropout': return !node.outputs.slice(1).some((output) => output !== '' && index.readers(output).length > 0)
    case 'Sum': case 'Max': case 'Min': case 'Mean': case 'Concat': return node.inputs.length === 1
    case 'Reshape': case 'Flatten': case 'Squeeze': case 'Unsqueeze': case 'Expand': return sameShape
    case 'Cast': case 'CastLike': return index.graph.values.get(input)?.type === index.graph.values.get(node.outputs[0]!)?.type
    case 'Transpose': return permutation(index.view(node)).every((axis, i) => axis === i)
    case 'Slice': return sameShape && resolves(() => resolveSlice(index.view(node)).steps.every((step) => step === 1))
    case 'Pad': return resolves(() => { const { before, after } = resolvePad(index.view(node)); return [...before, ...after].every((pad) => pad === 0) })
    default: return false
  }
}

function resolves(test: () => boolean): boolean {
  try {
    return test()
  } catch (error) {
    if (error instanceof Unsupported) return false
    throw error
  }
}
