/**
 * Writes a copy of a model file with other input sizes or outputs, for onnxruntime. Only the graph's input, output and
 * value_info fields are rewritten; nodes and weights are copied byte by byte. External data moves into the copy.
 */
import { PbfReader, PbfWriter } from 'pbf'
import type { TensorInfo, TensorType } from '../../tensor.js'
import { floatConstant, numbersOf, type Constant } from '../graph.js'
import type { LoadedModel } from './onnx.js'
import { dataTypes, readTensor } from './tensor.js'

export interface Rewrite {
  /** The inputs with their new sizes. */
  readonly inputs: readonly TensorInfo[]
  /** Inner values that become outputs, with their types. */
  readonly extraOutputs: readonly { readonly name: string; readonly type: TensorType | undefined }[]
  /** The only outputs of the file that the copy keeps; default all. */
  readonly outputs?: readonly string[] | undefined
  /** Halves become floats everywhere: weights, inputs, outputs, casts. */
  readonly isWidened?: boolean | undefined
}

/** Numbers of fields of ModelProto and GraphProto (onnx.proto). */
export const modelGraph = 7
export const graphNode = 1
export const graphInitializer = 5
export const graphInput = 11
export const graphOutput = 12
export const graphValueInfo = 13

/** The bytes of a copy of the model with the changes of `rewrite`. The model itself stays as it is. */
export function rewriteModel(model: LoadedModel, rewrite: Rewrite): Uint8Array {
  return rewriteFields(model.bytes, (field, bytes, writer) => {
    if (field !== modelGraph) return false
    writer.writeBytesField(modelGraph, rewriteGraph(bytes, model, rewrite))
    return true
  })
}

function rewriteGraph(
  bytes: Uint8Array,
  { graph: { constants } }: LoadedModel,
  { inputs, extraOutputs, outputs, isWidened = false }: Rewrite,
): Uint8Array {
  const graph = rewriteFields(bytes, (field, value, writer) => {
    // Shapes of inner values belong to the old input size; onnxruntime infers new ones.
    if (field === graphValueInfo) return true
    if (field === graphInitializer) {
      const { name, isExternal } = initializerOf(value)
      const constant = constants.get(name)
      if (!constant || !(isExternal || (isWidened && constant.type === 'float16'))) return false
      writer.writeBytesField(graphInitializer, tensorProto(name, isWidened ? widened(constant) : constant))
      return true
    }
    if (field === graphNode && isWidened) {
      writer.writeBytesField(graphNode, widenedNode(value))
      return true
    }
    if (field === graphOutput && outputs && !outputs.includes(nameOf(value))) return true
    if (field === graphOutput && isWidened) {
      // Without a type: onnxruntime infers it.
      writer.writeBytesField(graphOutput, valueInfo(nameOf(value), null, null))
      return true
    }
    if (field !== graphInput) return false
    const input = inputs.find(({ name }) => name === nameOf(value))
    if (!input) return false
    writer.writeBytesField(graphInput, valueInfo(input.name, dataTypes.indexOf(input.type), input.shape))
    return true
  })
  if (extraOutputs.length === 0) return graph
  const writer = new PbfWriter()
  for (const { name, type } of extraOutputs)
    writer.writeBytesField(
      graphOutput,
      valueInfo(name, type === undefined || isWidened ? null : dataTypes.indexOf(type), null),
    )
  return joined(graph, writer.finish())
}

/** Copies a message field by field. `replace` writes a substitute and returns true; it sees length-delimited fields only. */
export function rewriteFields(
  bytes: Uint8Array,
  replace: (field: number, value: Uint8Array, writer: PbfWriter) => boolean,
): Uint8Array {
  const parts: Uint8Array[] = []
  const reader = new PbfReader(bytes)
  while (reader.pos < bytes.length) {
    const start = reader.pos
    const tag = reader.readVarint()
    const [field, type] = [tag >>> 3, tag & 7]
    if (type !== 2) {
      reader.skip(type)
      parts.push(bytes.subarray(start, reader.pos))
      continue
    }
    const value = reader.readBytes()
    const writer = new PbfWriter()
    parts.push(replace(field, value, writer) ? writer.finish() : bytes.subarray(start, reader.pos))
  }
  return joined(...parts)
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

const half = dataTypes.indexOf('float16')
const single = dataTypes.indexOf('float32')

/** The constant in single precision. */
function widened(constant: Constant): Constant {
  if (constant.type !== 'float16') return constant
  return floatConstant(constant.shape, Float32Array.from(numbersOf(constant)))
}

/** A NodeProto with its half-precision tensors and casts changed to single precision. */
function widenedNode(bytes: Uint8Array): Uint8Array {
  return rewriteFields(bytes, (field, attribute, writer) => {
    if (field !== nodeAttribute) return false
    const { name, int } = attributeOf(attribute)
    if (name === 'to' && int === half) {
      writer.writeBytesField(nodeAttribute, intAttribute(name, single))
      return true
    }
    writer.writeBytesField(nodeAttribute, rewriteFields(attribute, widenTensor))
    return true
  })
}

const nodeAttribute = 5
const attributeTensor = 5

/** Replaces the tensor of an attribute if it is one of halves. */
function widenTensor(field: number, value: Uint8Array, writer: PbfWriter): boolean {
  if (field !== attributeTensor) return false
  const read = readTensor(value, () => new Uint8Array(0))
  if (!('constant' in read) || read.constant.type !== 'float16') return false
  writer.writeBytesField(attributeTensor, tensorProto(read.name, widened(read.constant)))
  return true
}

/** Name and integer of an AttributeProto. */
function attributeOf(bytes: Uint8Array): { name: string; int: number } {
  const found = { name: '', int: 0 }
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === 1) found.name = reader.readString()
    if (field === 3) found.int = reader.readVarint()
  }, null)
  return found
}

/** An AttributeProto with an integer. */
function intAttribute(name: string, value: number): Uint8Array {
  const writer = new PbfWriter()
  writer.writeStringField(1, name)
  writer.writeVarintField(3, value)
  writer.writeVarintField(20, 2)
  return writer.finish()
}

/** The name of a ValueInfoProto. */
export function nameOf(bytes: Uint8Array): string {
  let name = ''
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === 1) name = reader.readString()
  }, null)
  return name
}

/** The name of a TensorProto, and whether its data lies in an external file. */
function initializerOf(bytes: Uint8Array): { name: string; isExternal: boolean } {
  const found = { name: '', isExternal: false }
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === 8) found.name = reader.readString()
    if (field === 14) found.isExternal = reader.readVarint() === 1
  }, null)
  return found
}

/** Writes a TensorProto that holds its data. */
export function tensorProto(name: string, { type, shape, bytes }: Constant): Uint8Array {
  const writer = new PbfWriter()
  for (const size of shape) writer.writeVarintField(1, size)
  writer.writeVarintField(2, dataTypes.indexOf(type))
  writer.writeStringField(8, name)
  writer.writeBytesField(9, bytes)
  return writer.finish()
}

/** Writes a ValueInfoProto with a tensor type and a shape, unless these are null: onnxruntime infers them. */
export function valueInfo(name: string, type: number | null, shape: readonly number[] | null): Uint8Array {
  const info = new PbfWriter()
  info.writeStringField(1, name)
  if (type === null) return info.finish()
  const tensor = new PbfWriter()
  tensor.writeVarintField(1, type)
  if (shape) {
    const dims = new PbfWriter()
    for (const size of shape) {
      const dimension = new PbfWriter()
      dimension.writeVarintField(1, size)
      dims.writeBytesField(1, dimension.finish())
    }
    tensor.writeBytesField(2, dims.finish())
  }
  const typed = new PbfWriter()
  typed.writeBytesField(1, tensor.finish())
  info.writeBytesField(2, typed.finish())
  return info.finish()
}
