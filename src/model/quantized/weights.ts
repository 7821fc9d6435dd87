/** Constants of integers as real numbers: by tensor, by slices along an axis, or by blocks of an axis (ONNX DequantizeLinear-21). */
import { elementCount } from '../../tensor.js'
import { floatConstant, intAttribute, numbersOf, Unsupported, type Constant, type Node } from '../graph.js'
import { normalAxis } from '../view.js'

/** The scale and zero point of each element: `at(i)` is the place of element i's in both lists. */
export interface Scales {
  readonly scale: readonly number[]
  readonly zeroPoint: readonly number[]
  /** Slices along the axis; 1 for the whole tensor. */
  readonly axis: number
  at(element: number): number
}

/** The scales of a QuantizeLinear or DequantizeLinear on a tensor of `shape`. Throws `Unsupported` where they do not fit. */
export function scalesOf(node: Node, shape: readonly number[], scale: Constant, zeroPoint?: Constant): Scales {
  const points = zeroPoint ? numbersOf(zeroPoint) : [0]
  const scales = spread(numbersOf(scale), points.length)
  const zeros = spread(points, scales.length)
  if (scales.length === 1) return { scale: scales, zeroPoint: zeros, axis: 0, at: () => 0 }
  const axis = normalAxis(intAttribute(node, 'axis', 1), shape.length)
  const inner = elementCount(shape.slice(axis + 1))
  const size = shape[axis]!
  const block = intAttribute(node, 'block_size', 0) || 1
  const isBlocked = scale.shape.length === shape.length && shape.length > 1
  const places = isBlocked ? Math.ceil(size / block) : size
  const wanted = isBlocked ? elementCount(shape.slice(0, axis)) * places * inner : size
  if (scales.length !== wanted) throw new Unsupported(`it has ${scales.length} scales for [${shape.join(', ')}]`)
  const slice = (element: number): number => Math.floor(element / inner) % size
  const at = isBlocked
    ? (element: number): number => {
        const outer = Math.floor(element / (inner * size))
        return (outer * places + Math.floor(slice(element) / block)) * inner + (element % inner)
      }
    : slice
  return { scale: scales, zeroPoint: zeros, axis, at }
}

/** The elements of a constant of integers; a view where the type allows it. */
export function integersOf(constant: Constant): ArrayLike<number> {
  const { type, bytes } = constant
  if (type === 'uint8') return bytes
  if (type === 'int8') return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return numbersOf(constant)
}

/** One number for all, as one for each. */
const spread = (values: readonly number[], count: number): readonly number[] =>
  values.length === 1 && count > 1 ? new Array<number>(count).fill(values[0]!) : values

/** A constant as real numbers, rounded to float32 as DequantizeLinear does. */
export function dequantized(constant: Constant, { scale, zeroPoint, at }: Scales): Constant {
  const values = integersOf(constant)
  const data = new Float32Array(values.length)
  if (scale.length === 1) {
    const [s, z] = [Math.fround(scale[0]!), zeroPoint[0]!]
    for (let i = 0; i < data.length; i++) data[i] = (values[i]! - z) * s
  } else {
    for (let i = 0; i < data.length; i++) {
      const place = at(i)
      data[i] = (values[i]! - zeroPoint[place]!) * scale[place]!
    }
  }
  return floatConstant(constant.shape, data)
}

/** A matrix of bytes on its side; null for other types. */
export function transposedInteger(constant: Constant): Constant | null {
  const { type, shape, bytes } = constant
  const [rows = 0, columns = 0] = shape
  if ((type !== 'int8' && type !== 'uint8') || shape.length !== 2) return null
  const turned = new Uint8Array(bytes.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = bytes[i * columns + j]!
  return { type, shape: [columns, rows], bytes: turned }
}
