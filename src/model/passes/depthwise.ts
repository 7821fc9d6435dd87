/**
 * Turns a batch norm that no weights could absorb into a depthwise 1×1 convolution, and likewise a chain of sums and
 * products by constants. One step replaces two; it can absorb an activation and be grouped with its neighbours.
 */
import { floatConstant, madeNode, type Constant, type Graph, type Node } from '../graph.js'
import { affineOf, affineOperand, composed, type Affine } from './affine.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'

/** Turns norms and chains of affine maps into depthwise convolutions. */
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
      madeNode('Conv', {
        name: node.name,
        attributes: { group: { kind: 'int', value: factor.length } },
        inputs: [source, weights, bias],
        output: node.outputs[0]!,
      }),
    ])
  }
  return applyChanges(graph, { replaced, constants })
}

const mapOf = (index: GraphIndex, node: Node): Affine | null =>
  index.shape(node.outputs[0]!).length === 4 ? affineOf(index, node, 1) : null

/** Whether an affine map follows, so that this one is not the end of the chain. */
function continues(index: GraphIndex, node: Node): boolean {
  const reader = index.onlyReader(node.outputs[0]!)
  return reader !== undefined && affineOperand(index, reader) === node.outputs[0] && mapOf(index, reader) !== null
}

/** The chain of affine maps that ends in a node, as one map of `source`. Null for a single sum or product: it runs in place. */
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
