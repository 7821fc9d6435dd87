/**
 * A batch norm that no weights could take in becomes a depthwise 1×1 convolution, and so does a chain of sums and
 * products by constants: one step instead of two, which takes in an activation and can be grouped with what follows.
 */
import { floatConstant, type Constant, type Graph, type Node } from '../graph.js'
import { affineOf, affineOperand, composed, type Affine } from './affine.js'
import { applyChanges, GraphIndex } from './changes.js'

export function convolveNorms(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const chain = chainBefore(index, node)
    if (!chain || continues(index, node)) continue
    const {
      affine: { factor, offset },
      source,
    } = chain
    const [weights, bias] = [`${node.name}.factor`, `${node.name}.offset`]
    constants.set(weights, floatConstant([factor.length, 1, 1, 1], factor))
    constants.set(bias, floatConstant([offset.length], offset))
    replaced.set(node, [
      {
        name: node.name,
        op: 'Conv',
        domain: '',
        attributes: { group: { kind: 'int', value: factor.length } },
        inputs: [source, weights, bias],
        outputs: node.outputs.slice(0, 1),
      },
    ])
  }
  return applyChanges(graph, { replaced, constants })
}

const mapOf = (index: GraphIndex, node: Node): Affine | null =>
  index.shape(node.outputs[0]!).length === 4 ? affineOf(index, node, 1) : null

/** Whether an affine map follows that will take this one in. */
function continues(index: GraphIndex, node: Node): boolean {
  const reader = index.onlyReader(node.outputs[0]!)
  return reader !== undefined && affineOperand(index, reader) === node.outputs[0] && mapOf(index, reader) !== null
}

/** The affine maps that end in a node as one, and what they are of; null for a single sum or product, which is a step in place. */
function chainBefore(index: GraphIndex, last: Node): { affine: Affine; source: string } | null {
  let affine = mapOf(index, last)
  let source = affineOperand(index, last)
  if (!affine || source === null) return null
  let isChain = last.op === 'BatchNormalization'
  for (let node = last; ; ) {
    const before = index.soleMaker(source, node)
    const first = before ? mapOf(index, before) : null
    if (!before || !first) return isChain ? { affine, source } : null
    affine = composed(first, affine)
    source = affineOperand(index, before)!
    isChain = true
    node = before
  }
}
