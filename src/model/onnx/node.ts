/** Reads NodeProto and AttributeProto. Attributes of kinds that gapcam does not read are kept as `unsupported`. */
import type { Attribute, Node } from '../graph.js'
import { readTensor, type ExternalReader } from './tensor.js'
import { bytesField, floatField, intField, readMessage, repeatedField, stringField } from './wire.js'

/** Reads one node. Throws MODEL_INVALID if it is damaged. */
export function readNode(bytes: Uint8Array, external: ExternalReader): Node {
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

/** A tensor as an attribute; a text tensor becomes its strings. */
function tensorAttribute(bytes: Uint8Array, external: ExternalReader): Attribute {
  const tensor = readTensor(bytes, external)
  if ('constant' in tensor) return { kind: 'tensor', value: tensor.constant }
  return tensor.strings
    ? { kind: 'strings', value: tensor.strings }
    : { kind: 'unsupported', what: 'a tensor of a type that gapcam does not read' }
}

/** Reads one attribute: its name and its value. */
export function readAttribute(bytes: Uint8Array, external: ExternalReader): [string, Attribute] {
  let name = ''
  let type = 0
  let float = 0
  let int = 0
  let text = ''
  let tensor: Attribute = { kind: 'unsupported', what: 'an empty tensor' }
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
        tensor = tensorAttribute(bytesField(reader, 'attribute'), external)
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
      return [name, tensor]
    default:
      return [name, { kind: 'unsupported', what: kind ?? `attribute type ${type}` }]
  }
}
