/**
 * How integers stand for real numbers: real = scale · (stored − zeroPoint). Also finds the code of a graph's integer
 * inputs and outputs, which an engine in float32 exchanges as real numbers.
 */
import { codeRange, type Code, type CodeType, type TensorType } from '../../tensor.js'
import { floatAttribute, intAttribute, numbersOf, stringAttribute, type Graph, type Node } from '../graph.js'
import { GraphIndex } from '../graph-index.js'

/** The operator of gapcam that rounds real numbers to those that bytes stand for: `type`, `scale` and `zeroPoint`. */
export const quantizedOp = 'Quantized'

/** The code of a node `Quantized`. */
export function quantizedCode(node: Node): Code {
  const type = stringAttribute(node, 'type', 'uint8') === 'int8' ? 'int8' : 'uint8'
  return { type, scale: floatAttribute(node, 'scale', 1), zeroPoint: intAttribute(node, 'zeroPoint', 0) }
}

/** Types in which the steps on integers compute. */
export type ByteType = 'int8' | 'uint8'

/** Whether a type may hold quantised activations. */
export const isCodeType = (type: TensorType | undefined): type is CodeType => type !== undefined && type in codeRange

/** The same code for bytes of another type: the zero point moves with the numbers. */
export function asType(code: Code, type: ByteType): Code {
  const shift = code.type === type ? 0 : type === 'int8' ? -128 : 128
  return { type, scale: code.scale, zeroPoint: code.zeroPoint + shift }
}

/** Whether two values have the same numbers for the same integers. */
export function isSameCode(one: Code | undefined, other: Code): boolean {
  return one?.type === other.type && one.scale === other.scale && one.zeroPoint === other.zeroPoint
}

/** The real number that an integer stands for, rounded as float32. */
export const realOf = ({ scale, zeroPoint }: Code, stored: number): number =>
  Math.fround(Math.fround(scale) * (stored - zeroPoint))

/** Operators that move elements or choose the largest, of which the first input is the data. They run on bytes as they do on reals. */
export const movers: ReadonlySet<string> = new Set([
  'Identity',
  'Dropout',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Slice',
  'Split',
  'Gather',
  'Expand',
  'Pad',
  'Concat',
  'MaxPool',
  'DepthToSpace',
  'SpaceToDepth',
])

/** Operators behind which the code of the first input stays valid. Those that are no movers run in float32. */
export const codeKeepers: ReadonlySet<string> = new Set([...movers, 'Tile', 'Clip'])

/** The code that a QuantizeLinear or DequantizeLinear names for a whole tensor; null where it is not constant or by axis. */
export function codeOf(index: GraphIndex, node: Node, type: TensorType | undefined): Code | null {
  const [scales, zeros] = [index.constant(node.inputs[1]), index.constant(node.inputs[2])]
  if (!isCodeType(type) || !scales || (node.inputs[2] && !zeros)) return null
  const [scale, ...others] = numbersOf(scales)
  const points = zeros ? numbersOf(zeros) : [0]
  const isUniform = others.every((other) => other === scale) && points.every((point) => point === points[0])
  if (!isUniform || scale === undefined || !(scale > 0) || !Number.isFinite(scale)) return null
  return { type, scale, zeroPoint: points[0]! }
}

/** The code of an integer input: that of the first DequantizeLinear behind it. An input that is cast has its own numbers. */
export function inputCode(index: GraphIndex, name: string): Code | null {
  const type = index.graph.values.get(name)?.type
  for (const reader of index.readers(name)) {
    if (reader.op === 'DequantizeLinear') return codeOf(index, reader, type)
    if (reader.op === 'Cast' && isCodeType(type)) return { type, scale: 1, zeroPoint: 0 }
    const behind = codeKeepers.has(reader.op) ? inputCode(index, reader.outputs[0]!) : null
    if (behind) return behind
  }
  return null
}

/** The code of an integer output: that of the QuantizeLinear that makes it. */
function outputCode(index: GraphIndex, name: string): Code | null {
  const maker = index.maker(name)
  if (!maker) return null
  if (maker.op === 'QuantizeLinear') return codeOf(index, maker, index.graph.values.get(name)?.type)
  return codeKeepers.has(maker.op) ? outputCode(index, maker.inputs[0]!) : null
}

/**
 * The codes of a prepared graph's integer inputs and outputs, by name. Where an engine has such a value as float32, it
 * holds real numbers.
 */
export function portCodes(graph: Graph): ReadonlyMap<string, Code> {
  const index = GraphIndex.of(graph)
  const codes = [
    ...graph.inputs.map(({ name }) => [name, inputCode(index, name)] as const),
    ...graph.outputs.map(({ name }) => [name, outputCode(index, name)] as const),
  ]
  return new Map(codes.filter((entry): entry is readonly [string, Code] => entry[1] !== null))
}
