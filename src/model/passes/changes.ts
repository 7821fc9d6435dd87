/** How passes make a new graph: some nodes replaced, constants and values added, values renamed. */
import { withoutDeadNodes, type Attribute, type Constant, type Graph, type Node, type Value } from '../graph.js'

/** The difference between two graphs. */
export interface Changes {
  /** The nodes that take a node's place, or none. A node must stand before the first node that reads its result. */
  readonly replaced: ReadonlyMap<Node, readonly Node[]>
  readonly constants?: ReadonlyMap<string, Constant>
  readonly values?: readonly Value[]
  /** Values that are replaced by another value: old name to new name. */
  readonly renamed?: ReadonlyMap<string, string>
}

/** The graph with the changes, without nodes and constants that are no longer used. */
export function applyChanges(graph: Graph, changes: Changes): Graph {
  const { replaced, constants, values, renamed } = changes
  if (replaced.size === 0) return graph
  const newName = (name: string): string => {
    let current = name
    for (let next = renamed?.get(current); next !== undefined; next = renamed?.get(current)) current = next
    return current
  }
  const nodes = graph.nodes
    .flatMap((node) => replaced.get(node) ?? [node])
    .map((node) =>
      renamed && node.inputs.some((input) => renamed.has(input)) ? { ...node, inputs: node.inputs.map(newName) } : node,
    )
  return withoutDeadNodes({
    ...graph,
    nodes,
    constants: constants ? new Map([...graph.constants, ...constants]) : graph.constants,
    values: values ? new Map([...graph.values, ...values.map((value) => [value.name, value] as const)]) : graph.values,
  })
}

/** Runs a pass again until it changes nothing. */
export function repeated(graph: Graph, pass: (graph: Graph) => Graph): Graph {
  for (let current = graph; ; ) {
    const next = pass(current)
    if (next === current) return current
    current = next
  }
}

/** A copy of a node with other inputs, outputs or attributes. Attributes are added to those of the node. */
export function changed(
  node: Node,
  change: Partial<Pick<Node, 'op' | 'domain' | 'inputs' | 'outputs'>> & {
    attributes?: Readonly<Record<string, Attribute>>
  },
): Node {
  return { ...node, ...change, attributes: { ...node.attributes, ...change.attributes } }
}
