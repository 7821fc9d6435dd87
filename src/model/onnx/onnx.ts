/**
 * Reads an ONNX file into a Graph: opsets 7 to 25 of the default domain, weights as views of the file's bytes. Every claim
 * of the file is checked before it is used; a damaged file is a MODEL_INVALID with one sentence.
 */
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GapcamError, messageOf } from '../../errors.js'
import { openExternal, type ExternalFile } from './external.js'
import { readBytes } from './file.js'
import type { Attribute, Constant, Graph, Node, Value } from '../graph.js'
import { readTensor, readValueInfo, type ExternalReader } from './tensor.js'
import { sortNodes } from './order.js'
import { bytesField, floatField, intField, readMessage, repeatedField, stringField } from './wire.js'

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
}

/**
 * Reads a model file. Rejects with MODEL_NOT_FOUND, MODEL_INVALID or MODEL_UNSUPPORTED; the sentence holds the path.
 *
 *     const { graph, metadata } = await loadModel('model.onnx')
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const bytes = await readModelFile(path)
  const external = openExternal(dirname(path))
  try {
    const { graph, producer, metadata } = parseModel(bytes, external.read)
    let sha256: string | undefined
    return {
      path,
      graph,
      bytes,
      get sha256() {
        return (sha256 ??= digest(bytes, external.files))
      },
      producer,
      metadata,
      externalFiles: external.files,
    }
  } catch (error) {
    if (!(error instanceof GapcamError)) throw error
    throw new GapcamError(error.code, `model ${path}: ${error.message}`, { cause: error })
  }
}

function digest(bytes: Uint8Array, files: readonly ExternalFile[]): string {
  const hash = createHash('sha256').update(bytes)
  for (const file of files) hash.update(file.bytes)
  return hash.digest('hex')
}

const mostBytes = 2 ** 31 // protobuf's own limit

async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > mostBytes)
      throw new GapcamError('MODEL_INVALID', `model ${path}: ${size} bytes are more than an ONNX file can have`)
    return await readBytes(path)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new GapcamError('MODEL_NOT_FOUND', `model ${path}: there is no such file`)
    throw new GapcamError('MODEL_NOT_FOUND', `model ${path} cannot be read: ${messageOf(error)}`)
  }
}

const noExternal: ExternalReader = (location) => {
  throw new GapcamError(
    'MODEL_INVALID',
    `its weights lie in ${location}, which only a model loaded from a file can have`,
  )
}

/** Parses the bytes of a ModelProto. Throws MODEL_INVALID or MODEL_UNSUPPORTED. */
export function parseModel(
  bytes: Uint8Array,
  external: ExternalReader = noExternal,
): Pick<LoadedModel, 'graph' | 'producer' | 'metadata'> {
  let graphBytes: Uint8Array | null = null
  let opset: number | null = null
  let producer = ''
  let hasFunctions = false
  const metadata = new Map<string, string>()
  readMessage(bytes, 'model', (field, reader) => {
    if (field === 7) graphBytes = bytesField(reader, 'graph')
    else if (field === 8) opset = readOpset(bytesField(reader, 'opset import')) ?? opset
    else if (field === 2) producer = stringField(reader, 'producer')
    else if (field === 14) metadata.set(...readEntry(bytesField(reader, 'metadata')))
    else if (field === 25) hasFunctions = true
  })
  if (bytes.length === 0) throw new GapcamError('MODEL_INVALID', 'the file is empty')
  if (graphBytes === null) throw new GapcamError('MODEL_INVALID', 'not an ONNX model: it has no graph')
  if (opset === null) throw new GapcamError('MODEL_INVALID', 'it imports no opset of ai.onnx')
  if (opset < opsets.least || opset > opsets.most) {
    throw new GapcamError('MODEL_UNSUPPORTED', `its opset is ${opset}; gapcam reads ${opsets.least} to ${opsets.most}`)
  }
  if (hasFunctions)
    throw new GapcamError('MODEL_UNSUPPORTED', 'it defines functions of its own, which gapcam does not read')
  return { graph: readGraph(graphBytes, opset, external), producer, metadata }
}

/** StringStringEntryProto. */
function readEntry(bytes: Uint8Array): [string, string] {
  const entry: [string, string] = ['', '']
  readMessage(bytes, 'metadata', (field, reader) => {
    if (field === 1 || field === 2) entry[field - 1] = stringField(reader, 'metadata')
  })
  return entry
}

/** OperatorSetIdProto: the version of the default domain; null for other domains. */
function readOpset(bytes: Uint8Array): number | null {
  let domain = ''
  let version = 0
  readMessage(bytes, 'opset import', (field, reader) => {
    if (field === 1) domain = stringField(reader, 'opset import')
    else if (field === 2) version = intField(reader, 'opset import')
  })
  return domain === '' || domain === 'ai.onnx' ? version : null
}

function readGraph(bytes: Uint8Array, opset: number, external: ExternalReader): Graph {
  let name = ''
  const nodes: Node[] = []
  const constants = new Map<string, Constant>()
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
        addConstant(constants, bytesField(reader, 'initializer'), external)
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
        throw new GapcamError('MODEL_UNSUPPORTED', 'it has sparse initializers, which gapcam does not read')
      default:
    }
  })
  if (outputs.length === 0) throw new GapcamError('MODEL_INVALID', 'its graph has no outputs')
  // IR 3 lists initializers among the inputs; they are constants nevertheless.
  const realInputs = inputs.filter((input) => !constants.has(input.name))
  const values = new Map([...infos, ...outputs, ...realInputs].map((value) => [value.name, value]))
  return sortNodes({ opset, name, inputs: realInputs, outputs, nodes: uniquelyNamed(nodes), constants, values })
}

function addConstant(constants: Map<string, Constant>, bytes: Uint8Array, external: ExternalReader): void {
  const { name, constant } = readTensor(bytes, external)
  if (constants.has(name)) throw new GapcamError('MODEL_INVALID', `it has two initializers named ${name}`)
  constants.set(name, constant)
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

function readNode(bytes: Uint8Array, external: ExternalReader): Node {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes: Record<string, Attribute> = {}
  let name = ''
  let op = ''
  let domain = ''
  readMessage(bytes, 'node', (field, reader) => {
    switch (field) {
      case 1:
        inputs.push(stringField(reader, 'node'))
        return
      case 2:
        outputs.push(stringField(reader, 'node'))
        return
      case 3:
        name = stringField(reader, 'node')
        return
      case 4:
        op = stringField(reader, 'node')
        return
      case 5: {
        const [key, value] = readAttribute(bytesField(reader, 'attribute'), external)
        // Attributes with this prefix belong to the passes.
        if (!key.startsWith('gapcam.')) attributes[key] = value
        return
      }
      case 7:
        domain = stringField(reader, 'node')
        return
      default:
    }
  })
  return { name, op, domain: domain === 'ai.onnx' ? '' : domain, attributes, inputs, outputs }
}

/** onnx.AttributeProto.AttributeType, by number. */
const attributeKinds = [
  '',
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
] as const

function readAttribute(bytes: Uint8Array, external: ExternalReader): [string, Attribute] {
  let name = ''
  let type = 0
  let float = 0
  let int = 0
  let text = ''
  let tensor: Constant | null = null
  const floats: number[] = []
  const ints: number[] = []
  const strings: string[] = []
  readMessage(bytes, 'attribute', (field, reader) => {
    switch (field) {
      case 1:
        name = stringField(reader, 'attribute')
        return
      case 2:
        float = floatField(reader, 'attribute')
        return
      case 3:
        int = intField(reader, 'attribute')
        return
      case 4:
        text = stringField(reader, 'attribute')
        return
      case 5:
        tensor = readTensor(bytesField(reader, 'attribute'), external).constant
        return
      case 7:
        return repeatedField(reader, 'attribute', 'float', floats)
      case 8:
        return repeatedField(reader, 'attribute', 'int', ints)
      case 9:
        strings.push(stringField(reader, 'attribute'))
        return
      case 20:
        type = intField(reader, 'attribute')
        return
      default:
    }
  })
  const kind = attributeKinds[type]
  switch (kind) {
    case 'float':
      return [name, { kind, value: float }]
    case 'int':
      return [name, { kind, value: int }]
    case 'string':
      return [name, { kind, value: text }]
    case 'floats':
      return [name, { kind, value: floats }]
    case 'ints':
      return [name, { kind, value: ints }]
    case 'strings':
      return [name, { kind, value: strings }]
    case 'tensor':
      return [name, tensor ? { kind, value: tensor } : { kind: 'unsupported', what: 'an empty tensor' }]
    default:
      return [name, { kind: 'unsupported', what: kind ?? `attribute type ${type}` }]
  }
}
