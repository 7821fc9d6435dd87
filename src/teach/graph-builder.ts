/** Adds nodes to a network: plain operators of ONNX with constants, for heads that were taught and for galleries. */
import { gridNames } from '../heat/grid.js'
import { floatConstant, int64Constant, madeNode } from '../model/graph.js'
import type { Constant, Graph, Node } from '../model/graph.js'
import type { FeatureMap } from './backbone.js'

/** Attributes of a node: integers, and lists of them. */
export type NodeNumbers = Readonly<Record<string, number | readonly number[]>>

/** Names of constants begin with `gapcam.constant`. */
export class GraphBuilder {
  readonly network: Graph
  readonly #added: Node[] = []
  readonly #constants: Map<string, Constant>

  constructor(network: Graph) {
    this.network = network
    this.#constants = new Map(network.constants)
  }

  /** Adds a node, and gives the name of its output. */
  add(op: string, inputs: readonly string[], output: string, numbers: NodeNumbers = {}): string {
    const attributes = Object.fromEntries(
      Object.entries(numbers).map(([name, value]) => [
        name,
        typeof value === 'number' ? { kind: 'int' as const, value } : { kind: 'ints' as const, value: [...value] },
      ]),
    )
    this.#added.push(madeNode(op, { inputs, output, attributes }))
    return output
  }

  /** Adds a constant, and gives its name. */
  floats(name: string, shape: readonly number[], data: Float32Array | readonly number[]): string {
    const values = data instanceof Float32Array ? data : Float32Array.from(data)
    return this.#constant(`gapcam.constant ${name}`, floatConstant(shape, values))
  }

  /** A value in another shape. */
  shaped(value: string, sizes: readonly number[], output: string): string {
    const shape = this.#constant(`gapcam.constant shape ${sizes.join(' ')}`, int64Constant([sizes.length], sizes))
    return this.add('Reshape', [value, shape], output)
  }

  /** The mean of each channel of a map, [1, channels], with this name. */
  mean({ name, layout, channels }: FeatureMap, index: number, output: string): string {
    const planes =
      layout === 'nchw' ? name : this.add('Transpose', [name], `gapcam.planes ${index}`, { perm: [0, 3, 1, 2] })
    return this.shaped(this.add('GlobalAveragePool', [planes], gridNames.pooled(index)), [1, channels], output)
  }

  /** Parts of a vector, each less its mean and brought to length 1; `means` joins the means of all. */
  units(parts: readonly string[], lengths: readonly number[], means: Float32Array): readonly string[] {
    let start = 0
    return parts.map((part, i) => {
      const length = lengths[i]!
      const mean = this.floats(`mean ${i}`, [1, length], means.slice(start, start + length))
      start += length
      const centred = this.add('Sub', [part, mean], `gapcam.centred ${i}`)
      return this.add('LpNormalization', [centred], `gapcam.unit ${i}`, { axis: 1, p: 2 })
    })
  }

  /**
   * The network with the nodes so far; its outputs are unchanged. Nodes that need nothing of the network come first: they read the
   * picture while it is in the processor's cache.
   */
  graph(): Graph {
    const known = new Set([...this.network.inputs.map(({ name }) => name), ...this.#constants.keys()])
    const [first, last]: [Node[], Node[]] = [[], []]
    for (const node of this.#added) {
      const isFirst = node.inputs.every((name) => known.has(name))
      if (isFirst) for (const name of node.outputs) known.add(name)
      ;(isFirst ? first : last).push(node)
    }
    return { ...this.network, nodes: [...first, ...this.network.nodes, ...last], constants: this.#constants }
  }

  #constant(name: string, constant: Constant): string {
    this.#constants.set(name, constant)
    return name
  }
}
