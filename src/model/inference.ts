/**
 * Shape inference and constant folding in one pass over the nodes in topological order. Every node that is not folded
 * is kept, also where gapcam cannot compute it; the reasons are collected.
 */
import { messageOf } from '../errors.js'
import { elementCount } from '../tensor.js'
import { foldNode, foldView } from './folding/fold.js'
import { Unsupported, type Constant, type Graph, type Node, type UnsupportedNode, type Value } from './graph.js'
import { shapeRules, type Inferred } from './shapes/table.js'
import { NodeView, operandOf, type Operand } from './view.js'

/** Inputs that a file may give. The passes put bias and residual behind them. */
const mostInputs: Readonly<Record<string, number>> = { Conv: 3, ConvTranspose: 3, Gemm: 3, MatMul: 2 }

/** Most elements of one value: what fits a plan's memory of 2 GiB. */
export const mostElements = 2 ** 29

/** Visit the nodes in order, then read the results. */
export class GraphInference {
  readonly nodes: Node[] = []
  readonly constants: Map<string, Constant>
  readonly values: Map<string, Value>
  readonly unsupported: UnsupportedNode[] = []
  readonly #opset: number
  readonly #opaque: Graph['opaque']
  readonly #made: Graph['values']

  /**
   * `inputs` are the graph's inputs with all sizes known. `made` are the results of nodes that passes have made, for which
   * there are no rules.
   */
  constructor(graph: Graph, inputs: readonly Value[], made: Graph['values'] = new Map()) {
    this.#made = made
    this.#opset = graph.opset
    this.#opaque = graph.opaque
    this.constants = new Map(graph.constants)
    this.values = new Map(inputs.map((input) => [input.name, input]))
  }

  visit(node: Node): void {
    if (node.op === 'Constant' && node.domain === '') return this.#addConstant(node)
    const made = node.domain === 'gapcam' ? node.outputs.map((name) => this.#made.get(name)) : []
    if (made.some((value) => value !== undefined)) {
      for (const value of made) if (value) this.values.set(value.name, value)
      return void this.nodes.push(node)
    }
    try {
      const opaque = node.inputs.find((name) => this.#opaque?.has(name))
      if (opaque !== undefined) throw new Unsupported(`its input ${opaque} is of a type that gapcam does not read`)
      const view = this.#view(node)
      if (!view) return this.#keep(node)
      const outputs = inferOutputs(view)
      const folded = fold(view, outputs)
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

  /** The node with its inputs, or null where one of them is the result of an unsupported node. */
  #view(node: Node): NodeView | null {
    const operands = node.inputs.map((name): Operand | null | undefined => (name === '' ? null : operandOf(name, this)))
    return operands.includes(undefined) ? null : new NodeView(node, this.#opset, operands as (Operand | null)[])
  }

  #addConstant(node: Node): void {
    const constant = constantOf(node)
    if (constant) {
      this.constants.set(node.outputs[0]!, constant)
      return
    }
    this.unsupported.push({ node: node.name, op: node.op, reason: 'gapcam does not read its kind of value' })
    this.nodes.push(node)
  }
}

/** Types and shapes of a node's outputs. Throws `Unsupported` with the reason. */
function inferOutputs(view: NodeView): readonly Inferred[] {
  const { node } = view
  const subgraph = Object.values(node.attributes).find((attribute) => attribute.kind === 'unsupported')
  if (subgraph?.kind === 'unsupported') throw new Unsupported(`it has ${subgraph.what} as an attribute`)
  const rule = node.domain === '' ? shapeRules.get(node.op) : undefined
  if (!rule)
    throw new Unsupported(
      node.domain === '' ? 'gapcam does not know this operator' : `gapcam does not know operators of ${node.domain}`,
    )
  if (node.inputs.length > (mostInputs[node.op] ?? Infinity))
    throw new Unsupported(`it has ${node.inputs.length} inputs`)
  const outputs = rule(view)
  checkShapes(outputs)
  return outputs
}

/** A size may be NaN where it depends on data (NonZero). */
function checkShapes(outputs: readonly Inferred[]): void {
  const large = outputs.find(({ shape }) => elementCount(shape) > mostElements)
  if (large) throw new Unsupported(`its result of shape [${large.shape.join(', ')}] is too large`)
  const impossible = outputs.find(({ shape }) =>
    shape.some((size) => size < 0 || (!Number.isNaN(size) && !Number.isInteger(size))),
  )
  if (impossible) throw new Unsupported(`its result would have the shape [${impossible.shape.join(', ')}]`)
}

/** The outputs as constants where all inputs are constant, or where only their shape matters; else null. */
function fold(view: NodeView, outputs: readonly Inferred[]): readonly Constant[] | null {
  const isKnown = view.inputs.every(({ constant }) => constant !== null)
  const isShape = view.node.op === 'Shape' || view.node.op === 'Size'
  if (!isKnown && !isShape) return null
  const renamed = isKnown && outputs.length === 1 && view.inputCount > 0 ? foldView(view, outputs[0]!) : null
  return renamed ? [renamed] : foldNode(view, outputs)
}

/** The value of a Constant node, from the attribute that holds it. */
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
