/**
 * Turns the bytes of an ONNX file into a Graph: opsets 7 to 25 of the default domain, weights as views of the file's bytes. Every claim
 * of the file is checked before it is used; a damaged file is a MODEL_INVALID with one sentence.
 */
import { createHash } from 'node:crypto'
import { GapcamError } from '../../errors.js'
import { openExternal, type ExternalFile } from './external.js'
import type { Constant, Graph, Node, Value } from '../graph.js'
import { inlineFunctions, readFunction, readOpset, type ModelFunction } from './functions.js'
import { readNode } from './node.js'
import { readTensor, readValueInfo, type ExternalReader, noExternal } from './tensor.js'
import { sortNodes } from './order.js'
import { bytesField, readMessage, stringField } from './wire.js'

export const opsets = { least: 7, most: 25 } as const

export interface LoadedModel {
  readonly path: string
  readonly graph: Graph
  /** The file's bytes, memory-mapped with the addon: truncating the file while it is being opened kills the process. */
  readonly bytes: Uint8Array
  /** Digest of the file and its external data files, in the order in which the model names them. Computed on first use. */
  readonly sha256: string
  readonly producer: string
  /** The file's metadata properties: free-form keys and texts of its maker. */
  readonly metadata: ReadonlyMap<string, string>
  readonly externalFiles: readonly ExternalFile[]
  /** The bytes are not those of the file at `path`: the model was converted from another format. */
  readonly isConverted?: boolean | undefined
  /** The graph has nodes or ports that the bytes do not have. */
  readonly isRewritten?: boolean | undefined
  /** What the format leaves open and the reader assumed, as sentences. */
  readonly assumed?: readonly string[] | undefined
}

/** An ONNX file whose bytes were read. External data is looked for beside `path`. Throws MODEL_INVALID or MODEL_UNSUPPORTED. */
export function loadOnnx(path: string, bytes: Uint8Array): LoadedModel {
  const external = openExternal(path)
  const { graph, producer, metadata } = parseModel(bytes, external.read)
  let sha256: string | undefined
  return {
    path,
    graph,
    bytes,
    get sha256() {
      return (sha256 ??= digest([bytes, ...external.files.map((file) => file.bytes)]))
    },
    producer,
    metadata,
    externalFiles: external.files,
  }
}

/** The model with another graph in place of its own; the file stays what it is. `isRewritten`: see `LoadedModel`. */
export function withGraph(model: LoadedModel, graph: Graph, isRewritten = model.isRewritten): LoadedModel {
  const { path, bytes, producer, metadata, externalFiles, isConverted, assumed } = model
  return {
    path,
    graph,
    bytes,
    producer,
    metadata,
    externalFiles,
    isConverted,
    isRewritten,
    assumed,
    get sha256() {
      return model.sha256
    },
  }
}

/** The sha256 of some byte arrays, one after the other. */
export function digest(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** Parses the bytes of a ModelProto. Throws MODEL_INVALID or MODEL_UNSUPPORTED. */
export function parseModel(
  bytes: Uint8Array,
  external: ExternalReader = noExternal,
): Pick<LoadedModel, 'graph' | 'producer' | 'metadata'> {
  let graphBytes: Uint8Array | null = null
  let opset: number | null = null
  let producer = ''
  const metadata = new Map<string, string>()
  const functions: ModelFunction[] = []
  readMessage(bytes, 'model', (field, reader) => {
    if (field === 7) graphBytes = bytesField(reader, 'graph')
    else if (field === 8) opset = readOpset(bytesField(reader, 'opset import')) ?? opset
    else if (field === 2) producer = stringField(reader, 'producer')
    else if (field === 25) functions.push(readFunction(bytesField(reader, 'function')))
    else if (field === 14) metadata.set(...readEntry(bytesField(reader, 'metadata')))
  })
  if (bytes.length === 0) throw new GapcamError('MODEL_INVALID', 'the file is empty')
  if (graphBytes === null) throw new GapcamError('MODEL_INVALID', 'not an ONNX model: it has no graph')
  if (opset === null) throw new GapcamError('MODEL_INVALID', 'it imports no opset of ai.onnx')
  if (opset < opsets.least)
    throw new GapcamError('MODEL_UNSUPPORTED', `its opset is ${opset}; gapcam reads ${opsets.least} and newer`, {
      hint: 'Export the model with a newer opset: opset_version=17, for example.',
    })
  const graph = readGraph(graphBytes, { opset, external, functions })
  if (opset <= opsets.most) return { graph, producer, metadata }
  const obstacle = `its opset is ${opset}; the native engine reads ${opsets.least} to ${opsets.most}`
  return { graph: { ...graph, obstacles: [obstacle] }, producer, metadata }
}

/** StringStringEntryProto. */
function readEntry(bytes: Uint8Array): [string, string] {
  const entry: [string, string] = ['', '']
  readMessage(bytes, 'metadata', (field, reader) => {
    if (field === 1 || field === 2) entry[field - 1] = stringField(reader, 'metadata')
  })
  return entry
}

/** What a graph needs of the model around it. */
interface Surroundings {
  readonly opset: number
  readonly external: ExternalReader
  readonly functions: readonly ModelFunction[]
}

function readGraph(bytes: Uint8Array, { opset, external, functions }: Surroundings): Graph {
  let name = ''
  const nodes: Node[] = []
  const initializers: Initializers = { constants: new Map(), opaque: new Map() }
  const inputs: Value[] = []
  const outputs: Value[] = []
  const infos: Value[] = []
  readMessage(bytes, 'graph', (field, reader) => {
    switch (field) {
      case 1:
        nodes.push(readNode(bytesField(reader, 'node'), external))
        return
      case 2:
        name = stringField(reader, 'graph')
        return
      case 5:
        addInitializer(initializers, bytesField(reader, 'initializer'), external)
        return
      case 11:
        inputs.push(readValueInfo(bytesField(reader, 'input')))
        return
      case 12:
        outputs.push(readValueInfo(bytesField(reader, 'output')))
        return
      case 13:
        infos.push(readValueInfo(bytesField(reader, 'value')))
        return
      case 15:
        initializers.opaque.set(sparseName(bytesField(reader, 'sparse initializer')), null)
        return
      default:
    }
  })
  if (outputs.length === 0) throw new GapcamError('MODEL_INVALID', 'its graph has no outputs')
  // IR 3 lists initializers among the inputs; they are constants nevertheless.
  const { constants, opaque } = initializers
  const realInputs = inputs.filter(({ name }) => !constants.has(name) && !opaque.has(name))
  const values = new Map([...infos, ...outputs, ...realInputs].map((value) => [value.name, value]))
  const inlined = inlineFunctions(uniquelyNamed(nodes), functions, opset)
  return sortNodes({ opset, name, inputs: realInputs, outputs, nodes: inlined, constants, opaque, values })
}

interface Initializers {
  readonly constants: Map<string, Constant>
  readonly opaque: Map<string, readonly string[] | null>
}

function addInitializer({ constants, opaque }: Initializers, bytes: Uint8Array, external: ExternalReader): void {
  const tensor = readTensor(bytes, external)
  const { name } = tensor
  if (constants.has(name) || opaque.has(name))
    throw new GapcamError('MODEL_INVALID', `it has two initializers named ${name}`)
  if ('constant' in tensor) constants.set(name, tensor.constant)
  else opaque.set(name, tensor.strings)
}

/** SparseTensorProto: its values are a tensor with the initializer's name. */
function sparseName(bytes: Uint8Array): string {
  let name = ''
  readMessage(bytes, 'sparse initializer', (field, reader) => {
    if (field !== 1) return
    readMessage(bytesField(reader, 'tensor'), 'tensor', (part, tensor) => {
      if (part === 8) name = stringField(tensor, 'tensor')
    })
  })
  return name
}

function uniquelyNamed(nodes: readonly Node[]): Node[] {
  const seen = new Set<string>()
  return nodes.map((node, i) => {
    let name = node.name === '' ? `${node.op}_${i}` : node.name
    while (seen.has(name)) name = `${name}_${i}`
    seen.add(name)
    return { ...node, name }
  })
}
