/** Writes small ONNX files for tests from plain values: nodes, weights, inputs and outputs. */
import { writeFileSync } from 'node:fs'
import { PbfWriter } from 'pbf'

/** Whole numbers become ints and lists of ints. Floats are given as { float } and { floats }. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Weight
  | { readonly float: number }
  | { readonly floats: readonly number[] }

/** A constant tensor. */
export interface Weight {
  readonly shape: readonly number[]
  /** A Uint16Array holds float16 bits. */
  readonly data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint16Array | Uint8Array | Int8Array
  /** Where the bytes lie in a file beside the model; `data` then only gives the type. */
  readonly external?: { readonly location: string; readonly offset?: number; readonly length?: number }
}

/** A node. An empty input or output name stands for an absent one. */
export interface NodeSpec {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  readonly domain?: string
}

/** A model: shapes of inputs and outputs by name, with null for an output whose shape is left out. */
export interface ModelSpec {
  readonly nodes: readonly NodeSpec[]
  readonly weights?: Readonly<Record<string, Weight>>
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>
  readonly outputs: Readonly<Record<string, readonly (number | string)[] | null>>
  /** Outputs of type int64. The others are float32. */
  readonly integers?: readonly string[]
  /** Inputs and outputs of quantised integers. */
  readonly codes?: Readonly<Record<string, 'uint8' | 'int8'>>
  readonly opset?: number
  /** The file's metadata properties. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Further operator sets: version by domain. */
  readonly imports?: Readonly<Record<string, number>>
}

const enum Type {
  float = 1,
  uint8 = 2,
  int8 = 3,
  int32 = 6,
  int64 = 7,
  half = 10,
  double = 11,
}

/** A float32 constant. */
export const floats = (shape: readonly number[], data: readonly number[] | Float32Array): Weight => ({
  shape,
  data: Float32Array.from(data),
})
/** An int64 constant of one dimension. */
export const int64 = (...data: readonly number[]): Weight => ({
  shape: [data.length],
  data: BigInt64Array.from(data, BigInt),
})

/** The bytes of a model file. */
export function buildModel(spec: ModelSpec): Uint8Array {
  return message((model) => {
    model.writeVarintField(1, 10) // IR version
    model.writeBytesField(7, graph(spec))
    for (const entry of Object.entries(spec.metadata ?? {})) {
      model.writeBytesField(
        14,
        message((property) => entry.forEach((text, i) => property.writeStringField(i + 1, text))),
      )
    }
    for (const [domain, version] of [['', spec.opset ?? 17] as const, ...Object.entries(spec.imports ?? {})]) {
      model.writeBytesField(
        8,
        message((opset) => {
          opset.writeStringField(1, domain)
          opset.writeVarintField(2, version)
        }),
      )
    }
  })
}

/** Writes a model file and returns its path. */
export function writeModel(path: string, spec: ModelSpec): string {
  writeFileSync(path, buildModel(spec))
  return path
}

function message(write: (writer: PbfWriter) => void): Uint8Array {
  const writer = new PbfWriter()
  write(writer)
  return writer.finish()
}

function graph(spec: ModelSpec): Uint8Array {
  return message((writer) => {
    spec.nodes.forEach((node, i) => writer.writeBytesField(1, nodeMessage(node, i)))
    writer.writeStringField(2, 'test')
    for (const [name, weight] of Object.entries(spec.weights ?? {})) writer.writeBytesField(5, tensor(weight, name))
    for (const [name, shape] of Object.entries(spec.inputs))
      writer.writeBytesField(11, valueInfo(name, shape, portType(spec, name)))
    for (const [name, shape] of Object.entries(spec.outputs))
      writer.writeBytesField(12, valueInfo(name, shape, portType(spec, name)))
  })
}

function portType({ integers, codes }: ModelSpec, name: string): Type {
  const code = codes?.[name]
  if (code) return code === 'uint8' ? Type.uint8 : Type.int8
  return integers?.includes(name) ? Type.int64 : Type.float
}

function nodeMessage({ op, inputs, outputs, attributes = {}, domain }: NodeSpec, i: number): Uint8Array {
  return message((writer) => {
    for (const input of inputs) writer.writeStringField(1, input)
    for (const output of outputs) writer.writeStringField(2, output)
    writer.writeStringField(3, `${op}_${i}`)
    writer.writeStringField(4, op)
    for (const [name, value] of Object.entries(attributes)) writer.writeBytesField(5, attribute(name, value))
    if (domain !== undefined) writer.writeStringField(7, domain)
  })
}

function attribute(name: string, value: AttributeValue): Uint8Array {
  return message((writer) => {
    writer.writeStringField(1, name)
    const typed = (type: number): void => writer.writeVarintField(20, type)
    if (typeof value === 'number') {
      writer.writeVarintField(3, value)
      typed(2)
    } else if (typeof value === 'string') {
      writer.writeBytesField(4, new TextEncoder().encode(value))
      typed(3)
    } else if ('float' in value) {
      writer.writeFloatField(2, value.float)
      typed(1)
    } else if ('floats' in value) {
      for (const each of value.floats) writer.writeFloatField(7, each)
      typed(6)
    } else if ('shape' in value) {
      writer.writeBytesField(5, tensor(value, ''))
      typed(4)
    } else {
      for (const each of value) {
        if (typeof each === 'number') writer.writeVarintField(8, each)
        else writer.writeBytesField(9, new TextEncoder().encode(each))
      }
      typed(typeof value[0] === 'string' ? 8 : 7)
    }
  })
}

function typeOf(data: Weight['data']): Type {
  if (data instanceof Float32Array) return Type.float
  if (data instanceof BigInt64Array) return Type.int64
  if (data instanceof Float64Array) return Type.double
  if (data instanceof Uint16Array) return Type.half
  if (data instanceof Int8Array) return Type.int8
  return data instanceof Int32Array ? Type.int32 : Type.uint8
}

function tensor({ shape, data, external }: Weight, name: string): Uint8Array {
  return message((writer) => {
    for (const size of shape) writer.writeVarintField(1, size)
    writer.writeVarintField(2, typeOf(data))
    writer.writeStringField(8, name)
    if (!external) return writer.writeBytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    for (const [key, value] of Object.entries(external)) {
      writer.writeBytesField(
        13,
        message((entry) => {
          entry.writeStringField(1, key)
          entry.writeStringField(2, String(value))
        }),
      )
    }
    writer.writeVarintField(14, 1)
  })
}

/** A null shape is left out of the file. */
function valueInfo(name: string, shape: readonly (number | string)[] | null, valueType: Type = Type.float): Uint8Array {
  const dims = message((writer) => {
    for (const size of shape ?? []) {
      writer.writeBytesField(
        1,
        message((dimension) =>
          typeof size === 'number' ? dimension.writeVarintField(1, size) : dimension.writeStringField(2, size),
        ),
      )
    }
  })
  const type = message((writer) => {
    writer.writeVarintField(1, valueType)
    if (shape) writer.writeBytesField(2, dims)
  })
  return message((writer) => {
    writer.writeStringField(1, name)
    writer.writeBytesField(
      2,
      message((outer) => outer.writeBytesField(1, type)),
    )
  })
}
