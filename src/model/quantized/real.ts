/**
 * A prepared graph without quantised integers: every value is a real number in float32. Weights are dequantised, a
 * QuantizeLinear keeps only the limits of its type as a Clip (a Relu6 may live there alone), and integer inputs and
 * outputs become real ones. Only outputs are rounded, so results are nearer to those of the original network.
 */
import {
  floatConstant,
  madeNode,
  numbersOf,
  Unsupported,
  type Constant,
  type Graph,
  type Node,
  type StoredIntegers,
  type Value,
} from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { dataTypes } from '../onnx/tensor.js'
import { permutation } from '../shapes/movement.js'
import {
  asType,
  codeKeepers,
  codeOf,
  inputCode,
  isCodeType,
  isSameCode,
  quantizedOp,
  realOf,
  type ByteType,
} from './code.js'
import { dequantized, scalesOf, transposedInteger } from './weights.js'
import { codeRange, type Code } from '../../tensor.js'

/**
 * The graph in real numbers, or the graph itself where it has no integers. With `bytes`, a node `Quantized` of gapcam
 * stands where a value is rounded to 8 bits, with its code in that type, and the graph knows the integers of its constants.
 * Throws `Unsupported` with the reason.
 */
export function realGraph(graph: Graph, bytes: ByteType | null = null): Graph {
  const isQuantized =
    graph.inputs.some(({ type }) => isCodeType(type)) ||
    graph.nodes.some(({ op, domain }) => domain === '' && (op === 'QuantizeLinear' || op === 'DequantizeLinear'))
  return isQuantized ? new RealGraph(graph, bytes).build() : graph
}

class RealGraph {
  readonly #graph: Graph
  readonly #index: GraphIndex
  readonly #constants: Map<string, Constant>
  readonly #values: Map<string, Value>
  readonly #nodes: Node[] = []
  /** The codes that integer values had in the file. */
  readonly #codes = new Map<string, Code>()
  /** Values that are the same as another one. */
  readonly #same = new Map<string, string>()

  readonly #integers = new Map<string, StoredIntegers>()
  readonly #bytes: ByteType | null

  constructor(graph: Graph, bytes: ByteType | null) {
    this.#bytes = bytes
    this.#graph = graph
    this.#index = GraphIndex.of(graph)
    this.#constants = new Map(graph.constants)
    this.#values = new Map(graph.values)
  }

  build(): Graph {
    for (const { name } of this.#graph.inputs) this.#addInput(name)
    for (const node of this.#graph.nodes) this.#visit(node)
    const port = (value: Value): Value => this.#values.get(value.name) ?? value
    const { inputs, outputs } = this.#graph
    return {
      ...this.#graph,
      inputs: inputs.map(port),
      outputs: outputs.map(port),
      nodes: this.#nodes,
      constants: this.#constants,
      values: this.#values,
      integers: this.#integers,
    }
  }

  #addInput(name: string): void {
    const code = inputCode(this.#index, name)
    this.#setCode(name, code)
    if (!code || !this.#isByte(code)) return
    const rounded = this.#between(`${name}.rounded`, name)
    this.#nodes.push(quantizedNode(rounded, name, rounded, asType(code, this.#bytes!)))
    this.#same.set(name, rounded)
  }

  /** Whether values of a code are computed in 8 bits. */
  #isByte({ type }: Code): boolean {
    return this.#bytes !== null && (type === 'int8' || type === 'uint8')
  }

  #setCode(name: string, code: Code | null): void {
    if (!code) return
    this.#codes.set(name, code)
    const value = this.#values.get(name)
    if (value) this.#values.set(name, { ...value, type: 'float32' })
  }

  #visit(node: Node): void {
    const code = this.#codes.get(node.inputs[0] ?? '')
    const isCoded = node.inputs.some((name) => this.#codes.has(name))
    if (node.domain !== '') this.#add(node)
    else if (node.op === 'Transpose' && this.#integers.has(node.inputs[0]!)) this.#transpose(node)
    else if (node.op === 'QuantizeLinear') this.#quantize(node)
    else if (node.op === 'DequantizeLinear') this.#dequantize(node)
    else if (!isCoded) this.#add(node)
    else if (node.op === 'Cast' && code) this.#cast(node, code)
    else if (code && codeKeepers.has(node.op) && this.#areAlike(node, code)) {
      this.#add(this.#withRealBounds(node, code))
      for (const output of node.outputs) this.#setCode(output, code)
    } else throw new Unsupported(`${node.op} ${node.name} computes with quantised integers`)
  }

  /** Adds a node, which reads values under the names that they still have. */
  #add(node: Node): void {
    this.#nodes.push({ ...node, inputs: node.inputs.map((name) => this.#same.get(name) ?? name) })
  }

  /** Whether the parts of a Concat have one code. */
  #areAlike({ op, inputs }: Node, code: Code): boolean {
    return op !== 'Concat' || inputs.every((name) => isSameCode(this.#codes.get(name), code))
  }

  /** A Pad or Clip whose integer constants are real ones. A Pad without a value has the stored number 0. */
  #withRealBounds(node: Node, code: Code): Node {
    const at = node.op === 'Pad' ? [2] : node.op === 'Clip' ? [1, 2] : []
    if (at.length === 0) return node
    const inputs = [...node.inputs]
    for (const i of at) {
      const constant = this.#constants.get(inputs[i] ?? '')
      const given = constant ? numbersOf(constant)[0]! : node.op === 'Pad' && !inputs[i] ? 0 : null
      if (given === null && inputs[i]) throw new Unsupported(`${node.name} limits integers by a computed number`)
      if (given !== null) inputs[i] = this.#number(`${node.name}.${i}`, realOf(code, given))
    }
    return { ...node, inputs: Array.from(inputs, (name) => name ?? '') }
  }

  #number(name: string, value: number): string {
    this.#constants.set(name, floatConstant([], Float32Array.of(value)))
    return name
  }

  /** The limits of the type remain. */
  #quantize(node: Node): void {
    const [x = '', scaleName = '', zeroName = ''] = node.inputs
    const [q = ''] = node.outputs
    const type = this.#graph.values.get(q)?.type ?? this.#constants.get(zeroName)?.type
    const scale = this.#constants.get(scaleName)
    const code = codeOf(this.#index, node, type)
    if (!scale || !isCodeType(type) || this.#codes.has(x)) return this.#add(node)
    const [least, most] = codeRange[type]
    if (code && this.#isByte(code)) {
      this.#add(quantizedNode(node.name, x, q, asType(code, this.#bytes!)))
      return this.#setCode(q, code)
    }
    if (code) {
      const bounds = [this.#number(`${q}.low`, realOf(code, least)), this.#number(`${q}.high`, realOf(code, most))]
      const isResult = reachesOutput(this.#index, q)
      const limited = isResult ? this.#between(`${q}.limited`, q) : q
      this.#add(madeNode('Clip', { name: node.name, inputs: [x, ...bounds], output: limited }))
      if (isResult) this.#round(limited, q, code.scale)
      return this.#setCode(q, code)
    }
    throw new Unsupported(`QuantizeLinear ${node.name} has several scales`)
  }

  #dequantize(node: Node): void {
    const [x = '', scaleName = '', zeroName = ''] = node.inputs
    const [y = ''] = node.outputs
    const stored = this.#constants.get(x)
    const scale = this.#constants.get(scaleName)
    if (stored && scale) {
      const scales = scalesOf(node, stored.shape, scale, this.#constants.get(zeroName))
      this.#constants.set(y, dequantized(stored, scales))
      const { axis, zeroPoint } = scales
      this.#integers.set(y, { stored, scale: scales.scale, zeroPoint, axis })
      return
    }
    const made = this.#codes.get(x)
    const code = made ? codeOf(this.#index, node, made.type) : null
    if (!made || !code) return this.#add(node)
    if (!isSameCode(made, code)) return this.#affine(node, x, code.scale / made.scale, realOf(code, made.zeroPoint))
    if (this.#index.isOutput(y)) this.#add(madeNode('Identity', { name: node.name, inputs: [x], output: y }))
    else this.#same.set(y, this.#same.get(x) ?? x)
  }

  /** A constant matrix with its integers on their side. */
  #transpose(node: Node): void {
    const [x = ''] = node.inputs
    const [y = ''] = node.outputs
    const { stored, axis, ...codes } = this.#integers.get(x)!
    if (stored.shape.length === 2 && permutation(this.#index.view({ ...node, inputs: [x] })).join() === '1,0') {
      const turned = transposedInteger(stored)
      if (turned) this.#integers.set(y, { ...codes, stored: turned, axis: 1 - axis })
    }
    this.#add(node)
  }

  /** Declares a value with the shape of another one. */
  #between(name: string, other: string): string {
    const { shape } = this.#graph.values.get(other) ?? {}
    this.#values.set(name, { name, type: 'float32', ...(shape ? { shape } : {}) })
    return name
  }

  /** Rounds to multiples of the scale: results are as coarse as the file says, so that scores tie where they should. */
  #round(x: string, y: string, scale: number): void {
    const [steps, whole] = [this.#between(`${y}.steps`, y), this.#between(`${y}.whole`, y)]
    this.#add(madeNode('Div', { inputs: [x, this.#number(`${y}.scale`, scale)], output: steps }))
    this.#add({ ...madeNode('RoundSmall', { inputs: [steps], output: whole }), domain: 'gapcam' })
    this.#add(madeNode('Mul', { inputs: [whole, `${y}.scale`], output: y }))
  }

  /** The stored integers as floats. */
  #cast(node: Node, { scale, zeroPoint }: Code): void {
    const to = node.attributes['to']
    const type = to?.kind === 'int' ? dataTypes[to.value] : undefined
    if (type !== 'float32') throw new Unsupported(`Cast ${node.name} computes with quantised integers`)
    this.#affine(node, node.inputs[0]!, 1 / scale, zeroPoint)
  }

  /** y = factor · x + offset in the place of a node. */
  #affine({ name, outputs }: Node, x: string, factor: number, offset: number): void {
    const [y = ''] = outputs
    const product = this.#between(`${y}.scaled`, y)
    this.#add(madeNode('Mul', { inputs: [x, this.#number(`${y}.factor`, factor)], output: product }))
    this.#add(madeNode('Add', { name, inputs: [product, this.#number(`${y}.offset`, offset)], output: y }))
  }
}

/** Whether a value is an output of the graph, itself or as real numbers or moved. */
function reachesOutput(index: GraphIndex, name: string): boolean {
  if (index.isOutput(name)) return true
  return index
    .readers(name)
    .some(
      ({ op, outputs }) => (op === 'DequantizeLinear' || codeKeepers.has(op)) && reachesOutput(index, outputs[0] ?? ''),
    )
}

/** A node that rounds real numbers to those that bytes of a code stand for. */
function quantizedNode(name: string, x: string, y: string, { type, scale, zeroPoint }: Code): Node {
  const attributes: Node['attributes'] = {
    type: { kind: 'string', value: type },
    scale: { kind: 'float', value: scale },
    zeroPoint: { kind: 'int', value: zeroPoint },
  }
  return { ...madeNode(quantizedOp, { name, inputs: [x], output: y, attributes }), domain: 'gapcam' }
}
