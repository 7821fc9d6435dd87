/**
 * A dense tensor in row-major order. The public API takes ONNX's order ('nchw' where a tensor is an image batch);
 * engines prefer 'nhwc' for images and say so in `TensorInfo`.
 */

export type TensorType =
  | 'float32'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'float16'

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** Memory that the pixel path writes. */
export type PixelData = Float32Array | Uint8Array | Int8Array

/** Order of a rank-4 tensor's dimensions; 'none' where the tensor is not a batch of images. */
export type Layout = 'nchw' | 'nhwc' | 'none'

export interface TensorInfo {
  readonly name: string
  readonly type: TensorType
  readonly layout: Layout
  /** Sizes in the order of `layout`. */
  readonly shape: readonly number[]
}

export interface Tensor extends TensorInfo {
  readonly data: TensorData
}

/** Bytes of one element; float16 is stored as uint16 bit patterns, bool as one byte. */
export const elementBytes: Readonly<Record<TensorType, number>> = {
  float32: 4,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
  float16: 2,
}

/** The number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const size of shape) count *= size
  return count
}

/** The typed array of each type, over memory or of a length. */
export const tensorArrays: Readonly<Record<TensorType, new (memory: ArrayBufferLike) => TensorData>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
}

/** The layout of a rank-4 tensor, judged by which size is a picture's 1, 3 or 4 channels. Open sizes are allowed. */
export function imageLayout(shape: readonly (number | string | null)[]): Layout {
  if (shape.length !== 4) return 'none'
  const isChannels = (size: unknown): boolean => size === 1 || size === 3 || size === 4
  return !isChannels(shape[1]) && isChannels(shape[3]) ? 'nhwc' : 'nchw'
}

/** Height and width of a network's image input, in pixels. */
export interface InputSize {
  readonly height: number
  readonly width: number
}

/** How the integers of a tensor stand for real numbers: real = scale · (stored − zeroPoint). */
export interface Code {
  readonly type: CodeType
  readonly scale: number
  readonly zeroPoint: number
}

/** Types of quantised activations. */
export type CodeType = 'int8' | 'uint8' | 'int16' | 'uint16'

/** The least and the largest integer of each type. */
export const codeRange: Readonly<Record<CodeType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
}

/** The integer nearest to a real number, ties to even, within the type's range. */
export function storedOf({ type, scale, zeroPoint }: Code, real: number): number {
  const [least, most] = codeRange[type]
  const steps = Math.fround(real / Math.fround(scale))
  const floor = Math.floor(steps)
  const rest = steps - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  return Number.isNaN(real) ? zeroPoint : Math.min(Math.max(rounded + zeroPoint, least), most)
}
