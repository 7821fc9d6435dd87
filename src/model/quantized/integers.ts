/**
 * Finds what can run on bytes in a graph of real numbers with `Quantized` nodes. A `Quantized` node and the operator behind
 * it become one node of gapcam on bytes: convolutions, products, sums, means, averages, functions by table. Movements stay
 * what they are, on bytes. Where real numbers are needed, bytes are dequantised, so that any mixture works.
 */
import {
  floatConstant,
  madeNode,
  withoutDeadNodes,
  type Attribute,
  type Constant,
  type Graph,
  type Node,
  type Value,
} from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from '../passes/changes.js'
import { isSameCode, quantizedCode, quantizedOp } from './code.js'
import { functionOf, isClip, rangeOf, tableOf, type RealFunction } from './functions.js'
import { movedBytes } from './movement.js'
import { productOf, type Product } from './products.js'
import type { Code } from '../../tensor.js'

/** The graph with nodes on bytes; the graph itself where it has no `Quantized` nodes. */
export function recognizeIntegers(graph: Graph): Graph {
  const isQuantized = ({ op, domain }: Node): boolean => domain === 'gapcam' && op === quantizedOp
  return graph.nodes.some(isQuantized) ? new Recognition(withoutRepeats(graph, isQuantized)).build() : graph
}

/** The graph with one `Quantized` node where several round a value to the same bytes. */
function withoutRepeats(graph: Graph, isQuantized: (node: Node) => boolean): Graph {
  const index = GraphIndex.of(graph)
  const known = new Map<string, string>()
  const replaced = new Map<Node, readonly Node[]>()
  const renamed = new Map<string, string>()
  for (const node of graph.nodes.filter(isQuantized)) {
    const [y = ''] = node.outputs
    const key = [node.inputs[0], ...Object.values(quantizedCode(node))].join(' ')
    const first = known.get(key)
    if (first === undefined) known.set(key, y)
    else if (!index.isOutput(y)) {
      replaced.set(node, [])
      renamed.set(y, first)
    }
  }
  return applyChanges(graph, { replaced, renamed })
}

/** The value in bytes of a value in real numbers. */
const bytesOf = (name: string): string => `${name}.bytes`

const int = (value: number): Attribute => ({ kind: 'int', value })
const float = (value: number): Attribute => ({ kind: 'float', value })

/** What stands before a `Quantized` node: the value behind which only functions of one element follow. */
interface Source {
  readonly value: string
  /** The reader of the value. */
  readonly reader: Node
  readonly functions: readonly RealFunction[]
  readonly areClips: boolean
}

class Recognition {
  readonly #graph: Graph
  readonly #index: GraphIndex
  readonly #nodes: Node[] = []
  readonly #constants: Map<string, Constant>
  readonly #values: Map<string, Value>
  /** Values that exist as bytes, by their name in real numbers. */
  readonly #codes = new Map<string, Code>()
  /** Convolutions and products on bytes, by the name of their result in real numbers: where they are among the nodes. */
  readonly #products = new Map<string, number>()

  constructor(graph: Graph) {
    this.#graph = graph
    this.#index = GraphIndex.of(graph)
    this.#constants = new Map(graph.constants)
    this.#values = new Map(graph.values)
  }

  build(): Graph {
    for (const node of this.#graph.nodes) {
      if (node.domain === 'gapcam' && node.op === quantizedOp) this.#visitQuantized(node)
      else if (!this.#move(node)) this.#nodes.push(node)
    }
    return withoutDeadNodes({
      ...this.#graph,
      nodes: this.#nodes,
      constants: this.#constants,
      values: this.#values,
      integers: undefined,
    })
  }

  #visitQuantized(node: Node): void {
    const [x = ''] = node.inputs
    const [y = ''] = node.outputs
    const code = quantizedCode(node)
    this.#declare(y, code)
    if (!this.#onBytes(node, code)) this.#add(node, 'ToBytes', [x], {})
    this.#addReal(y)
  }

  /** Declares the bytes of a value. */
  #declare(name: string, code: Code): void {
    const { type, scale, zeroPoint } = code
    const value = this.#values.get(name)
    this.#codes.set(name, code)
    this.#values.set(bytesOf(name), { ...value, name: bytesOf(name), type, code: { scale, zeroPoint } })
  }

  /** The real numbers of bytes. A node that no other reads is removed in the end. */
  #addReal(name: string): void {
    const node = madeNode('FromBytes', { name: `${name} in real numbers`, inputs: [bytesOf(name)], output: name })
    this.#nodes.push({ ...node, domain: 'gapcam' })
  }

  /** A node of gapcam that makes the bytes of a `Quantized` node's result. */
  #add(
    { name, outputs }: Node,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
  ): void {
    const node = madeNode(op, { name, inputs, output: bytesOf(outputs[0]!), attributes })
    this.#nodes.push({ ...node, domain: 'gapcam' })
  }

  /** Adds the bytes of a `Quantized` node's result where they can be computed from bytes. */
  #onBytes(node: Node, code: Code): boolean {
    const source = this.#sourceOf(node)
    const from = this.#codes.get(source.value)
    if (from) return this.#byTable(node, source, from, code)
    const maker = source.areClips ? this.#index.soleMaker(source.value, source.reader) : undefined
    if (maker?.domain !== '') return false
    switch (maker.op) {
      case 'Conv':
      case 'Gemm':
      case 'MatMul':
        return this.#product(node, maker, source, code)
      case 'Add':
      case 'Mul':
        return this.#binary(node, maker, source, code)
      case 'GlobalAveragePool':
        return this.#mean(node, maker, source, code)
      case 'AveragePool':
        return this.#average(node, maker, source, code)
      case 'Concat':
        return this.#concat(node, maker, source, code)
      default:
        return false
    }
  }

  /** Goes back over functions of one element, up to bytes or to another operator. */
  #sourceOf(quantized: Node): Source {
    const functions: RealFunction[] = []
    let [value, reader, areClips] = [quantized.inputs[0]!, quantized, true]
    while (!this.#codes.has(value)) {
      const maker = this.#index.soleMaker(value, reader)
      const input = maker?.inputs.find((name) => !this.#index.constant(name) && name !== '')
      const f = maker && input !== undefined ? functionOf(this.#index, maker, input) : null
      if (!maker || !f || input === undefined) break
      functions.unshift(f)
      areClips &&= isClip(this.#index, maker)
      ;[value, reader] = [input, maker]
    }
    return { value, reader, functions, areClips }
  }

  /** The same bytes, or a table. */
  #byTable(node: Node, { value, functions }: Source, from: Code, to: Code): boolean {
    if (functions.length === 0 && isSameCode(from, to))
      this.#nodes.push(
        madeNode('Identity', { name: node.name, inputs: [bytesOf(value)], output: bytesOf(node.outputs[0]!) }),
      )
    else this.#add(node, 'Lookup', [bytesOf(value), this.#table(`${node.outputs[0]!}.table`, from, to, functions)], {})
    return true
  }

  #table(name: string, from: Code, to: Code, functions: readonly RealFunction[]): string {
    this.#constants.set(name, { type: 'uint8', shape: [256], bytes: tableOf(from, to, functions) })
    return name
  }

  #product(node: Node, maker: Node, { functions }: Source, code: Code): boolean {
    const [x = ''] = maker.inputs
    const from = this.#codes.get(x)
    const product = from ? productOf(this.#index, maker, from, code) : null
    if (!product) return false
    this.#add(node, product.op, [bytesOf(x), ...this.#constantsOf(node.outputs[0]!, product)], {
      ...maker.attributes,
      ...attributesOf(rangeOf(code, functions)),
      weightZero: int(product.weightZero),
      transposed: int(product.isTransposed ? 1 : 0),
    })
    this.#products.set(node.outputs[0]!, this.#nodes.length - 1)
    return true
  }

  #constantsOf(base: string, { weights, bias, multipliers }: Product): readonly string[] {
    this.#constants.set(`${base}.weights`, weights)
    if (bias) this.#constants.set(`${base}.bias`, bias)
    this.#constants.set(`${base}.multipliers`, floatConstant([multipliers.length], multipliers))
    return [`${base}.weights`, bias ? `${base}.bias` : '', `${base}.multipliers`]
  }

  #binary(node: Node, maker: Node, { functions }: Source, code: Code): boolean {
    const [a = '', b = ''] = maker.inputs
    if (maker.inputs.length !== 2 || !this.#codes.has(a) || !this.#codes.has(b)) return false
    const range = rangeOf(code, functions)
    if (maker.op === 'Add' && (this.#residual(node, maker, a, b, range) || this.#residual(node, maker, b, a, range)))
      return true
    this.#add(node, maker.op === 'Add' ? 'QAdd' : 'QMul', [bytesOf(a), bytesOf(b)], attributesOf(range))
    return true
  }

  /** Adds `other` in the convolution or product that makes `value` for this sum alone. */
  #residual(node: Node, add: Node, value: string, other: string, range: ReturnType<typeof rangeOf>): boolean {
    const at = this.#products.get(value)
    const sameShape = this.#index.shape(value).join() === this.#index.shape(other).join()
    if (at === undefined || !sameShape || this.#index.onlyReader(value) !== add) return false
    const product = this.#nodes[at]!
    if (product.inputs.length > 4 || product.outputs.length > 1) return false
    const middle = this.#codes.get(value)!
    this.#add(node, product.op, [...product.inputs, bytesOf(other)], {
      ...product.attributes,
      ...attributesOf(range),
      middleScale: float(middle.scale),
      middleZero: int(middle.zeroPoint),
      middleLow: product.attributes['low']!,
      middleHigh: product.attributes['high']!,
      residualFirst: int(add.inputs[0] === other ? 1 : 0),
    })
    this.#products.set(node.outputs[0]!, this.#nodes.length - 1)
    return true
  }

  /** The mean of a map: a second result of the convolution that makes the map, or a step. */
  #mean(node: Node, maker: Node, { functions }: Source, code: Code): boolean {
    const [x = ''] = maker.inputs
    if (!this.#codes.has(x) || this.#index.shape(x).length !== 4) return false
    const at = this.#products.get(x)
    const conv = at === undefined ? undefined : this.#nodes[at]!
    if (conv?.op === 'QConv' && conv.outputs.length === 1 && functions.length === 0) {
      this.#nodes[at!] = { ...conv, outputs: [...conv.outputs, bytesOf(node.outputs[0]!)] }
      return true
    }
    this.#add(node, 'QMean', [bytesOf(x)], attributesOf(rangeOf(code, functions)))
    return true
  }

  #average(node: Node, maker: Node, { functions }: Source, code: Code): boolean {
    const [x = ''] = maker.inputs
    if (!this.#codes.has(x)) return false
    this.#add(node, 'QAveragePool', [bytesOf(x)], { ...maker.attributes, ...attributesOf(rangeOf(code, functions)) })
    return true
  }

  /** Parts with other codes are brought to that of the result by tables. */
  #concat(node: Node, maker: Node, { functions }: Source, code: Code): boolean {
    if (functions.length > 0 || !maker.inputs.every((name) => this.#codes.has(name))) return false
    const [y = ''] = node.outputs
    const parts = maker.inputs.map((name, i) => {
      const from = this.#codes.get(name)!
      if (isSameCode(from, code)) return bytesOf(name)
      const part = `${y}.part${i}`
      this.#values.set(part, this.#values.get(name)!)
      this.#declare(part, code)
      this.#add(
        { ...node, name: `${node.name} part ${i}`, outputs: [part] },
        'Lookup',
        [bytesOf(name), this.#table(`${part}.table`, from, code, [])],
        {},
      )
      return bytesOf(part)
    })
    this.#nodes.push({ ...maker, name: node.name, inputs: parts, outputs: [bytesOf(y)] })
    return true
  }

  /** A movement of bytes, which needs one code for all that it moves. */
  #move(node: Node): boolean {
    const moved = movedBytes(this.#index, node, this.#codes, bytesOf)
    if (!moved) return false
    for (const [name, constant] of moved.constants) this.#constants.set(name, constant)
    for (const output of node.outputs) if (output !== '') this.#declare(output, moved.code)
    this.#nodes.push(moved.node)
    for (const output of node.outputs) if (output !== '') this.#addReal(output)
    return true
  }
}

const attributesOf = ({ low, high }: ReturnType<typeof rangeOf>): Readonly<Record<string, Attribute>> => ({
  low: int(low),
  high: int(high),
})
