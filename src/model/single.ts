/**
 * Converts a graph in half or double precision to single precision, in which the native engine computes: weights,
 * inputs, outputs and all values between them. Casts between these types then change nothing.
 */
import { elementCount, type TensorType } from '../tensor.js'
import { floatConstant, numbersOf, type Attribute, type Constant, type Graph, type Node, type Value } from './graph.js'
import { dataTypes } from './onnx/tensor.js'

const isOtherWidth = (type: TensorType | undefined): boolean => type === 'float16' || type === 'float64'

/** The graph in single precision, or the same graph where it is so already. */
export function inSinglePrecision(graph: Graph): Graph {
  const hasOther =
    [...graph.inputs, ...graph.constants.values()].some(({ type }) => isOtherWidth(type)) ||
    graph.nodes.some(hasOtherAttribute)
  if (!hasOther) return graph
  return {
    ...graph,
    inputs: graph.inputs.map(single),
    outputs: graph.outputs.map(single),
    nodes: graph.nodes.map(singleNode),
    constants: new Map([...graph.constants].map(([name, constant]) => [name, singleConstant(constant)])),
    values: new Map([...graph.values].map(([name, value]) => [name, single(value)])),
  }
}

const single = (value: Value): Value => (isOtherWidth(value.type) ? { ...value, type: 'float32' } : value)

/** Whether an attribute is a tensor of another width, or the target type of a Cast to one. */
function namesOther(node: Node, name: string): boolean {
  const attribute = node.attributes[name]
  if (attribute?.kind === 'tensor') return isOtherWidth(attribute.value.type)
  return node.op === 'Cast' && name === 'to' && attribute?.kind === 'int' && isOtherWidth(dataTypes[attribute.value])
}

const hasOtherAttribute = (node: Node): boolean => Object.keys(node.attributes).some((name) => namesOther(node, name))

function singleNode(node: Node): Node {
  if (!hasOtherAttribute(node)) return node
  const attributes = Object.entries(node.attributes).map(([name, attribute]) => [
    name,
    namesOther(node, name) ? singleAttribute(attribute) : attribute,
  ])
  return { ...node, attributes: Object.fromEntries(attributes) as Node['attributes'] }
}

function singleAttribute(attribute: Attribute): Attribute {
  return attribute.kind === 'tensor'
    ? { kind: 'tensor', value: singleConstant(attribute.value) }
    : { kind: 'int', value: dataTypes.indexOf('float32') }
}

function singleConstant(constant: Constant): Constant {
  if (!isOtherWidth(constant.type)) return constant
  if (constant.type === 'float64') return floatConstant(constant.shape, Float32Array.from(numbersOf(constant)))
  const { bytes, shape } = constant
  const halves = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = valuesOfHalves()
  return floatConstant(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => values[halves.getUint16(2 * i, true)]!),
  )
}

let table: Float32Array | undefined

/** The value of each of the 65,536 halves. Made at the first use. */
function valuesOfHalves(): Float32Array {
  if (table) return table
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i)
  return (table = Float32Array.from(numbersOf({ type: 'float16', shape: [65536], bytes: new Uint8Array(bits.buffer) })))
}
