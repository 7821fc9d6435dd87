/**
 * Reads a .tflite file into plain data: tensors, operators with their options tables, metadata buffers. Only the first
 * subgraph is read; a model with control flow has more and is refused by the operator that would need them. Weights are
 * views of the file's bytes.
 */
import { GapcamError } from '../../errors.js'
import { elementBytes, elementCount, type TensorType } from '../../tensor.js'
import { Table } from './flatbuffer.js'
import { denseBytes } from './sparse.js'
import { customOperator, lastOldCode, operatorNames, otherTypes, tensorTypes } from './schema.js'

/** `real = scale · (quantized - zeroPoint)`, with one value for the tensor or one for each index along `axis`. */
export interface Quantization {
  readonly scale: readonly number[]
  readonly zeroPoint: readonly number[]
  readonly axis: number
}

export interface TfliteTensor {
  readonly index: number
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
  /** The shape with -1 for sizes that the file leaves open. */
  readonly signature: readonly number[]
  /** Little-endian elements, also where the file keeps them sparse; null for a value that is computed. */
  readonly data: Uint8Array | null
  readonly quantization: Quantization | null
}

export interface TfliteOperator {
  /** BuiltinOperator's name, or `CUSTOM name`. */
  readonly op: string
  /** Tensor indices; -1 is an optional input that is absent. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly options: Table | null
  /** The options of a CUSTOM operator, in a form of its own; empty for a builtin one. */
  readonly customOptions: Uint8Array
}

export interface TfliteModel {
  readonly description: string
  readonly tensors: readonly TfliteTensor[]
  readonly operators: readonly TfliteOperator[]
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Buffers by name, such as TFLITE_METADATA. */
  readonly metadata: ReadonlyMap<string, Uint8Array>
}

const identifier = 'TFL3'
const maxElements = 2 ** 31

/** Whether bytes begin as a TFLite model does: a FlatBuffer with the identifier TFL3. */
export function isTflite(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && String.fromCharCode(...bytes.subarray(4, 8)) === identifier
}

/** Reads a model. Throws MODEL_INVALID or MODEL_UNSUPPORTED. */
export function readTflite(bytes: Uint8Array): TfliteModel {
  const model = Table.root(bytes)
  const version = model.int(0)
  if (version !== 3)
    throw new GapcamError('MODEL_UNSUPPORTED', `its TFLite schema is version ${version}; gapcam reads 3`)
  const [graph] = model.tables(2)
  if (!graph) throw new GapcamError('MODEL_INVALID', 'not a TFLite model: it has no graph')
  const buffers = model.tables(4).map((buffer) => bufferBytes(buffer, bytes))
  const tensors = graph.tables(0).map((tensor, index) => readTensor(tensor, index, buffers))
  const codes = model.tables(1).map(operatorName)
  const operators = graph.tables(3).map((operator) => readOperator(operator, codes, tensors.length))
  const metadata = model.tables(6).map((entry) => [entry.string(0), bufferAt(buffers, entry.int(1))] as const)
  return {
    description: model.string(3),
    tensors,
    operators,
    inputs: checkedIndices(graph.ints(1), tensors.length),
    outputs: checkedIndices(graph.ints(2), tensors.length),
    metadata: new Map(metadata),
  }
}

/** A buffer's bytes: inside the FlatBuffer, or for large models behind it, by offset and size. */
function bufferBytes(buffer: Table, file: Uint8Array): Uint8Array {
  const [offset, size] = [buffer.long(1), buffer.long(2)]
  if (offset <= 1) return buffer.bytes(0)
  if (offset + size > file.length) throw new GapcamError('MODEL_INVALID', 'a buffer lies outside the file')
  return file.subarray(offset, offset + size)
}

function bufferAt(buffers: readonly Uint8Array[], index: number): Uint8Array {
  const buffer = buffers[index]
  if (!buffer) throw new GapcamError('MODEL_INVALID', `it names buffer ${index} of ${buffers.length}`)
  return buffer
}

function readTensor(table: Table, index: number, buffers: readonly Uint8Array[]): TfliteTensor {
  const name = table.string(3) || `tensor_${index}`
  const typeCode = table.byte(1)
  const type = tensorTypes[typeCode]
  if (!type)
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `tensor ${name} holds ${otherTypes[typeCode] ?? `elements of TFLite type ${typeCode}`}, which gapcam does not read`,
      {
        hint: 'Export the model as ONNX, or as TFLite with float32 or int8 tensors. gapcam runs networks for pictures only.',
      },
    )
  const shape = table.ints(0)
  if (shape.some((size) => size < 0) || elementCount(shape) > maxElements)
    throw new GapcamError('MODEL_INVALID', `tensor ${name} claims the shape [${shape.join(', ')}]`)
  const stored = bufferAt(buffers, table.int(2))
  const sparsity = table.table(6)
  const data = sparsity ? denseBytes(sparsity, stored, { type, shape, name }) : stored
  const wanted = elementCount(shape) * elementBytes[type]
  if (data.length > 0 && data.length !== wanted)
    throw new GapcamError(
      'MODEL_INVALID',
      `tensor ${name} holds ${data.length} bytes, but its shape [${shape.join(', ')}] needs ${wanted}`,
    )
  const signature = table.ints(7)
  return {
    index,
    name,
    type,
    shape,
    signature: signature.length === shape.length ? signature : shape,
    data: data.length > 0 ? data : null,
    quantization: readQuantization(table.table(4), name, shape),
  }
}

function readQuantization(table: Table | null, name: string, shape: readonly number[]): Quantization | null {
  const scale = table?.floats(2) ?? []
  if (!table || scale.length === 0) return null
  const zeroPoint = table.longs(3)
  const axis = table.int(6)
  if (scale.length > 1 && scale.length !== shape[axis])
    throw new GapcamError(
      'MODEL_INVALID',
      `tensor ${name} has ${scale.length} scales for axis ${axis} of [${shape.join(', ')}]`,
    )
  if (scale.some((value) => !(value >= 0 && Number.isFinite(value))))
    throw new GapcamError('MODEL_INVALID', `tensor ${name} has a scale that is not a positive number`)
  return { scale, zeroPoint: scale.map((_, i) => zeroPoint[i] ?? zeroPoint[0] ?? 0), axis }
}

function operatorName(code: Table): string {
  const old = code.byte(0)
  const number = old === lastOldCode ? code.int(3) : Math.max(old, code.int(3))
  return number === customOperator ? `CUSTOM ${code.string(1)}` : (operatorNames[number] ?? `operator ${number}`)
}

function readOperator(table: Table, codes: readonly string[], tensors: number): TfliteOperator {
  const op = codes[table.int(0)]
  if (op === undefined)
    throw new GapcamError('MODEL_INVALID', `it names operator code ${table.int(0)} of ${codes.length}`)
  return {
    op,
    inputs: checkedIndices(table.ints(1), tensors),
    outputs: checkedIndices(table.ints(2), tensors),
    options: table.table(4),
    customOptions: table.bytes(5),
  }
}

function checkedIndices(indices: readonly number[], tensors: number): readonly number[] {
  const wrong = indices.find((index) => index < -1 || index >= tensors)
  if (wrong !== undefined) throw new GapcamError('MODEL_INVALID', `it names tensor ${wrong} of ${tensors}`)
  return indices
}
