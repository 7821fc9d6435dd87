/**
 * Collects the nodes of an ONNX graph (opset 17) while the operators of a TFLite model are converted. It owns the names
 * and how a quantized tensor is written: QuantizeLinear behind the operator that computes it, DequantizeLinear before
 * those that use it. Operators see float32 values only, in TFLite's order (channels last). Numbers of 16 bits and more with a
 * scale are real numbers here, as they come in and go out too: float32 is as fine as their steps.
 */
import { GapcamError } from '../../errors.js'
import { elementCount } from '../../tensor.js'
import {
  floatConstant,
  int64Constant,
  numbersOf,
  type Attribute,
  type Constant,
  type Graph,
  type Node,
  type Value,
} from '../graph.js'
import type { Quantization, TfliteModel, TfliteTensor } from './model.js'
import { uniqueNames } from './names.js'

export const opset = 17

type AttributeValue = number | string | readonly number[]

/**
 * One graph in the making. Call `input` for each input, then `value` and `set` while operators are converted, then
 * `build`.
 */
export class GraphBuilder {
  readonly #model: TfliteModel
  readonly #nodes: Node[] = []
  readonly #constants = new Map<string, Constant>()
  readonly #names: string[]
  /** By tensor: the float32 value that stands for it. */
  readonly #real = new Map<number, string>()

  constructor(model: TfliteModel) {
    this.#model = model
    this.#names = uniqueNames(model.tensors)
  }

  tensor(index: number): TfliteTensor {
    const tensor = this.#model.tensors[index]
    if (!tensor) throw new GapcamError('MODEL_INVALID', 'an operator lacks an input or an output')
    return tensor
  }

  /** Adds a node with one output; returns the output's name. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output?: string,
  ): string {
    const [name] = this.nodes(op, inputs, attributes, [output ?? this.#fresh(op)])
    return name!
  }

  /** Adds a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>>,
    outputs: readonly string[],
  ): readonly string[] {
    const entries = Object.entries(attributes).map(([key, value]) => [key, attributeOf(op, key, value)] as const)
    const name = `${op}_${this.#nodes.length}`
    this.#nodes.push({ name, op, domain: '', attributes: Object.fromEntries(entries), inputs, outputs })
    return outputs
  }

  constant(constant: Constant, name = this.#fresh('constant')): string {
    this.#constants.set(name, constant)
    return name
  }

  floats(shape: readonly number[], values: readonly number[]): string {
    return this.constant(floatConstant(shape, Float32Array.from(values)))
  }

  scalar(value: number): string {
    return this.floats([], [value])
  }

  /** A vector of int64, as ONNX takes sizes, axes and pads. */
  ints(values: readonly number[]): string {
    return this.constant(int64Constant([values.length], values.map(whole)))
  }

  /** The numbers of a constant tensor; null for a computed one. */
  numbers(index: number): number[] | null {
    const { data, type, shape } = this.tensor(index)
    return data ? numbersOf({ type, shape, bytes: data }) : null
  }

  /** The same, for an operator that needs its operand to be constant. Throws MODEL_UNSUPPORTED. */
  constantNumbers(index: number, what: string): number[] {
    const numbers = this.numbers(index)
    if (!numbers)
      throw new GapcamError('MODEL_UNSUPPORTED', `${what} is computed by the model; gapcam needs it to be constant`)
    return numbers
  }

  /** The value of a tensor for an operator: floating point, or an integer tensor that is not quantized. */
  value(index: number): string {
    const known = this.#real.get(index)
    if (known !== undefined) return known
    const tensor = this.tensor(index)
    if (!tensor.data) throw new GapcamError('MODEL_INVALID', `tensor ${tensor.name} is used before it is computed`)
    const value = this.#constantValue(tensor)
    this.#real.set(index, value)
    return value
  }

  #constantValue(tensor: TfliteTensor): string {
    const { type, shape, quantization } = tensor
    const plain: Constant = { type, shape, bytes: tensor.data! }
    if (isWide(tensor)) return this.constant(realConstant(tensor, plain), this.#names[tensor.index]!)
    if (quantization && isQuantizedType(type))
      return this.#dequantize(this.constant(plain, this.#names[tensor.index]!), tensor)
    if (type === 'float16')
      return this.constant(floatConstant(shape, Float32Array.from(numbersOf(plain))), this.#names[tensor.index]!)
    return this.constant(plain, this.#names[tensor.index]!)
  }

  /** A constant with its elements in another order: `permute` of the weights of a convolution, for example. */
  permuted(index: number, order: readonly number[]): string {
    const tensor = this.tensor(index)
    if (!tensor.data) return this.node('Transpose', [this.value(index)], { perm: order })
    const { type, shape, quantization } = tensor
    const plain: Constant = { type, shape, bytes: tensor.data }
    const constant = permute(isWide(tensor) ? realConstant(tensor, plain) : plain, order)
    const name = this.#fresh(tensor.name)
    if (quantization && isQuantizedType(type)) {
      const axis = order.indexOf(quantization.axis)
      return this.#dequantize(this.constant(constant, name), { ...tensor, quantization: { ...quantization, axis } })
    }
    return this.constant(
      type === 'float16' ? floatConstant(constant.shape, Float32Array.from(numbersOf(constant))) : constant,
      name,
    )
  }

  /** Says which value an operator computed for a tensor. A quantized tensor is rounded to its steps here. */
  set(index: number, value: string): void {
    const tensor = this.tensor(index)
    const isOutput = this.#model.outputs.includes(index)
    if (tensor.quantization && isQuantizedType(tensor.type)) {
      const quantized = this.node(
        'QuantizeLinear',
        [value, ...this.#parameters(tensor.quantization, tensor)],
        axisOf(tensor.quantization),
        this.#names[index],
      )
      this.#real.set(index, this.#dequantize(quantized, tensor))
      return
    }
    this.#real.set(index, isOutput ? this.node('Identity', [value], {}, this.#names[index]) : value)
  }

  /** Declares an input of the graph. */
  input(index: number): void {
    const tensor = this.tensor(index)
    const name = this.#names[index]!
    const isQuantized = tensor.quantization !== null && isQuantizedType(tensor.type)
    this.#real.set(index, isQuantized ? this.#dequantize(name, tensor) : name)
  }

  #dequantize(name: string, tensor: TfliteTensor): string {
    const quantization = tensor.quantization!
    return this.node('DequantizeLinear', [name, ...this.#parameters(quantization, tensor)], axisOf(quantization))
  }

  /** Scale and zero point as constants; a scale of 0 stands for a tensor that is 0 everywhere. */
  #parameters({ scale, zeroPoint }: Quantization, { type, name }: TfliteTensor): readonly string[] {
    const shape = scale.length > 1 ? [scale.length] : []
    const scales = this.constant(
      floatConstant(
        shape,
        Float32Array.from(scale, (value) => value || 2 ** -126),
      ),
      this.#fresh(`${name}_scale`),
    )
    if (type === 'int32') return [scales]
    const points = type === 'uint8' ? Uint8Array.from(zeroPoint) : Int8Array.from(zeroPoint)
    const bytes = new Uint8Array(points.buffer)
    return [scales, this.constant({ type, shape, bytes }, this.#fresh(`${name}_zero_point`))]
  }

  #fresh(base: string): string {
    return `${base}__${this.#nodes.length}_${this.#constants.size}`
  }

  /** The finished graph. */
  build(name: string): Graph {
    const inputs = this.#model.inputs.map((index) => this.#info(index))
    const outputs = this.#model.outputs.map((index) => this.#info(index))
    const values = new Map([...inputs, ...outputs].map((value) => [value.name, value]))
    return { opset, name, inputs, outputs, nodes: this.#nodes, constants: this.#constants, values }
  }

  #info(index: number): Value {
    const { type, signature } = this.tensor(index)
    // A batch that is left open is one picture.
    const shape = signature.map((size, axis) => (size >= 0 ? size : axis === 0 ? 1 : null))
    return { name: this.#names[index]!, type: isWide(this.tensor(index)) ? 'float32' : type, shape }
  }
}

/** Types that carry quantized numbers; an int32 with a scale is a bias. */
export function isQuantizedType(type: TfliteTensor['type']): boolean {
  return type === 'int8' || type === 'uint8' || type === 'int32'
}

/** Whether a tensor has quantized numbers that float32 holds without a loss that matters. */
export function isWide({ type, quantization }: TfliteTensor): boolean {
  return quantization !== null && (type === 'int16' || type === 'int64')
}

/** The real numbers of a constant with scales. */
function realConstant({ quantization }: TfliteTensor, stored: Constant): Constant {
  const { scale, zeroPoint, axis } = quantization!
  const inner = scale.length > 1 ? elementCount(stored.shape.slice(axis + 1)) : 1
  const values = numbersOf(stored).map((value, i) => {
    const at = Math.floor(i / inner) % scale.length
    return (value - zeroPoint[at]!) * scale[at]!
  })
  return floatConstant(stored.shape, Float32Array.from(values))
}

function axisOf({ scale, axis }: Quantization): Record<string, number> {
  return scale.length > 1 ? { axis } : {}
}

/** A size, an axis or a pad: a damaged file may give anything in its place. */
function whole(value: number): number {
  if (Number.isSafeInteger(value)) return value
  throw new GapcamError('MODEL_INVALID', 'a size, an axis or a pad of an operator is not a whole number')
}

/** ONNX attributes that are floats although their value may be a whole number. */
const floatAttributes = new Set([
  'Clip',
  'LeakyRelu.alpha',
  'Elu.alpha',
  'LRN.alpha',
  'LRN.beta',
  'LRN.bias',
  'Gemm.alpha',
  'Gemm.beta',
])

function attributeOf(op: string, key: string, value: AttributeValue): Attribute {
  if (typeof value === 'string') return { kind: 'string', value }
  if (typeof value === 'number' && floatAttributes.has(`${op}.${key}`)) return { kind: 'float', value }
  if (typeof value === 'number') return { kind: 'int', value: whole(value) }
  return { kind: 'ints', value: value.map(whole) }
}

/** The elements of a constant with its axes in another order, as new memory. */
function permute({ type, shape, bytes }: Constant, order: readonly number[]): Constant {
  const count = elementCount(shape)
  const size = count === 0 ? 0 : bytes.length / count
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
  const to = order.map((axis) => shape[axis]!)
  const result = new Uint8Array(bytes.length)
  const index = to.map(() => 0)
  for (let i = 0; i < count; i++) {
    const from = index.reduce((sum, at, axis) => sum + at * strides[order[axis]!]!, 0)
    for (let b = 0; b < size; b++) result[i * size + b] = bytes[from * size + b]!
    for (let axis = to.length - 1; axis >= 0 && ++index[axis]! === to[axis]; axis--) index[axis] = 0
  }
  return { type, shape: to, bytes: result }
}
