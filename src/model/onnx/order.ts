/** Sorts a graph's nodes topologically and checks the graph: each value has one producer, and there are no cycles. */
import { GapcamError } from '../../errors.js'
import type { Graph, Node } from '../graph.js'

/** Returns the graph with its nodes in topological order, which files need not have. Throws MODEL_INVALID. */
export function sortNodes(graph: Graph): Graph {
  const inputs = new Set(graph.inputs.map((input) => input.name))
  const makers = makersOf(graph, inputs)
  const isGiven = (name: string): boolean =>
    name === '' || graph.constants.has(name) || inputs.has(name) || graph.opaque?.has(name) === true
  const sorted: Node[] = []
  const state = new Map<Node, 'open' | 'done'>()

  // An explicit stack: a long chain must not overflow the call stack.
  for (const root of graph.nodes) {
    const stack: { node: Node; next: number }[] = [{ node: root, next: 0 }]
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!
      const { node } = top
      if (top.next === 0) {
        if (state.get(node) === 'done') {
          stack.pop()
          continue
        }
        state.set(node, 'open')
      }
      const input = node.inputs[top.next++]
      if (input === undefined) {
        state.set(node, 'done')
        sorted.push(node)
        stack.pop()
      } else if (!isGiven(input)) {
        const maker = makers.get(input)
        if (!maker)
          throw new GapcamError('MODEL_INVALID', `node ${node.name} (${node.op}) reads ${input}, which nothing makes`)
        if (state.get(maker) === 'open')
          throw new GapcamError(
            'MODEL_INVALID',
            `its graph is cyclic: node ${maker.name} (${maker.op}) waits for itself`,
          )
        if (state.get(maker) !== 'done') stack.push({ node: maker, next: 0 })
      }
    }
  }
  for (const { name } of graph.outputs) {
    if (!isGiven(name) && !makers.has(name))
      throw new GapcamError('MODEL_INVALID', `its output ${name} is made by nothing`)
  }
  return { ...graph, nodes: sorted }
}

function makersOf(graph: Graph, inputs: ReadonlySet<string>): Map<string, Node> {
  const makers = new Map<string, Node>()
  for (const node of graph.nodes) {
    for (const output of node.outputs) {
      if (output === '') continue
      if (makers.has(output) || inputs.has(output) || graph.constants.has(output))
        throw new GapcamError(
          'MODEL_INVALID',
          `value ${output} is made twice, the second time by node ${node.name} (${node.op})`,
        )
      makers.set(output, node)
    }
  }
  return makers
}
