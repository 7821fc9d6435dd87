/**
 * Lookups of one graph: the node that makes a value, the nodes that read it, constants, shapes and views of nodes. A
 * graph does not change, so its index is made once.
 */
import type { Constant, Graph, Node } from './graph.js'
import { NodeView, operandOf, type Operand } from './view.js'

/** The lookups of one graph. Get it by `GraphIndex.of(graph)`. */
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
      for (const input of new Set(node.inputs)) {
        const readers = this.#readers.get(input)
        if (readers) readers.push(node)
        else this.#readers.set(input, [node])
      }
    }
  }

  /** The index of a graph. A pass that changes nothing returns its graph, so the next pass uses the same index. */
  static of(graph: Graph): GraphIndex {
    const known = GraphIndex.#known.get(graph) ?? new GraphIndex(graph)
    GraphIndex.#known.set(graph, known)
    return known
  }

  /** The node that makes a value; undefined for graph inputs and constants. */
  maker(value: string): Node | undefined {
    return this.#makers.get(value)
  }

  /** The nodes that read a value, each once. */
  readers(value: string): readonly Node[] {
    return this.#readers.get(value) ?? []
  }

  isOutput(value: string): boolean {
    return this.#outputs.has(value)
  }

  /** The node that alone reads a value, as one input. Undefined where the value is also an output of the graph. */
  onlyReader(value: string): Node | undefined {
    const readers = this.readers(value)
    if (readers.length !== 1 || this.isOutput(value)) return undefined
    return readers[0]!.inputs.filter((input) => input === value).length === 1 ? readers[0] : undefined
  }

  /** The node that makes a value for `reader` alone. */
  soleMaker(value: string, reader: Node): Node | undefined {
    return this.onlyReader(value) === reader ? this.maker(value) : undefined
  }

  constant(value: string | undefined): Constant | undefined {
    return value === undefined ? undefined : this.graph.constants.get(value)
  }

  /** The number of a float32 constant with one element, else undefined. */
  scalar(value: string | undefined): number | undefined {
    const constant = this.constant(value)
    if (constant?.type !== 'float32' || constant.bytes.byteLength !== 4) return undefined
    return new DataView(constant.bytes.buffer, constant.bytes.byteOffset).getFloat32(0, true)
  }

  /** The shape of a value or constant; empty where it is not known. */
  shape(value: string): readonly number[] {
    return ((this.graph.constants.get(value) ?? this.graph.values.get(value))?.shape ?? []) as readonly number[]
  }

  view(node: Node): NodeView {
    const operands = node.inputs.map((name): Operand | null => (name === '' ? null : this.#operand(name)))
    return new NodeView(node, this.graph.opset, operands)
  }

  #operand(name: string): Operand {
    const type = this.graph.values.get(name)?.type ?? 'float32'
    return operandOf(name, this.graph) ?? { name, type, shape: this.shape(name), constant: null }
  }
}
