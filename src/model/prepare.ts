/**
 * From what a file says to a graph that can be lowered: free sizes set, every shape known, constant arithmetic folded,
 * nodes that nobody needs removed. One walk in topological order does it, since a node's inputs come before it.
 */
import { GapcamError, messageOf } from '../errors.js'
import { elementCount } from '../tensor.js'
import type { Constant, Graph, Node, Value } from './graph.js'
import { expandContrib } from './contrib.js'
import { foldNode, foldView } from './fold.js'
import { inSinglePrecision } from './single.js'
import { shapeRules, type Inferred } from './shapes/table.js'
import { NodeView, Unsupported, type Operand } from './view.js'

export interface PrepareOptions {
  /** Height and width of the image inputs (rank 4); needed where the file leaves them free. */
  readonly inputSize?: { readonly height: number; readonly width: number }
}

/** Inputs that a file may give; the passes put bias and residual behind them. */
const ownInputs: Readonly<Record<string, number>> = { Conv: 3, Gemm: 3, MatMul: 2 }

/** Of one value: what fits a plan's memory of 2 GiB. */
const mostElements = 2 ** 29

/** A node that gapcam cannot compute, and why. */
export interface UnsupportedNode {
  readonly node: string
  readonly op: string
  readonly reason: string
}

export interface PreparedGraph {
  readonly graph: Graph
  /** Nodes whose results are not known; a graph with any of them cannot be lowered. */
  readonly unsupported: readonly UnsupportedNode[]
}

/** Throws MODEL_INPUT_SIZE where a size is missing or the graph does not work with the one given. */
export function prepareGraph(graph: Graph, options: PrepareOptions = {}): PreparedGraph {
  const inputs = graph.inputs.map((input) => sizedInput(input, options))
  const walk = new Walk(graph, inputs)
  for (const node of graph.nodes) walk.visit(node)
  const prepared = withoutDeadNodes({
    ...graph,
    inputs,
    nodes: walk.nodes,
    constants: walk.constants,
    values: walk.values,
  })
  checkSize(graph, walk.unsupported, options)
  checkOutputs(graph, prepared, options)
  return { graph: prepared, unsupported: walk.unsupported }
}

/** The same for the native engine, which computes ONNX's own operators in single precision. */
export function prepareNative(graph: Graph, options: PrepareOptions = {}): PreparedGraph {
  return prepareGraph(inSinglePrecision(expandContrib(graph)), options)
}

function sizedInput(input: Value, { inputSize }: PrepareOptions): Value {
  const { name, shape } = input
  if (!shape) throw new GapcamError('MODEL_INVALID', `its input ${name} has no shape`)
  const isNhwc = shape.length === 4 && isChannels(shape[3]) && !isChannels(shape[1])
  const [channelsAt, heightAt, widthAt] = shape.length === 4 ? (isNhwc ? [3, 1, 2] : [1, 2, 3]) : [-1, -1, -1]
  const sizes = shape.map((size, i) => {
    if (i === heightAt && inputSize) return inputSize.height
    if (i === widthAt && inputSize) return inputSize.width
    if (typeof size === 'number') return size
    if (i === 0) return 1 // the batch
    if (i === channelsAt && inputSize) return 3 // as Hugging Face leaves them open too
    throw new GapcamError('MODEL_INPUT_SIZE', `its input ${name} leaves ${size ?? `size ${i}`} open`, {
      hint: 'Give --input-size, or inputSize in the manifest.',
    })
  })
  if (elementCount(sizes) > mostElements)
    throw new GapcamError('MODEL_UNSUPPORTED', `its input ${name} of shape [${sizes.join(', ')}] is too large`)
  return { ...input, shape: sizes }
}

const isChannels = (size: unknown): boolean => size === 1 || size === 3 || size === 4

class Walk {
  readonly nodes: Node[] = []
  readonly constants: Map<string, Constant>
  readonly values: Map<string, Value>
  readonly unsupported: UnsupportedNode[] = []
  readonly #opset: number

  constructor(graph: Graph, inputs: readonly Value[]) {
    this.#opset = graph.opset
    this.constants = new Map(graph.constants)
    this.values = new Map(inputs.map((input) => [input.name, input]))
  }

  visit(node: Node): void {
    if (node.op === 'Constant' && node.domain === '') return this.#addConstant(node)
    try {
      const view = this.#view(node)
      if (!view) return this.#keep(node)
      const outputs = this.#infer(view)
      const folded = this.#fold(view, outputs)
      if (folded) folded.forEach((constant, i) => this.constants.set(node.outputs[i]!, constant))
      else this.#keep(node, outputs)
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      this.unsupported.push({ node: node.name, op: node.op, reason: messageOf(error) })
      this.#keep(node)
    }
  }

  #keep(node: Node, outputs: readonly Inferred[] = []): void {
    this.nodes.push(node)
    outputs.forEach(({ type, shape }, i) => {
      const name = node.outputs[i]
      if (name !== undefined && name !== '') this.values.set(name, { name, type, shape })
    })
  }

  /** The node with its operands, or null where one of them is the result of an unsupported node. */
  #view(node: Node): NodeView | null {
    const operands = node.inputs.map((name): Operand | null | undefined => {
      if (name === '') return null
      const constant = this.constants.get(name)
      if (constant) return { name, type: constant.type, shape: constant.shape, constant }
      const value = this.values.get(name)
      if (!value?.type || !value.shape) return undefined
      return { name, type: value.type, shape: value.shape as readonly number[], constant: null }
    })
    return operands.includes(undefined) ? null : new NodeView(node, this.#opset, operands as (Operand | null)[])
  }

  #infer(view: NodeView): readonly Inferred[] {
    const { node } = view
    const subgraph = Object.values(node.attributes).find((attribute) => attribute.kind === 'unsupported')
    if (subgraph?.kind === 'unsupported') throw new Unsupported(`it has ${subgraph.what} as an attribute`)
    const rule = node.domain === '' ? shapeRules.get(node.op) : undefined
    if (!rule)
      throw new Unsupported(
        node.domain === '' ? 'gapcam does not know this operator' : `gapcam does not know operators of ${node.domain}`,
      )
    if (node.inputs.length > (ownInputs[node.op] ?? Infinity))
      throw new Unsupported(`it has ${node.inputs.length} inputs`)
    const outputs = rule(view)
    const impossible = outputs.find(({ shape }) =>
      shape.some((size) => size < 0 || (!Number.isNaN(size) && !Number.isInteger(size))),
    )
    const large = outputs.find(({ shape }) => elementCount(shape) > mostElements)
    if (large) throw new Unsupported(`its result of shape [${large.shape.join(', ')}] is too large`)
    if (impossible) throw new Unsupported(`its result would have the shape [${impossible.shape.join(', ')}]`)
    return outputs
  }

  #fold(view: NodeView, outputs: readonly Inferred[]): readonly Constant[] | null {
    const isKnown = view.inputs.every(({ constant }) => constant !== null)
    const isShape = view.node.op === 'Shape' || view.node.op === 'Size'
    if (!isKnown && !isShape) return null
    const renamed = isKnown && outputs.length === 1 && view.inputCount > 0 ? foldView(view, outputs[0]!) : null
    return renamed ? [renamed] : foldNode(view, outputs)
  }

  #addConstant(node: Node): void {
    const constant = constantOf(node)
    if (constant) this.constants.set(node.outputs[0]!, constant)
    else {
      this.unsupported.push({
        node: node.name,
        op: node.op,
        reason: 'its value is of a kind that gapcam does not read',
      })
      this.nodes.push(node)
    }
  }
}

/** The value of a Constant node, in whichever attribute it lies. */
function constantOf(node: Node): Constant | null {
  const { value, value_float, value_floats, value_int, value_ints } = node.attributes
  if (value?.kind === 'tensor') return value.value
  if (value_float?.kind === 'float') return numbers('float32', [], [value_float.value])
  if (value_floats?.kind === 'floats') return numbers('float32', [value_floats.value.length], value_floats.value)
  if (value_int?.kind === 'int') return numbers('int64', [], [value_int.value])
  if (value_ints?.kind === 'ints') return numbers('int64', [value_ints.value.length], value_ints.value)
  return null
}

function numbers(type: 'float32' | 'int64', shape: readonly number[], values: readonly number[]): Constant {
  const array =
    type === 'float32' ? Float32Array.from(values) : BigInt64Array.from(values, (v) => BigInt(Math.trunc(v)))
  return { type, shape, bytes: new Uint8Array(array.buffer) }
}

/** The graph with some of its outputs only; all of them where none are named. */
export function onlyOutputs(graph: Graph, names: readonly string[] | undefined): Graph {
  return names
    ? withoutDeadNodes({ ...graph, outputs: graph.outputs.filter(({ name }) => names.includes(name)) })
    : graph
}

/** Keeps the nodes that the outputs need, and the constants that those nodes read. */
export function withoutDeadNodes(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name))
  const nodes = graph.nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((output) => needed.has(output))) return false
      for (const input of node.inputs) needed.add(input)
      return true
    })
    .reverse()
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)))
  return { ...graph, nodes, constants }
}

/** A node that works with the file's own input size but not with the one asked for: a head that fixes the size. */
function checkSize(graph: Graph, unsupported: readonly UnsupportedNode[], { inputSize }: PrepareOptions): void {
  const isFixed = graph.inputs.every(({ shape }) => shape?.every((size, i) => i === 0 || typeof size === 'number'))
  if (!inputSize || unsupported.length === 0 || !isFixed) return
  const own = new Set(prepareGraph(graph).unsupported.map(({ node }) => node))
  const broken = unsupported.find(({ node }) => !own.has(node))
  if (broken)
    throw new GapcamError(
      'MODEL_INPUT_SIZE',
      `its node ${broken.node} does not work with input size ${inputSize.height}x${inputSize.width}: ${broken.reason}`,
    )
}

/** A size that was asked for must leave the outputs as the file declares them: else the head does not fit. */
function checkOutputs(original: Graph, prepared: Graph, { inputSize }: PrepareOptions): void {
  if (!inputSize) return
  const asked = `${inputSize.height}x${inputSize.width}`
  for (const declared of original.outputs) {
    const shape = prepared.values.get(declared.name)?.shape
    const differs =
      shape &&
      declared.shape?.length === 2 &&
      declared.shape.some((size, i) => i > 0 && typeof size === 'number' && size !== shape[i])
    if (differs)
      throw new GapcamError(
        'MODEL_INPUT_SIZE',
        `its output ${declared.name} does not keep its shape with input size ${asked}`,
      )
  }
}
