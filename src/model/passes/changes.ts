/** What the passes share: who makes and who reads a value, the view of a node, and a graph with some nodes exchanged. */
import { withoutDeadNodes } from '../prepare.js'
import type { Attribute, Constant, Graph, Node, Value } from '../graph.js'
import { NodeView, type Operand } from '../view.js'

/** Lookups of one graph. */
export class GraphIndex {
  readonly graph: Graph
  readonly #makers = new Map<string, Node>()
  readonly #readers = new Map<string, Node[]>()
  readonly #outputs: ReadonlySet<string>
  static readonly #known = new WeakMap<Graph, GraphIndex>()

  private constructor(graph: Graph) {
    this.graph = graph
    this.#outputs = new Set(graph.outputs.map(({ name }) => name))
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.#makers.set(output, node)
      node.inputs.forEach((input, i) => {
        if (i > 0 && node.inputs.indexOf(input) < i) return
        const readers = this.#readers.get(input)
        if (readers) readers.push(node)
        else this.#readers.set(input, [node])
      })
    }
  }

  /** The index of a graph, made once: a pass that changes nothing hands the same graph on to the next. */
  static of(graph: Graph): GraphIndex {
    const known = GraphIndex.#known.get(graph) ?? new GraphIndex(graph)
    GraphIndex.#known.set(graph, known)
    return known
  }

  maker(value: string): Node | undefined {
    return this.#makers.get(value)
  }

  readers(value: string): readonly Node[] {
    return this.#readers.get(value) ?? []
  }

  isOutput(value: string): boolean {
    return this.#outputs.has(value)
  }

  /** The only reader of a value that is not an output of the graph and that the reader takes once; else undefined. */
  onlyReader(value: string): Node | undefined {
    const readers = this.readers(value)
    if (readers.length !== 1 || this.isOutput(value)) return undefined
    return readers[0]!.inputs.filter((input) => input === value).length === 1 ? readers[0] : undefined
  }

  /** The maker of a value whose only reader is `reader`. */
  soleMaker(value: string, reader: Node): Node | undefined {
    return this.onlyReader(value) === reader ? this.maker(value) : undefined
  }

  constant(value: string | undefined): Constant | undefined {
    return value === undefined ? undefined : this.graph.constants.get(value)
  }

  /** The one number of a float constant with one element. */
  scalar(value: string | undefined): number | undefined {
    const constant = this.constant(value)
    if (constant?.type !== 'float32' || constant.bytes.byteLength !== 4) return undefined
    return new DataView(constant.bytes.buffer, constant.bytes.byteOffset).getFloat32(0, true)
  }

  shape(value: string): readonly number[] {
    return ((this.graph.constants.get(value) ?? this.graph.values.get(value))?.shape ?? []) as readonly number[]
  }

  view(node: Node): NodeView {
    const operands = node.inputs.map((name): Operand | null => {
      if (name === '') return null
      const constant = this.constant(name) ?? null
      const type = constant?.type ?? this.graph.values.get(name)?.type ?? 'float32'
      return { name, type, shape: this.shape(name), constant }
    })
    return new NodeView(node, this.graph.opset, operands)
  }
}

export interface Changes {
  /** What takes a node's place: other nodes, or none. A maker must stand where its first reader can see it. */
  readonly replaced: ReadonlyMap<Node, readonly Node[]>
  readonly constants?: ReadonlyMap<string, Constant>
  readonly values?: readonly Value[]
  /** Values that are now another one's name. */
  readonly renamed?: ReadonlyMap<string, string>
}

/** The graph with the changes, without the nodes and constants that nobody needs any more. */
export function applyChanges(graph: Graph, changes: Changes): Graph {
  const { replaced, constants, values, renamed } = changes
  if (replaced.size === 0) return graph
  const follow = (name: string): string => {
    let current = name
    for (let next = renamed?.get(current); next !== undefined; next = renamed?.get(current)) current = next
    return current
  }
  const nodes = graph.nodes
    .flatMap((node) => replaced.get(node) ?? [node])
    .map((node) =>
      renamed && node.inputs.some((input) => renamed.has(input)) ? { ...node, inputs: node.inputs.map(follow) } : node,
    )
  return withoutDeadNodes({
    ...graph,
    nodes,
    constants: constants ? new Map([...graph.constants, ...constants]) : graph.constants,
    values: values ? new Map([...graph.values, ...values.map((value) => [value.name, value] as const)]) : graph.values,
  })
}

/** A pass again and again, until it changes nothing. */
export function repeated(graph: Graph, pass: (graph: Graph) => Graph): Graph {
  for (let current = graph; ; ) {
    const next = pass(current)
    if (next === current) return current
    current = next
  }
}

/** A node with other inputs, outputs or attributes. */
export function changed(
  node: Node,
  change: Partial<Pick<Node, 'op' | 'domain' | 'inputs' | 'outputs'>> & {
    attributes?: Readonly<Record<string, Attribute>>
  },
): Node {
  return { ...node, ...change, attributes: { ...node.attributes, ...change.attributes } }
}
