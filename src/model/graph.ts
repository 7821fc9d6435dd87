/**
 * The graph that the passes work on: nodes in topological order, values by name. A pass is a pure function
 * `Graph → Graph`; it shares what it does not change and never writes into a graph that it was given.
 */
import { elementBytes, elementCount, type TensorType } from '../tensor.js'

/** Thrown by a rule that cannot serve a node; the reason becomes the engine's choice and the user's explanation. */
export class Unsupported extends Error {}

/** A constant's data: a view of the model file's bytes (often unaligned) or of memory that a pass computed. */
export interface Constant {
  readonly type: TensorType
  readonly shape: readonly number[]
  /** Little-endian elements in row-major order. */
  readonly bytes: Uint8Array
}

/** A size that the file leaves open: a name (dim_param) or nothing at all. */
export type Dimension = number | string | null

export interface Value {
  readonly name: string
  readonly type?: TensorType
  /** Absent: the rank is unknown. After shape inference every used value has a shape of numbers. */
  readonly shape?: readonly Dimension[]
}

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Constant }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'unsupported'; readonly what: string }

export interface Node {
  /** The file's name for it, else `op_index`; unique within a graph. */
  readonly name: string
  readonly op: string
  /** '' is ai.onnx; 'gapcam' marks nodes that a pass made and that no file can hold. */
  readonly domain: string
  readonly attributes: Readonly<Record<string, Attribute>>
  /** Value names; '' is an optional input that is absent. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

export interface Graph {
  /** Of the default domain. */
  readonly opset: number
  readonly name: string
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  /** Types and shapes of what is known so far, graph inputs and outputs included. */
  readonly values: ReadonlyMap<string, Value>
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes[name]
  return a?.kind === 'float' || a?.kind === 'int' ? a.value : fallback
}

export function intAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes[name]
  return a?.kind === 'int' ? a.value : fallback
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const a = node.attributes[name]
  return a?.kind === 'string' ? a.value : fallback
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const a = node.attributes[name]
  return a?.kind === 'ints' ? a.value : undefined
}

/** An aligned float32 view of a constant's data where there is one, else a copy. */
export function floatsOf(constant: Constant): Float32Array {
  if (constant.type !== 'float32') throw new Unsupported(`it computes with ${constant.type}`)
  const { bytes } = constant
  const length = elementCount(constant.shape)
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, length)
  return new Float32Array(new Uint8Array(bytes).buffer, 0, length)
}

/** The elements of any numeric constant as numbers (int64 beyond 2^53 loses precision, as shapes never do). */
export function numbersOf(constant: Constant): number[] {
  const { bytes, type } = constant
  const length = elementCount(constant.shape)
  const result = new Array<number>(length)
  if (type === 'float32') {
    const floats = floatsOf(constant)
    for (let i = 0; i < length; i++) result[i] = floats[i]!
    return result
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = elementBytes[type]
  for (let i = 0; i < length; i++) result[i] = read(view, i * size, type)
  return result
}

function read(view: DataView, at: number, type: TensorType): number {
  switch (type) {
    case 'float32':
      return view.getFloat32(at, true)
    case 'float64':
      return view.getFloat64(at, true)
    case 'int8':
      return view.getInt8(at)
    case 'uint8':
    case 'bool':
      return view.getUint8(at)
    case 'int16':
      return view.getInt16(at, true)
    case 'uint16':
      return view.getUint16(at, true)
    case 'int32':
      return view.getInt32(at, true)
    case 'uint32':
      return view.getUint32(at, true)
    case 'int64':
      return Number(view.getBigInt64(at, true))
    case 'uint64':
      return Number(view.getBigUint64(at, true))
    case 'float16':
      return halfToNumber(view.getUint16(at, true))
  }
}

/** IEEE 754 binary16 to a number. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

export function floatConstant(shape: readonly number[], data: Float32Array): Constant {
  return { type: 'float32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

export function int64Constant(shape: readonly number[], data: readonly number[]): Constant {
  return { type: 'int64', shape, bytes: new Uint8Array(BigInt64Array.from(data, (v) => BigInt(v)).buffer) }
}
