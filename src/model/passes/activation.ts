/** Fuses an activation into the convolution, product or sum whose result it alone reads. */
import { activationOf, fusedAttributes, hasFusedActivation, type Activation } from '../activation.js'
import type { Graph, Node } from '../graph.js'
import { operatorTable } from '../operators/table.js'
import { fusibleActivations, type ElementwiseOp } from '../steps.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'

const fusible: ReadonlySet<ElementwiseOp> = new Set(fusibleActivations)

/** Fuses every activation that kernels can apply. */
export function fuseActivations(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const [output] = node.outputs
    const reader = output === undefined || !acceptsActivation(node) ? undefined : index.onlyReader(output)
    const activation = reader ? fusibleActivation(index, reader, output!) : null
    if (!reader || !activation) continue
    replaced.set(reader, [])
    replaced.set(node, [
      changed(node, {
        outputs: [reader.outputs[0]!, ...node.outputs.slice(1)],
        attributes: fusedAttributes(activation),
      }),
    ])
  }
  return applyChanges(graph, { replaced })
}

function acceptsActivation(node: Node): boolean {
  return (operatorTable.get(node.op)?.acceptsActivation ?? false) && !hasFusedActivation(node)
}

/** The activation that a node applies to a value, if kernels can apply it to their result; else null. */
export function fusibleActivation(index: GraphIndex, node: Node, value: string): Activation | null {
  if (node.inputs[0] !== value) return null
  const activation = unlessUnsupported(() => activationOf(index.view(node)))
  return activation && fusible.has(activation.activation) ? activation : null
}
