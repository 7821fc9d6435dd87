/**
 * From graph to steps, and from ONNX's order to NHWC, in one forward walk: each operator's entry in the table asks for
 * its operands in the form that suits it and says in which form its results are.
 */
import { elementCount } from '../tensor.js'
import { floatsOf, type Graph, type Node } from './graph.js'
import {
  noActivation,
  nhwcShape,
  type Activation,
  type Form,
  type LowerContext,
  type TensorId,
} from './operators/context.js'
import { operatorTable } from './operators/table.js'
import type { PlanStep } from './plan.js'
import type { UnsupportedNode } from './prepare.js'
import {
  elementwiseOps,
  tensorBytes,
  type ElementwiseOp,
  type PlanType,
  type StepKind,
  type StepParameters,
} from './steps.js'
import { NodeView, Unsupported, type Operand } from './view.js'

/** A tensor before it has a place. `root` is itself, or the tensor whose bytes it shares. */
export interface DraftTensor {
  readonly name: string
  readonly type: PlanType
  /** Of any rank; a plan has the sizes that `planSizes` makes of it. */
  readonly shape: readonly number[]
  readonly bytes: Uint8Array | null
  readonly root: TensorId
}

export interface DraftPort {
  readonly name: string
  readonly tensor: TensorId
  readonly layout: 'none' | 'nchw' | 'nhwc'
}

/** Steps and tensors without memory. */
export interface Draft {
  readonly tensors: readonly DraftTensor[]
  readonly steps: readonly PlanStep[]
  readonly inputs: readonly DraftPort[]
  readonly outputs: readonly DraftPort[]
}

export type Lowered = { readonly draft: Draft } | { readonly unsupported: readonly UnsupportedNode[] }

/** Lowers a prepared graph after the passes. */
export function lowerGraph(graph: Graph): Lowered {
  const lowering = new Lowering(graph)
  for (const node of graph.nodes) lowering.visit(node)
  return lowering.finish()
}

/** Dimensions of a plan's tensor, and bytes of a plan's memory. */
const maxRank = 5
const mostBytes = 2 ** 31

/** A node that only lacks the result of one that is unsupported already: no reason of its own. */
class Waiting extends Unsupported {}

class Lowering {
  readonly #graph: Graph
  readonly #tensors: DraftTensor[] = []
  readonly #steps: PlanStep[] = []
  readonly #forms = new Map<string, Partial<Record<Form, TensorId>>>()
  readonly #inputs: DraftPort[] = []
  readonly #unsupported: UnsupportedNode[] = []

  constructor(graph: Graph) {
    this.#graph = graph
    for (const input of graph.inputs) this.#addInput(input.name)
  }

  /** A picture is fed in NHWC where anything but a transposition reads it first, since every such operator wants it so. */
  #addInput(name: string): void {
    const value = this.#graph.values.get(name)
    if (value?.type !== 'float32') {
      this.#unsupported.push({ node: name, op: 'input', reason: `its type is ${value?.type ?? 'unknown'}` })
      return
    }
    const shape = value.shape as readonly number[]
    const readers = this.#graph.nodes.filter((node) => node.inputs.includes(name))
    const form: Form =
      shape.length === 4 && readers.every((node) => node.op !== 'Transpose' && node.op !== 'Reshape') ? 'nhwc' : 'plain'
    try {
      this.#checkRank(name)
      const tensor = this.#newTensor(name, form === 'nhwc' ? nhwcShape(shape) : shape)
      this.#forms.set(name, { [form]: tensor })
      this.#inputs.push({ name, tensor, layout: form === 'nhwc' ? 'nhwc' : 'none' })
    } catch (error) {
      this.#refuse(name, 'input', error)
    }
  }

  /** What goes in or out keeps all of its sizes. */
  #checkRank(name: string): void {
    const rank = this.shape(name).length
    if (rank > maxRank) throw new Unsupported(`${name} has ${rank} dimensions, a plan has at most ${maxRank}`)
  }

  #refuse(node: string, op: string, error: unknown): void {
    if (!(error instanceof Unsupported)) throw error
    this.#unsupported.push({ node, op, reason: error.message })
  }

  visit(node: Node): void {
    try {
      const operator = node.domain === '' || node.domain === 'gapcam' ? operatorTable.get(node.op) : undefined
      if (!operator) throw new Unsupported('the native engine does not have it')
      const context = new NodeContext(this, this.#view(node))
      operator.lower(context)
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      if (!(error instanceof Waiting)) this.#unsupported.push({ node: node.name, op: node.op, reason: error.message })
      for (const output of node.outputs) this.#forms.delete(output)
    }
  }

  finish(): Lowered {
    const outputs = this.#unsupported.length > 0 ? [] : this.#graph.outputs.flatMap(({ name }) => this.#output(name))
    if (this.#unsupported.length > 0) return { unsupported: this.#unsupported }
    return { draft: { tensors: this.#tensors, steps: this.#steps, inputs: this.#inputs, outputs } }
  }

  #output(name: string): readonly DraftPort[] {
    try {
      this.#checkRank(name)
      return [{ name, tensor: this.value(name, 'plain'), layout: 'none' }]
    } catch (error) {
      this.#refuse(name, 'output', error)
      return []
    }
  }

  #view(node: Node): NodeView {
    const operands = node.inputs.map((name): Operand | null => {
      if (name === '') return null
      const constant = this.#graph.constants.get(name)
      if (constant) return { name, type: constant.type, shape: constant.shape, constant }
      const value = this.#graph.values.get(name)
      if (!value?.type || !value.shape || !this.#forms.has(name)) throw new Waiting()
      if (value.type !== 'float32') throw new Unsupported(`it computes with ${value.type}`)
      return { name, type: value.type, shape: value.shape as readonly number[], constant: null }
    })
    return new NodeView(node, this.#graph.opset, operands)
  }

  #newTensor(name: string, shape: readonly number[], extra: Partial<DraftTensor> = {}): TensorId {
    if (shape.some((size) => size < 1)) throw new Unsupported(`${name} has the empty shape [${shape.join(', ')}]`)
    const id = this.#tensors.length
    const tensor: DraftTensor = { name, type: 'float32', shape, bytes: null, root: id, ...extra }
    if (tensorBytes(tensor) >= mostBytes) throw new Unsupported(`${name} is larger than a plan may be`)
    this.#tensors.push(tensor)
    return id
  }

  sizes(tensor: TensorId): readonly number[] {
    return this.#tensors[tensor]!.shape
  }

  form(name: string): Form {
    return this.#forms.get(name)?.plain === undefined && this.#forms.get(name)?.nhwc !== undefined ? 'nhwc' : 'plain'
  }

  shape(name: string): readonly number[] {
    const value = this.#graph.constants.get(name) ?? this.#graph.values.get(name)
    if (!value?.shape) throw new Unsupported(`nothing is known of its value ${name}`)
    return value.shape as readonly number[]
  }

  constant(name: string, shape: readonly number[], data: Float32Array | Int32Array): TensorId {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return this.#newTensor(name, shape, { bytes, type: data instanceof Int32Array ? 'int32' : 'float32' })
  }

  temporary(name: string, shape: readonly number[]): TensorId {
    return this.#newTensor(name, shape)
  }

  define(name: string, form: Form): TensorId {
    const shape = this.shape(name)
    const tensor = this.#newTensor(name, form === 'nhwc' ? nhwcShape(shape) : shape)
    this.#set(name, form, tensor)
    return tensor
  }

  alias(name: string, form: Form, tensor: TensorId): void {
    const shape = this.shape(name)
    this.#set(name, form, this.#renamed(name, form === 'nhwc' ? nhwcShape(shape) : shape, tensor))
  }

  #renamed(name: string, shape: readonly number[], tensor: TensorId): TensorId {
    const { type, root, bytes } = this.#tensors[tensor]!
    return this.#newTensor(name, shape, { type, root, bytes })
  }

  #set(name: string, form: Form, tensor: TensorId): void {
    this.#forms.set(name, { ...this.#forms.get(name), [form]: tensor })
  }

  step(step: PlanStep): void {
    if (step.kind === 'binary')
      this.#checkBroadcast(
        step.inputs.map((id) => this.sizes(id!)),
        this.sizes(step.outputs[0]!),
      )
    this.#steps.push(step)
  }

  /** An operand has all of the dimensions that become one in the plan, or none of them. */
  #checkBroadcast(operands: readonly (readonly number[])[], result: readonly number[]): void {
    const kept = maxRank - 1
    const leading = (shape: readonly number[]): number => elementCount(shape.slice(0, Math.max(0, shape.length - kept)))
    const splits =
      result.length > maxRank && operands.some((shape) => leading(shape) !== 1 && leading(shape) !== leading(result))
    if (splits) throw new Unsupported(`it broadcasts among ${result.length} dimensions, a plan has at most ${maxRank}`)
  }

  /** A value in a form, made if it is not there yet. */
  value(name: string, form: Form): TensorId {
    const existing = this.#forms.get(name)?.[form]
    if (existing !== undefined) return existing
    const constant = this.#graph.constants.get(name)
    const made = constant ? this.#constantIn(name, form) : this.#converted(name, form)
    this.#set(name, form, made)
    return made
  }

  #constantIn(name: string, form: Form): TensorId {
    const constant = this.#graph.constants.get(name)!
    if (constant.type !== 'float32') throw new Unsupported(`it computes with ${constant.type}`)
    if (form === 'plain') return this.#newTensor(name, constant.shape, { bytes: constant.bytes })
    return this.constant(name, nhwcShape(constant.shape), permuted(floatsOf(constant), constant.shape))
  }

  #converted(name: string, form: Form): TensorId {
    const from: Form = form === 'nhwc' ? 'plain' : 'nhwc'
    const source = this.#forms.get(name)?.[from]
    if (source === undefined)
      throw new Unsupported(`nothing that the native engine computes makes ${name === '' ? 'it' : name}`)
    const [n = 1, c = 1, h = 1, w = 1] = this.shape(name)
    const shape = form === 'nhwc' ? [n, h, w, c] : [n, c, h, w]
    if (c === 1 || h * w === 1) return this.#renamed(name, shape, source)
    const target = this.#newTensor(name, shape)
    const [rows, columns] = form === 'nhwc' ? [h * w, c] : [c, h * w]
    this.step({
      kind: 'copy',
      name: `${name} to ${form === 'nhwc' ? 'NHWC' : 'NCHW'}`,
      inputs: [source],
      outputs: [target],
      parameters: {
        size: [1, 1, n, rows, columns],
        inStride: [0, 0, c * h * w, 1, rows],
        outStride: [0, 0, c * h * w, columns, 1],
        inOffset: 0,
        outOffset: 0,
        fill: 0,
        value: 0,
      },
    })
    return target
  }

  /** A value as the broadcast operand of a result of `rank` dimensions: sizes of 1 in front, then the form. */
  operand(name: string, form: Form, rank: number): TensorId {
    const shape = this.shape(name)
    if (form === 'plain' || shape.length === rank) return this.value(name, form)
    const aligned = [...new Array<number>(rank - shape.length).fill(1), ...shape]
    const [, c = 1, h = 1, w = 1] = aligned
    const constant = this.#graph.constants.get(name)
    if (constant && constant.type !== 'float32') throw new Unsupported(`it computes with ${constant.type}`)
    if (constant) return this.constant(name, nhwcShape(aligned), permuted(floatsOf(constant), aligned))
    const plain = this.value(name, 'plain')
    if (c === 1 || h * w === 1) return this.#renamed(name, nhwcShape(aligned), plain)
    const target = this.#newTensor(name, nhwcShape(aligned))
    this.step({
      kind: 'copy',
      name: `${name} to NHWC`,
      inputs: [plain],
      outputs: [target],
      parameters: {
        size: [1, 1, 1, h * w, c],
        inStride: [0, 0, 0, 1, h * w],
        outStride: [0, 0, 0, c, 1],
        inOffset: 0,
        outOffset: 0,
        fill: 0,
        value: 0,
      },
    })
    return target
  }
}

/** [N,C,H,W] data in NHWC order. */
function permuted(data: Float32Array, [n = 1, c = 1, h = 1, w = 1]: readonly number[]): Float32Array {
  const area = h * w
  return Float32Array.from({ length: n * c * area }, (_, i) => {
    const channel = i % c
    const pixel = Math.floor(i / c) % area
    return data[(Math.floor(i / (c * area)) * c + channel) * area + pixel]!
  })
}

class NodeContext implements LowerContext {
  readonly view: NodeView
  readonly activation: Activation
  readonly #lowering: Lowering

  constructor(lowering: Lowering, view: NodeView) {
    this.#lowering = lowering
    this.view = view
    this.activation = fusedActivation(view)
  }

  formOf(i: number): Form {
    return this.#lowering.form(this.view.input(i).name)
  }

  input(i: number, form: Form): TensorId {
    return this.#lowering.value(this.view.input(i).name, form)
  }

  operand(i: number, form: Form, rank: number): TensorId {
    return this.#lowering.operand(this.view.input(i).name, form, rank)
  }

  constant(shape: readonly number[], data: Float32Array | Int32Array): TensorId {
    return this.#lowering.constant(`${this.view.node.name} constant`, shape, data)
  }

  output(i: number, form: Form): TensorId {
    return this.#lowering.define(this.view.node.outputs[i]!, form)
  }

  temporary(shape: readonly number[]): TensorId {
    return this.#lowering.temporary(`${this.view.node.name} part`, shape)
  }

  alias(i: number, form: Form, tensor: TensorId): void {
    this.#lowering.alias(this.view.node.outputs[i]!, form, tensor)
  }

  sizes(tensor: TensorId): readonly number[] {
    return this.#lowering.sizes(tensor)
  }

  step<K extends StepKind>(
    kind: K,
    inputs: readonly (TensorId | null)[],
    outputs: readonly (TensorId | null)[],
    parameters: StepParameters<K>,
  ): void {
    this.#lowering.step({ kind, name: this.view.node.name, inputs, outputs, parameters } as PlanStep)
  }
}

/** The activation that a pass put on a node, as attributes that no file has. */
function fusedActivation(view: NodeView): Activation {
  const name = view.text('gapcam.activation', 'none')
  const activation = elementwiseOps.find((op): op is ElementwiseOp => op === name) ?? 'none'
  return activation === 'none'
    ? noActivation
    : { activation, a: view.float('gapcam.a', 0), b: view.float('gapcam.b', 0) }
}

/** Sizes as a plan holds them: where there are more than five, the first ones become one. */
export function planSizes(shape: readonly number[]): readonly number[] {
  const first = shape.length - maxRank + 1
  return first < 2 ? shape : [elementCount(shape.slice(0, first)), ...shape.slice(first)]
}
