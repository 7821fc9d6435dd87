/** Reads TensorProto and ValueInfoProto. A constant is a view of the file's bytes if the file holds raw data. */
import { GapcamError } from '../../errors.js'
import { elementBytes, elementCount, tensorArrays, type TensorType } from '../../tensor.js'
import type { Constant, Dimension, Value } from '../graph.js'
import { bytesField, intField, readMessage, repeatedField, stringField } from './wire.js'

/** onnx.TensorProto.DataType, by number. */
export const dataTypes: readonly (TensorType | undefined)[] = [
  undefined,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  undefined,
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  undefined,
  undefined,
  'float32', // bfloat16: the upper half of a float32, to which it is widened when it is read
]

const brainFloat = 16

/** Reads bytes of an external data file. Throws MODEL_INVALID if the file or the range is not acceptable. */
export type ExternalReader = (location: string, offset: number, length: number | undefined) => Uint8Array

/** Refuses data outside the file. */
export const noExternal: ExternalReader = (location) => {
  throw new GapcamError(
    'MODEL_INVALID',
    `its weights lie in ${location}, which only a model loaded from a file can have`,
  )
}

/** A tensor that can be computed with, or one of another type: its strings if it holds texts, else null. */
export type NamedTensor =
  | { readonly name: string; readonly constant: Constant }
  | { readonly name: string; readonly strings: readonly string[] | null }

interface TensorFields {
  name: string
  type: number
  raw: Uint8Array | null
  isExternal: boolean
  readonly strings: string[]
  readonly dims: number[]
  readonly floats: number[]
  readonly ints: number[]
  readonly external: Map<string, string>
}

const maxElements = 2 ** 31
/** onnx.TensorProto.STRING */
const stringType = 8

/** Reads a TensorProto. Throws MODEL_INVALID if its data does not fit its shape. */
export function readTensor(bytes: Uint8Array, external: ExternalReader): NamedTensor {
  const fields = readFields(bytes)
  const { name, dims } = fields
  const what = name === '' ? 'a tensor' : `tensor ${name}`
  const type = dataTypes[fields.type]
  if (type === undefined) return { name, strings: fields.type === stringType ? fields.strings : null }
  if (dims.some((d) => !Number.isInteger(d) || d < 0) || elementCount(dims) > maxElements) {
    throw new GapcamError('MODEL_INVALID', `${what} claims the shape [${dims.join(', ')}]`)
  }
  const storedType = fields.type === brainFloat ? 'uint16' : type
  const wanted = elementCount(dims) * elementBytes[storedType]
  const data = dataOf(fields, storedType, wanted, what, external)
  if (data.length !== wanted)
    throw new GapcamError(
      'MODEL_INVALID',
      `${what} holds ${data.length} bytes, but its shape [${dims.join(', ')}] needs ${wanted}`,
    )
  return { name, constant: { type, shape: dims, bytes: storedType === type ? data : widened(data) } }
}

/** The bits of bfloat16 numbers as float32. */
function widened(bytes: Uint8Array): Uint8Array {
  const wide = new Uint8Array(bytes.length * 2)
  for (let i = 0; i < bytes.length; i += 2) {
    wide[2 * i + 2] = bytes[i]!
    wide[2 * i + 3] = bytes[i + 1]!
  }
  return wide
}

function dataOf(
  fields: TensorFields,
  type: TensorType,
  wanted: number,
  what: string,
  external: ExternalReader,
): Uint8Array {
  if (fields.isExternal) return readExternalData(fields.external, wanted, what, external)
  if (fields.raw) return fields.raw
  const values = fields.floats.length > 0 ? fields.floats : fields.ints
  if (values.length * elementBytes[type] !== wanted)
    return new Uint8Array(values.length * elementBytes[type] || (wanted === 0 ? 0 : 1))
  return encode(values, type)
}

function readFields(bytes: Uint8Array): TensorFields {
  const fields: TensorFields = {
    name: '',
    type: 0,
    raw: null,
    isExternal: false,
    strings: [],
    dims: [],
    floats: [],
    ints: [],
    external: new Map(),
  }
  readMessage(bytes, 'tensor', (field, reader) => {
    switch (field) {
      case 1:
        return repeatedField(reader, 'tensor', 'int', fields.dims)
      case 2:
        fields.type = intField(reader, 'tensor')
        return
      case 4:
        return repeatedField(reader, 'tensor', 'float', fields.floats)
      case 10:
        return repeatedField(reader, 'tensor', 'double', fields.floats)
      case 5:
      case 7:
      case 11:
        return repeatedField(reader, 'tensor', 'int', fields.ints)
      case 6:
        fields.strings.push(stringField(reader, 'tensor'))
        return
      case 8:
        fields.name = stringField(reader, 'tensor')
        return
      case 9:
        fields.raw = bytesField(reader, 'tensor')
        return
      case 13:
        return readEntry(bytesField(reader, 'tensor'), fields.external)
      case 14:
        fields.isExternal = intField(reader, 'tensor') === 1
        return
      default:
    }
  })
  return fields
}

/** StringStringEntryProto. */
function readEntry(bytes: Uint8Array, entries: Map<string, string>): void {
  let key = ''
  let value = ''
  readMessage(bytes, 'external data entry', (field, reader) => {
    if (field === 1) key = stringField(reader, 'external data entry')
    else if (field === 2) value = stringField(reader, 'external data entry')
  })
  entries.set(key, value)
}

function readExternalData(
  entries: ReadonlyMap<string, string>,
  wanted: number,
  what: string,
  external: ExternalReader,
): Uint8Array {
  const location = entries.get('location')
  if (location === undefined) throw new GapcamError('MODEL_INVALID', `${what} has external data without a location`)
  const offset = Number(entries.get('offset') ?? 0)
  const length = Number(entries.get('length') ?? wanted)
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length !== wanted) {
    throw new GapcamError(
      'MODEL_INVALID',
      `${what} has external data of ${entries.get('length')} bytes at ${entries.get('offset')}, but needs ${wanted}`,
    )
  }
  return external(location, offset, length)
}

const largestInt64 = 9223372036854774784 // the largest double below 2^63

/** Encodes values of the typed fields (float_data, int32_data, …) as little-endian bytes. float16 values are bit patterns. */
export function encode(values: readonly number[], type: TensorType): Uint8Array {
  const memory = new ArrayBuffer(values.length * elementBytes[type])
  const array = new tensorArrays[type](memory)
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) {
    values.forEach((value, i) => {
      array[i] = BigInt(Math.trunc(Math.max(-largestInt64, Math.min(value, largestInt64))))
    })
  } else array.set(values)
  return new Uint8Array(memory)
}

/** Reads a ValueInfoProto: a name, and the type and shape if the file states them. */
export function readValueInfo(bytes: Uint8Array): Value {
  let name = ''
  let type: TensorType | undefined
  let shape: Dimension[] | undefined
  readMessage(bytes, 'value', (field, reader) => {
    if (field === 1) name = stringField(reader, 'value')
    else if (field === 2) {
      readMessage(bytesField(reader, 'type'), 'type', (kind, typeReader) => {
        if (kind !== 1) return
        readMessage(bytesField(typeReader, 'tensor type'), 'tensor type', (part, tensorReader) => {
          if (part === 1) type = dataTypes[intField(tensorReader, 'tensor type')]
          else if (part === 2) shape = readShape(bytesField(tensorReader, 'shape'))
        })
      })
    }
  })
  return { name, ...(type === undefined ? {} : { type }), ...(shape === undefined ? {} : { shape }) }
}

function readShape(bytes: Uint8Array): Dimension[] {
  const shape: Dimension[] = []
  readMessage(bytes, 'shape', (field, reader) => {
    if (field !== 1) return
    let size: Dimension = null
    readMessage(bytesField(reader, 'dimension'), 'dimension', (kind, dimension) => {
      if (kind === 1) size = intField(dimension, 'dimension')
      else if (kind === 2) size = stringField(dimension, 'dimension')
    })
    shape.push(typeof size === 'number' && size <= 0 ? null : size)
  })
  return shape
}
