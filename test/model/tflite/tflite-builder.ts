/** Writes small TFLite files for tests: a FlatBuffer writer of forty lines, and a model of a few operators over it. */
import { operatorNames, tensorTypes } from '../../../src/model/tflite/schema.js'
import type { TensorType } from '../../../src/tensor.js'

type Field =
  | { readonly byte: number }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly ints: readonly number[] }
  | { readonly shorts: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly longs: readonly number[] }
  | { readonly table: TableFields }
  | { readonly tables: readonly TableFields[] }

/** Fields of a table by their index in the schema. */
export interface TableFields {
  readonly [index: number]: Field | undefined
}

class Writer {
  #bytes = new Uint8Array(1024)
  length = 0

  #reserve(count: number): DataView {
    while (this.length + count > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    return new DataView(this.#bytes.buffer)
  }

  align(size: number): void {
    while (this.length % size !== 0) this.length++
    this.#reserve(0)
  }

  u8(value: number): void {
    this.#reserve(1).setInt8(this.length++, value)
  }

  u16(value: number): void {
    this.#reserve(2).setUint16(this.length, value, true)
    this.length += 2
  }

  u32(value: number): void {
    this.#reserve(4).setUint32(this.length, value, true)
    this.length += 4
  }

  f32(value: number): void {
    this.#reserve(4).setFloat32(this.length, value, true)
    this.length += 4
  }

  i64(value: number): void {
    this.#reserve(8).setBigInt64(this.length, BigInt(value), true)
    this.length += 8
  }

  /** Lets the offset at `at` point to the present end. */
  point(at: number): void {
    this.#reserve(0).setUint32(at, this.length - at, true)
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }
}

const isInline = (field: Field): boolean => 'byte' in field || 'int' in field || 'float' in field

/** Writes a table behind what is there: its vtable, its inline fields, then what they point to. Returns its place. */
function writeTable(writer: Writer, fields: TableFields): number {
  const present = Object.entries(fields).flatMap(([index, field]) => (field ? [[Number(index), field] as const] : []))
  const count = Math.max(-1, ...present.map(([index]) => index)) + 1
  writer.align(8)
  const vtable = writer.length
  writer.u16(4 + 2 * count)
  writer.u16(4 + 4 * present.length)
  for (let i = 0; i < count; i++) {
    const at = present.findIndex(([index]) => index === i)
    writer.u16(at < 0 ? 0 : 4 + 4 * at)
  }
  writer.align(4)
  const table = writer.length
  writer.u32(table - vtable)
  for (const [, field] of present) {
    if ('byte' in field) {
      writer.u8(field.byte)
      writer.align(4)
    } else if ('float' in field) writer.f32(field.float)
    else writer.u32('int' in field ? field.int : 0)
  }
  present.forEach(([, field], i) => {
    if (!isInline(field)) writeTarget(writer, table + 4 + 4 * i, field)
  })
  return table
}

function writeTarget(writer: Writer, at: number, field: Field): void {
  if ('table' in field) return writeOffsetTable(writer, at, field.table)
  writer.align(4)
  if ('longs' in field && writer.length % 8 === 0) writer.u32(0) // the elements are aligned to 8 bytes
  writer.point(at)
  if ('tables' in field) {
    writer.u32(field.tables.length)
    const slots = writer.length
    for (const _ of field.tables) writer.u32(0)
    field.tables.forEach((table, i) => writeOffsetTable(writer, slots + 4 * i, table))
    return
  }
  const elements: readonly number[] | Uint8Array =
    'text' in field
      ? new TextEncoder().encode(field.text)
      : 'bytes' in field
        ? field.bytes
        : 'ints' in field
          ? field.ints
          : 'shorts' in field
            ? field.shorts
            : 'floats' in field
              ? field.floats
              : 'longs' in field
                ? field.longs
                : []
  writer.u32(elements.length)
  for (const value of elements) {
    if ('ints' in field) writer.u32(value)
    else if ('shorts' in field) writer.u16(value)
    else if ('floats' in field) writer.f32(value)
    else if ('longs' in field) writer.i64(value)
    else writer.u8(value)
  }
  if ('text' in field) writer.u8(0)
}

function writeOffsetTable(writer: Writer, at: number, fields: TableFields): void {
  const before = writer.length
  const place = writeTable(writer, fields)
  const end = writer.length
  writer.length = place
  writer.point(at)
  writer.length = Math.max(end, before)
}

/** A FlatBuffer with a root table and a file identifier of four letters. */
export function flatbuffer(root: TableFields, identifier: string): Uint8Array {
  const writer = new Writer()
  writer.u32(0)
  for (const letter of new TextEncoder().encode(identifier)) writer.u8(letter)
  writeOffsetTable(writer, 0, root)
  return writer.finish()
}

export interface TensorSpec {
  readonly name: string
  /** Or the number of one that gapcam does not read. */
  readonly type?: TensorType | number
  readonly shape: readonly number[]
  readonly signature?: readonly number[]
  readonly data?: Float32Array | Int32Array | Int16Array | Int8Array | Uint8Array | BigInt64Array
  readonly scale?: readonly number[]
  readonly zeroPoint?: readonly number[]
  readonly axis?: number
  /** SparsityParameters, for `data` that has only some of the elements. */
  readonly sparsity?: TableFields
}

export interface OperatorSpec {
  readonly op: string
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly options?: TableFields
  /** The options of a CUSTOM operator. */
  readonly customOptions?: Uint8Array
}

export interface ModelSpec {
  readonly tensors: readonly TensorSpec[]
  readonly operators: readonly OperatorSpec[]
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly metadata?: Readonly<Record<string, Uint8Array>>
}

/** BuiltinOptions: the number of an operator's options table. TFLite needs it; gapcam tells the table by its operator. */
const optionsTypes: Readonly<Record<string, number>> = {
  CONV_2D: 1,
  DEPTHWISE_CONV_2D: 2,
  AVERAGE_POOL_2D: 5,
  MAX_POOL_2D: 5,
  FULLY_CONNECTED: 8,
  SOFTMAX: 9,
  CONCATENATION: 10,
  ADD: 11,
  L2_NORMALIZATION: 12,
  RESIZE_BILINEAR: 15,
  RESHAPE: 17,
  SPACE_TO_DEPTH: 19,
  MUL: 21,
  PAD: 22,
  TRANSPOSE: 26,
  MEAN: 27,
  SUB: 28,
  SQUEEZE: 30,
  STRIDED_SLICE: 32,
  LOG_SOFTMAX: 36,
  SLICE: 48,
  TRANSPOSE_CONV: 49,
  SQUARE: 66,
  RESIZE_NEAREST_NEIGHBOR: 74,
  LEAKY_RELU: 75,
  SQUARED_DIFFERENCE: 76,
  HARD_SWISH: 91,
  DEPTH_TO_SPACE: 94,
  DENSIFY: 99,
  GELU: 116,
}

function quantizationOf({
  scale,
  zeroPoint,
  axis,
}: Pick<TensorSpec, 'scale' | 'zeroPoint' | 'axis'>): Field | undefined {
  if (!scale) return undefined
  return { table: { 2: { floats: scale }, 3: { longs: zeroPoint ?? scale.map(() => 0) }, 6: { int: axis ?? 0 } } }
}

/** A .tflite file of one subgraph. */
export function tfliteModel({ tensors, operators, inputs, outputs, metadata = {} }: ModelSpec): Uint8Array {
  const buffers: TableFields[] = [{}]
  const add = (bytes: Uint8Array): number => buffers.push({ 0: { bytes } }) - 1
  const ops = [...new Set(operators.map(({ op }) => op))]
  const tensorTables = tensors.map(({ name, type = 'float32', shape, signature, data, sparsity, ...numbers }) => ({
    0: { ints: shape },
    1: { byte: typeof type === 'number' ? type : tensorTypes.indexOf(type) },
    2: { int: data ? add(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) : 0 },
    3: { text: name },
    4: quantizationOf(numbers),
    6: sparsity && { table: sparsity },
    7: signature && { ints: signature },
  }))
  const entries = Object.entries(metadata).map(([name, bytes]) => ({ 0: { text: name }, 1: { int: add(bytes) } }))
  return flatbuffer(
    {
      0: { int: 3 },
      1: { tables: ops.map(operatorCode) },
      2: {
        tables: [
          {
            0: { tables: tensorTables },
            1: { ints: inputs },
            2: { ints: outputs },
            3: {
              tables: operators.map((operator) => ({
                0: { int: ops.indexOf(operator.op) },
                1: { ints: operator.inputs },
                2: { ints: operator.outputs },
                3: operator.options && optionsTypes[operator.op] ? { byte: optionsTypes[operator.op]! } : undefined,
                4: operator.options && { table: operator.options },
                5: operator.customOptions && { bytes: operator.customOptions },
              })),
            },
          },
        ],
      },
      3: { text: 'made for a test' },
      4: { tables: buffers },
      6: { tables: entries },
    },
    'TFL3',
  )
}

function operatorCode(op: string): TableFields {
  const number = operatorNames.indexOf(op)
  if (number < 0) return { 0: { byte: operatorNames.indexOf('CUSTOM') }, 1: { text: op } }
  return { 0: { byte: Math.min(number, 127) }, 3: { int: number } }
}
