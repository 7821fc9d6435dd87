/**
 * Writes a Graph as an ONNX file (IR version 8), for graphs that were read from another format. Graphs after a pass may hold
 * nodes of the `gapcam` domain, which no other program reads; these are refused.
 */
import { PbfWriter } from 'pbf'
import type { Attribute, Constant, Dimension, Graph, Node, Value } from '../graph.js'
import { dataTypes } from './tensor.js'

const irVersion = 8
/** onnx.AttributeProto.AttributeType and the field that holds the value, by our kind. */
const attributeFields = {
  float: { type: 1, field: 2 },
  int: { type: 2, field: 3 },
  string: { type: 3, field: 4 },
  tensor: { type: 4, field: 5 },
  floats: { type: 6, field: 7 },
  ints: { type: 7, field: 8 },
  strings: { type: 8, field: 9 },
} as const

/** The bytes of a ModelProto. `metadata` becomes metadata_props. Throws TypeError for a node that no file can hold. */
export function serializeModel(graph: Graph, metadata: ReadonlyMap<string, string> = new Map()): Uint8Array {
  return message((model) => {
    model.writeVarintField(1, irVersion)
    model.writeStringField(2, 'gapcam')
    model.writeBytesField(7, graphProto(graph))
    model.writeBytesField(
      8,
      message((opset) => opset.writeVarintField(2, graph.opset)),
    )
    for (const [key, value] of metadata) model.writeBytesField(14, entry(key, value))
  })
}

function message(write: (writer: PbfWriter) => void): Uint8Array {
  const writer = new PbfWriter()
  write(writer)
  return writer.finish()
}

function entry(key: string, value: string): Uint8Array {
  return message((writer) => {
    writer.writeStringField(1, key)
    writer.writeStringField(2, value)
  })
}

function graphProto(graph: Graph): Uint8Array {
  return message((writer) => {
    for (const node of graph.nodes) writer.writeBytesField(1, nodeProto(node))
    writer.writeStringField(2, graph.name === '' ? 'graph' : graph.name)
    for (const [name, constant] of graph.constants) writer.writeBytesField(5, tensorProto(name, constant))
    for (const value of graph.inputs) writer.writeBytesField(11, valueInfo(value))
    for (const value of graph.outputs) writer.writeBytesField(12, valueInfo(value))
  })
}

function nodeProto({ name, op, domain, inputs, outputs, attributes }: Node): Uint8Array {
  if (domain === 'gapcam')
    throw new TypeError(`Expected a graph as read from a file but received one with the node ${name}`)
  return message((writer) => {
    for (const input of inputs) writer.writeStringField(1, input)
    for (const output of outputs) writer.writeStringField(2, output)
    writer.writeStringField(3, name)
    writer.writeStringField(4, op)
    for (const [key, value] of Object.entries(attributes)) writer.writeBytesField(5, attributeProto(key, value))
    if (domain !== '') writer.writeStringField(7, domain)
  })
}

function attributeProto(name: string, attribute: Attribute): Uint8Array {
  if (attribute.kind === 'unsupported')
    throw new TypeError(`Expected a plain attribute for ${name} but received ${attribute.what}`)
  const { type, field } = attributeFields[attribute.kind]
  return message((writer) => {
    writer.writeStringField(1, name)
    switch (attribute.kind) {
      case 'float':
        writer.writeFloatField(field, attribute.value)
        break
      case 'int':
        writer.writeVarintField(field, attribute.value)
        break
      case 'string':
        writer.writeStringField(field, attribute.value)
        break
      case 'tensor':
        writer.writeBytesField(field, tensorProto('', attribute.value))
        break
      case 'floats':
        for (const value of attribute.value) writer.writeFloatField(field, value)
        break
      case 'ints':
        for (const value of attribute.value) writer.writeVarintField(field, value)
        break
      case 'strings':
        for (const value of attribute.value) writer.writeStringField(field, value)
    }
    writer.writeVarintField(20, type)
  })
}

/** TensorProto with its data inside. */
export function tensorProto(name: string, { type, shape, bytes }: Constant): Uint8Array {
  return message((writer) => {
    for (const size of shape) writer.writeVarintField(1, size)
    writer.writeVarintField(2, dataTypes.indexOf(type))
    writer.writeStringField(8, name)
    writer.writeBytesField(9, bytes)
  })
}

function valueInfo({ name, type = 'float32', shape }: Value): Uint8Array {
  const tensor = message((writer) => {
    writer.writeVarintField(1, dataTypes.indexOf(type))
    if (shape) writer.writeBytesField(2, shapeProto(shape))
  })
  return message((writer) => {
    writer.writeStringField(1, name)
    writer.writeBytesField(
      2,
      message((typed) => typed.writeBytesField(1, tensor)),
    )
  })
}

function shapeProto(shape: readonly Dimension[]): Uint8Array {
  return message((writer) => {
    for (const size of shape) {
      const dimension = message((d) => {
        if (typeof size === 'number') d.writeVarintField(1, size)
        else if (size !== null) d.writeStringField(2, size)
      })
      writer.writeBytesField(1, dimension)
    }
  })
}
