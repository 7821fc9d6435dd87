/** An activation that is the only reader of a convolution, product or sum becomes that node's last act. */
import type { Graph, Node } from '../graph.js'
import { activationOf } from '../operators/elementwise.js'
import { operatorTable } from '../operators/table.js'
import type { Activation } from '../operators/context.js'
import { fusibleActivations, type ElementwiseOp } from '../steps.js'
import { unlessUnsupported } from './attempt.js'
import { applyChanges, changed, GraphIndex } from './changes.js'

const fusible: ReadonlySet<ElementwiseOp> = new Set(fusibleActivations)

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
        attributes: {
          'gapcam.activation': { kind: 'string', value: activation.activation },
          'gapcam.a': { kind: 'float', value: activation.a },
          'gapcam.b': { kind: 'float', value: activation.b },
        },
      }),
    ])
  }
  return applyChanges(graph, { replaced })
}

function acceptsActivation(node: Node): boolean {
  return (operatorTable.get(node.op)?.acceptsActivation ?? false) && node.attributes['gapcam.activation'] === undefined
}

/** The activation that a node is of a value, where kernels can apply it to what they store; null where it is none. */
export function fusibleActivation(index: GraphIndex, node: Node, value: string): Activation | null {
  if (node.inputs[0] !== value) return null
  const activation = unlessUnsupported(() => activationOf(index.view(node)))
  return activation && fusible.has(activation.activation) ? activation : null
}
