/**
 * The graph that the passes work on: nodes in topological order, values by name. A pass is a pure function
 * `Graph → Graph`. It shares the parts that it does not change and never writes into the graph that it receives.
 */
import { halfToNumber } from '../half.js'
import { elementBytes, elementCount, type TensorType } from '../tensor.js'

/** Thrown by a rule that does not cover a node. The message is the reason that the user reads: "its axis 7 is …". */
export class Unsupported extends Error {}

/** A node that gapcam cannot compute, and the reason. */
export interface UnsupportedNode {
  readonly node: string
  readonly op: string
  readonly reason: string
}

/** A constant tensor. Its data is a view of the model file's bytes (often unaligned), or memory that a pass computed. */
export interface Constant {
  readonly type: TensorType
  readonly shape: readonly number[]
  /** Little-endian elements in row-major order. */
  readonly bytes: Uint8Array
}

/** One size of a shape. The file may leave it open: a name (dim_param), or null. */
export type Dimension = number | string | null

/** How the bytes of a quantised value stand for real numbers: real = scale · (stored − zeroPoint). */
export interface ByteCode {
  readonly scale: number
  readonly zeroPoint: number
}

/** A tensor between nodes, or an input or output of the graph. */
export interface Value {
  readonly name: string
  readonly type?: TensorType
  /** Only of int8 and uint8 values that the integer steps compute. */
  readonly code?: ByteCode
  /** Absent where the rank is unknown. After shape inference every value that is used has a shape of numbers. */
  readonly shape?: readonly Dimension[]
}

/** An attribute of a node. 'unsupported' names a kind that gapcam does not read, such as a subgraph. */
export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Constant }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'unsupported'; readonly what: string }

/** One operation. */
export interface Node {
  /** The file's name for the node, else `op_index`. Unique within a graph. */
  readonly name: string
  readonly op: string
  /** '' is ai.onnx. 'gapcam' marks nodes that only passes make. */
  readonly domain: string
  readonly attributes: Readonly<Record<string, Attribute>>
  /** Names of values. '' stands for an optional input that is absent. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/** The integers from which a constant of real numbers was made; one scale and zero point for each slice of the axis, or one. */
export interface StoredIntegers {
  readonly stored: Constant
  readonly scale: readonly number[]
  readonly zeroPoint: readonly number[]
  readonly axis: number
}

/** A model as the compiler sees it. */
export interface Graph {
  /** Version of the default operator set. */
  readonly opset: number
  readonly name: string
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  /** Types and shapes known so far, including those of the graph's inputs and outputs. */
  readonly values: ReadonlyMap<string, Value>
  /** The integers behind constants of real numbers, by the name of the constant. */
  readonly integers?: ReadonlyMap<string, StoredIntegers> | undefined
  /** Initializers of types that gapcam does not compute with: the strings of a text, null for any other. */
  readonly opaque?: ReadonlyMap<string, readonly string[] | null> | undefined
  /** Reasons against the native engine that no node shows, such as an opset that it does not read. */
  readonly obstacles?: readonly string[] | undefined
}

/** A float or int attribute as a number, or `fallback` where the node does not have it. */
export function floatAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes[name]
  return a?.kind === 'float' || a?.kind === 'int' ? a.value : fallback
}

/** An int attribute, or `fallback`. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes[name]
  return a?.kind === 'int' ? a.value : fallback
}

/** A string attribute, or `fallback`. */
export function stringAttribute(node: Node, name: string, fallback: string): string {
  const a = node.attributes[name]
  return a?.kind === 'string' ? a.value : fallback
}

/** A list of ints, or undefined where the node does not have it. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const a = node.attributes[name]
  return a?.kind === 'ints' ? a.value : undefined
}

/** A float32 constant's data: a view where the bytes are aligned, else a copy. Throws `Unsupported` for other types. */
export function floatsOf(constant: Constant): Float32Array {
  if (constant.type !== 'float32') throw new Unsupported(`it computes with ${constant.type}`)
  const { bytes } = constant
  const length = elementCount(constant.shape)
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, length)
  return new Float32Array(new Uint8Array(bytes).buffer, 0, length)
}

/** The elements of a numeric constant as numbers. int64 values beyond 2^53 lose precision; shapes stay far below. */
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

/** A float32 constant over the given data, which is not copied. */
export function floatConstant(shape: readonly number[], data: Float32Array): Constant {
  return { type: 'float32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

/** An int64 constant, such as a shape or a list of axes. */
export function int64Constant(shape: readonly number[], data: readonly number[]): Constant {
  return { type: 'int64', shape, bytes: new Uint8Array(BigInt64Array.from(data, (v) => BigInt(v)).buffer) }
}

/** A node of ai.onnx with one output, made by a pass. Without a name it has the name of its output. */
export function madeNode(
  op: string,
  {
    inputs,
    output,
    name = output,
    attributes = {},
  }: {
    readonly inputs: readonly string[]
    readonly output: string
    readonly name?: string
    readonly attributes?: Node['attributes']
  },
): Node {
  return { name, op, domain: '', attributes, inputs, outputs: [output] }
}

/** The graph without nodes that no output needs, and without constants that no node reads. */
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
