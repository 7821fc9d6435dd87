/**
 * Cuts the end off a model file: a copy with only the nodes behind some values, which become its inputs. Nodes are copied byte
 * by byte, so those with graphs inside and those that gapcam does not read stay what they are.
 */
import { PbfReader, PbfWriter } from 'pbf'
import type { TensorInfo } from '../../tensor.js'
import type { Constant } from '../graph.js'
import type { LoadedModel } from './onnx.js'
import { dataTypes } from './tensor.js'
import {
  graphInitializer,
  graphInput,
  graphNode,
  graphOutput,
  graphValueInfo,
  modelGraph,
  nameOf,
  rewriteFields,
  tensorProto,
  valueInfo,
} from './write.js'

const nodeAttribute = 5
const attributeGraph = 6
const attributeGraphs = 11

/** A node of the file: what it makes, and every name that it or a graph inside it reads. */
export interface FileNode {
  readonly outputs: readonly string[]
  readonly reads: readonly string[]
}

/** What is left of a model. */
export interface Tail {
  /** Values that the copy is given, with their sizes. */
  readonly inputs: readonly TensorInfo[]
  /** Outputs of the copy: those of the file, or inner values. */
  readonly outputs: readonly string[]
  /** Names that the nodes of the copy make. */
  readonly made: ReadonlySet<string>
  /** Values that are known, and need not be computed. */
  readonly constants: ReadonlyMap<string, Constant>
}

/** The nodes of a file by what they make. */
export function fileNodes({ bytes }: Pick<LoadedModel, 'bytes'>): ReadonlyMap<string, FileNode> {
  const nodes = new Map<string, FileNode>()
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field !== modelGraph) return
    for (const node of nodesIn(reader.readBytes())) for (const output of node.outputs) nodes.set(output, node)
  }, null)
  return nodes
}

/** The nodes of a graph in their order. */
function nodesIn(graph: Uint8Array): FileNode[] {
  const nodes: FileNode[] = []
  new PbfReader(graph).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === graphNode) nodes.push(nodeOf(reader.readBytes()))
  }, null)
  return nodes
}

function nodeOf(bytes: Uint8Array): FileNode {
  const [outputs, reads]: [string[], string[]] = [[], []]
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === 1) reads.push(reader.readString())
    if (field === 2) outputs.push(reader.readString())
    if (field === nodeAttribute) reads.push(...readInside(reader.readBytes()))
  }, null)
  return { outputs: outputs.filter((name) => name !== ''), reads: reads.filter((name) => name !== '') }
}

/** The names that the graphs of an attribute read, their own values among them. */
function readInside(attribute: Uint8Array): string[] {
  const names: string[] = []
  new PbfReader(attribute).readFields((field: number, _: null, reader: PbfReader) => {
    if (field !== attributeGraph && field !== attributeGraphs) return
    const graph = reader.readBytes()
    for (const { reads } of nodesIn(graph)) names.push(...reads)
    new PbfReader(graph).readFields((inner: number, __: null, own: PbfReader) => {
      if (inner === graphOutput) names.push(nameOf(own.readBytes()))
    }, null)
  }, null)
  return names
}

/** The bytes of the copy. */
export function writeTail(model: LoadedModel, tail: Tail): Uint8Array {
  return rewriteFields(model.bytes, (field, bytes, writer) => {
    if (field !== modelGraph) return false
    writer.writeBytesField(modelGraph, tailGraph(bytes, model, tail))
    return true
  })
}

function tailGraph(bytes: Uint8Array, { graph }: LoadedModel, { inputs, outputs, made, constants }: Tail): Uint8Array {
  const nodes = nodesIn(bytes)
  const isMade = nodes.map((node) => node.outputs.some((name) => made.has(name)))
  const reads = new Set(nodes.flatMap((node, i) => (isMade[i] ? node.reads : [])))
  let number = 0
  const kept = rewriteFields(bytes, (field, value, writer) => {
    if (field === graphValueInfo || field === graphInput) return true
    if (field === graphNode) return !isMade[number++]
    if (field === graphOutput) return !outputs.includes(nameOf(value))
    if (field !== graphInitializer) return false
    const name = initializerName(value)
    const constant = graph.constants.get(name)
    if (reads.has(name) && constant) writer.writeBytesField(graphInitializer, tensorProto(name, constant))
    return !reads.has(name) || constant !== undefined
  })
  const more = new PbfWriter()
  for (const { name, type, shape } of inputs)
    more.writeBytesField(graphInput, valueInfo(name, dataTypes.indexOf(type), shape))
  // An inner value that is asked for; onnxruntime infers its type.
  const own = new Set(graph.outputs.map(({ name }) => name))
  for (const name of outputs.filter((each) => !own.has(each)))
    more.writeBytesField(graphOutput, valueInfo(name, null, null))
  for (const [name, constant] of constants) more.writeBytesField(graphInitializer, tensorProto(name, constant))
  return Buffer.concat([kept, more.finish()])
}

/** The name of a TensorProto. */
function initializerName(bytes: Uint8Array): string {
  let name = ''
  new PbfReader(bytes).readFields((field: number, _: null, reader: PbfReader) => {
    if (field === 8) name = reader.readString()
  }, null)
  return name
}
