/**
 * The tensors that hold a value. A value exists in ONNX's own order ('plain'), channels last ('nhwc'), or both. A form
 * is made when it is first used: a constant is permuted now, a computed value by a `copy` step.
 */
import type { DraftBuilder, DraftTensor, TensorId } from './draft.js'
import { floatsOf, Unsupported, type Graph } from './graph.js'
import { nhwcShape, type Form } from './operators/context.js'
import { transposition } from './operators/copy.js'

/** The tensors of the values of one graph. */
export class ValueForms {
  readonly #graph: Graph
  readonly #draft: DraftBuilder
  readonly #tensors = new Map<string, Partial<Record<Form, TensorId>>>()

  constructor(graph: Graph, draft: DraftBuilder) {
    this.#graph = graph
    this.#draft = draft
  }

  /** Whether a value has been computed, or is an input of the graph. */
  has(name: string): boolean {
    return this.#tensors.has(name)
  }

  /** Takes back what a node has defined before it turned out to be unsupported. */
  forget(name: string): void {
    this.#tensors.delete(name)
  }

  /** The form in which a value already exists; 'plain' if in both. */
  formOf(name: string): Form {
    const { plain, nhwc } = this.#tensors.get(name) ?? {}
    return plain === undefined && nhwc !== undefined ? 'nhwc' : 'plain'
  }

  /** The shape in ONNX's order. */
  shape(name: string): readonly number[] {
    const value = this.#graph.constants.get(name) ?? this.#graph.values.get(name)
    if (!value?.shape) throw new Unsupported(`nothing is known of its value ${name}`)
    return value.shape as readonly number[]
  }

  /** The element type of a computed value: bytes with their code, or float32. */
  typeOf(name: string): Pick<DraftTensor, 'type' | 'scale' | 'zeroPoint'> {
    const { type, code } = this.#graph.values.get(name) ?? {}
    if (!code || !(type === 'int8' || type === 'uint8')) return { type: 'float32', scale: 1, zeroPoint: 0 }
    return { type, ...code }
  }

  /** Makes the tensor of a value in a form. */
  define(name: string, form: Form): TensorId {
    const tensor = this.#draft.tensor(name, this.#shapeIn(name, form), this.typeOf(name))
    this.#set(name, form, tensor)
    return tensor
  }

  /** Declares that a value in a form is the same memory as a tensor. */
  alias(name: string, form: Form, tensor: TensorId): void {
    this.#set(name, form, this.#draft.alias(name, this.#shapeIn(name, form), tensor))
  }

  /** The tensor of a value in a form. */
  value(name: string, form: Form): TensorId {
    const existing = this.#tensors.get(name)?.[form]
    if (existing !== undefined) return existing
    const made = this.#graph.constants.has(name) ? this.#constant(name, form) : this.#converted(name, form)
    this.#set(name, form, made)
    return made
  }

  /** A value as the broadcast operand of a result of `rank` dimensions: sizes of 1 in front, then in the form. */
  operand(name: string, form: Form, rank: number): TensorId {
    const shape = this.shape(name)
    if (form === 'plain' || shape.length === rank) return this.value(name, form)
    const aligned = [...new Array<number>(rank - shape.length).fill(1), ...shape]
    const constant = this.#graph.constants.get(name)
    if (constant) return this.#draft.constant(name, nhwcShape(aligned), permuted(floatsOf(constant), aligned))
    const plain = this.value(name, 'plain')
    if (hasOneOrder(aligned)) return this.#draft.alias(name, nhwcShape(aligned), plain)
    const [, c = 1, h = 1, w = 1] = aligned
    const target = this.#draft.tensor(name, nhwcShape(aligned), this.typeOf(name))
    this.#draft.step({
      kind: 'copy',
      name: `${name} to NHWC`,
      inputs: [plain],
      outputs: [target],
      parameters: transposition(h * w, c),
    })
    return target
  }

  #shapeIn(name: string, form: Form): readonly number[] {
    const shape = this.shape(name)
    return form === 'nhwc' ? nhwcShape(shape) : shape
  }

  #set(name: string, form: Form, tensor: TensorId): void {
    this.#tensors.set(name, { ...this.#tensors.get(name), [form]: tensor })
  }

  #constant(name: string, form: Form): TensorId {
    const constant = this.#graph.constants.get(name)!
    if (constant.type !== 'float32') throw new Unsupported(`it computes with ${constant.type}`)
    if (form === 'plain') return this.#draft.tensor(name, constant.shape, { bytes: constant.bytes })
    return this.#draft.constant(name, nhwcShape(constant.shape), permuted(floatsOf(constant), constant.shape))
  }

  /** A computed value in the form that it does not have yet. */
  #converted(name: string, form: Form): TensorId {
    const source = this.#tensors.get(name)?.[form === 'nhwc' ? 'plain' : 'nhwc']
    if (source === undefined)
      throw new Unsupported(`nothing that the native engine computes makes ${name === '' ? 'it' : name}`)
    const [n = 1, c = 1, h = 1, w = 1] = this.shape(name)
    const shape = form === 'nhwc' ? [n, h, w, c] : [n, c, h, w]
    if (hasOneOrder([n, c, h, w])) return this.#draft.alias(name, shape, source)
    const target = this.#draft.tensor(name, shape, this.typeOf(name))
    this.#draft.step({
      kind: 'copy',
      name: `${name} to ${form === 'nhwc' ? 'NHWC' : 'NCHW'}`,
      inputs: [source],
      outputs: [target],
      parameters: form === 'nhwc' ? transposition(h * w, c, n) : transposition(c, h * w, n),
    })
    return target
  }
}

/** Whether the bytes are the same in both forms: one channel, or one pixel. */
function hasOneOrder([, c = 1, h = 1, w = 1]: readonly number[]): boolean {
  return c === 1 || h * w === 1
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
