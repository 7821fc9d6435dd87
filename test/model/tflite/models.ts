/** Small TFLite models that together use every converted operator whose meaning differs from ONNX's. */
import { Random } from '../../random.js'
import type { ModelSpec, OperatorSpec, TensorSpec } from './tflite-builder.js'

const random = new Random(11)
const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random.next() * 2 - 1)
const levels = (length: number, low: number, high: number): number[] =>
  Array.from({ length }, () => random.between(low, high))

/** Builds a chain of operators: each makes one tensor from the one before it and from its constants. */
class Chain {
  readonly #tensors: TensorSpec[]
  readonly #operators: OperatorSpec[] = []
  #last = 0

  constructor(input: Omit<TensorSpec, 'name'>) {
    this.#tensors = [{ name: 'input', ...input }]
  }

  add(
    op: string,
    output: Omit<TensorSpec, 'name'>,
    {
      constants = [],
      options,
      order,
    }: { constants?: readonly TensorSpec[]; options?: OperatorSpec['options']; order?: 'constants-first' } = {},
  ): this {
    const added = constants.map((constant) => this.#tensors.push(constant) - 1)
    const result = this.#tensors.push({ name: `${op.toLowerCase()}_${this.#tensors.length}`, ...output }) - 1
    const inputs = order === 'constants-first' ? [...added, this.#last] : [this.#last, ...added]
    this.#operators.push({ op, inputs, outputs: [result], options: options ?? {} })
    this.#last = result
    return this
  }

  model(): ModelSpec {
    return { tensors: this.#tensors, operators: this.#operators, inputs: [0], outputs: [this.#last] }
  }
}

const int32 = (name: string, ...values: readonly number[]): TensorSpec => ({
  name,
  type: 'int32',
  shape: [values.length],
  data: Int32Array.from(values),
})
const weights = (name: string, ...shape: readonly number[]): TensorSpec => ({
  name,
  shape,
  data: noise(shape.reduce((product, size) => product * size, 1)),
})
const same = { 0: { byte: 0 } }
const valid = { 0: { byte: 1 } }

export const tfliteModels: Readonly<Record<string, ModelSpec>> = {
  /** SAME padding puts the odd pixel behind; Relu6 is inside the operator; depthwise with a multiplier and dilation. */
  convolutions: new Chain({ shape: [1, 9, 8, 3] })
    .add(
      'CONV_2D',
      { shape: [1, 5, 4, 4] },
      {
        constants: [weights('w1', 4, 3, 3, 3), weights('b1', 4)],
        options: { ...same, 1: { int: 2 }, 2: { int: 2 }, 3: { byte: 3 } },
      },
    )
    .add(
      'DEPTHWISE_CONV_2D',
      { shape: [1, 5, 4, 8] },
      {
        constants: [weights('w2', 1, 3, 3, 8), weights('b2', 8)],
        options: { ...same, 1: { int: 1 }, 2: { int: 1 }, 3: { int: 2 }, 4: { byte: 1 }, 5: { int: 2 }, 6: { int: 1 } },
      },
    )
    .add(
      'AVERAGE_POOL_2D',
      { shape: [1, 3, 2, 8] },
      {
        options: { ...same, 1: { int: 2 }, 2: { int: 2 }, 3: { int: 3 }, 4: { int: 3 } },
      },
    )
    .add(
      'MAX_POOL_2D',
      { shape: [1, 2, 1, 8] },
      {
        options: { ...valid, 1: { int: 1 }, 2: { int: 1 }, 3: { int: 2 }, 4: { int: 2 } },
      },
    )
    .add(
      'FULLY_CONNECTED',
      { shape: [1, 5] },
      {
        constants: [weights('w3', 5, 16), weights('b3', 5)],
        options: { 0: { byte: 0 } },
      },
    )
    .add('SOFTMAX', { shape: [1, 5] }, { options: { 0: { float: 0.5 } } })
    .model(),
  transposeConvolution: new Chain({ shape: [1, 4, 5, 3] })
    .add(
      'TRANSPOSE_CONV',
      { shape: [1, 8, 9, 2] },
      {
        constants: [int32('size', 1, 8, 9, 2), weights('w', 2, 3, 3, 3)],
        options: { ...same, 1: { int: 2 }, 2: { int: 2 } },
        order: 'constants-first',
      },
    )
    .model(),
  bilinearHalfPixel: new Chain({ shape: [1, 4, 5, 2] })
    .add('RESIZE_BILINEAR', { shape: [1, 7, 9, 2] }, { constants: [int32('size', 7, 9)], options: { 3: { byte: 1 } } })
    .model(),
  bilinearAligned: new Chain({ shape: [1, 4, 5, 2] })
    .add('RESIZE_BILINEAR', { shape: [1, 7, 9, 2] }, { constants: [int32('size', 7, 9)], options: { 2: { byte: 1 } } })
    .model(),
  bilinearAsymmetric: new Chain({ shape: [1, 4, 5, 2] })
    .add('RESIZE_BILINEAR', { shape: [1, 8, 10, 2] }, { constants: [int32('size', 8, 10)] })
    .model(),
  nearestHalfPixel: new Chain({ shape: [1, 4, 5, 2] })
    .add(
      'RESIZE_NEAREST_NEIGHBOR',
      { shape: [1, 7, 9, 2] },
      { constants: [int32('size', 7, 9)], options: { 1: { byte: 1 } } },
    )
    .model(),
  nearestAsymmetric: new Chain({ shape: [1, 4, 5, 2] })
    .add('RESIZE_NEAREST_NEIGHBOR', { shape: [1, 7, 9, 2] }, { constants: [int32('size', 7, 9)] })
    .model(),
  movements: new Chain({ shape: [1, 5, 6, 3] })
    .add(
      'PAD',
      { shape: [1, 7, 7, 3] },
      { constants: [{ name: 'pads', type: 'int32', shape: [4, 2], data: Int32Array.of(0, 0, 1, 1, 0, 1, 0, 0) }] },
    )
    .add(
      'STRIDED_SLICE',
      { shape: [7, 3, 3] },
      {
        constants: [int32('begin', 0, 0, 1, 0), int32('end', 1, 0, 7, 0), int32('strides', 1, 1, 2, 1)],
        options: { 0: { int: 0b1010 }, 1: { int: 0b1010 }, 4: { int: 0b0001 } },
      },
    )
    .add('TRANSPOSE', { shape: [3, 7, 3] }, { constants: [int32('perm', 2, 0, 1)] })
    .add('SLICE', { shape: [2, 7, 2] }, { constants: [int32('from', 1, 0, 1), int32('sizes', 2, -1, -1)] })
    .add('RESHAPE', { shape: [1, 2, 14] }, { constants: [int32('shape', 1, 2, -1)] })
    .add('MEAN', { shape: [1, 1, 14] }, { constants: [int32('axes', 1)], options: { 0: { byte: 1 } } })
    .add('SQUEEZE', { shape: [1, 14] }, { options: { 0: { ints: [1] } } })
    .model(),
  blocks: new Chain({ shape: [1, 4, 4, 8] })
    .add('DEPTH_TO_SPACE', { shape: [1, 8, 8, 2] }, { options: { 0: { int: 2 } } })
    .add('SQUARE', { shape: [1, 8, 8, 2] })
    .add('SPACE_TO_DEPTH', { shape: [1, 2, 2, 32] }, { options: { 0: { int: 4 } } })
    .model(),
  functions: new Chain({ shape: [1, 24] })
    .add('HARD_SWISH', { shape: [1, 24] })
    .add('GELU', { shape: [1, 24] })
    .add('LEAKY_RELU', { shape: [1, 24] }, { options: { 0: { float: 0.1 } } })
    .add('SQUARED_DIFFERENCE', { shape: [1, 24] }, { constants: [weights('c', 1, 24)] })
    .add(
      'ADD',
      { shape: [1, 24] },
      { constants: [{ name: 'one', shape: [1], data: Float32Array.of(1) }], options: { 0: { byte: 0 } } },
    )
    .add('RSQRT', { shape: [1, 24] })
    .add('L2_NORMALIZATION', { shape: [1, 24] }, { options: { 0: { byte: 0 } } })
    .add('LOG_SOFTMAX', { shape: [1, 24] })
    .model(),
  /** One scale for each tensor with zero points on both sides, as before 2019. */
  uint8: new Chain({ type: 'uint8', shape: [1, 8, 8, 3], scale: [1 / 128], zeroPoint: [128] })
    .add(
      'CONV_2D',
      { type: 'uint8', shape: [1, 4, 4, 8], scale: [6 / 255], zeroPoint: [0] },
      {
        constants: [
          {
            name: 'w',
            type: 'uint8',
            shape: [8, 3, 3, 3],
            data: Uint8Array.from(levels(216, 0, 255)),
            scale: [0.01],
            zeroPoint: [131],
          },
          {
            name: 'b',
            type: 'int32',
            shape: [8],
            data: Int32Array.from(levels(8, -9000, 9000)),
            scale: [0.01 / 128],
            zeroPoint: [0],
          },
        ],
        options: { ...same, 1: { int: 2 }, 2: { int: 2 }, 3: { byte: 3 } },
      },
    )
    .add(
      'AVERAGE_POOL_2D',
      { type: 'uint8', shape: [1, 1, 1, 8], scale: [6 / 255], zeroPoint: [0] },
      {
        options: { ...valid, 1: { int: 1 }, 2: { int: 1 }, 3: { int: 4 }, 4: { int: 4 } },
      },
    )
    .add(
      'RESHAPE',
      { type: 'uint8', shape: [1, 8], scale: [6 / 255], zeroPoint: [0] },
      { constants: [int32('shape', 1, 8)] },
    )
    .add(
      'SOFTMAX',
      { type: 'uint8', shape: [1, 8], scale: [1 / 256], zeroPoint: [0] },
      { options: { 0: { float: 1 } } },
    )
    .model(),
  /** One scale for each channel, as the converter writes today. */
  int8: new Chain({ type: 'int8', shape: [1, 8, 8, 4], scale: [1 / 127], zeroPoint: [-1] })
    .add(
      'DEPTHWISE_CONV_2D',
      { type: 'int8', shape: [1, 8, 8, 4], scale: [0.03], zeroPoint: [5] },
      {
        constants: [
          {
            name: 'w',
            type: 'int8',
            shape: [1, 3, 3, 4],
            data: Int8Array.from(levels(36, -127, 127)),
            scale: [0.01, 0.02, 0.005, 0.015],
            axis: 3,
          },
          {
            name: 'b',
            type: 'int32',
            shape: [4],
            data: Int32Array.from(levels(4, -3000, 3000)),
            scale: [0.01, 0.02, 0.005, 0.015].map((s) => s / 127),
          },
        ],
        options: { ...same, 1: { int: 1 }, 2: { int: 1 }, 3: { int: 1 } },
      },
    )
    .add('MEAN', { type: 'int8', shape: [1, 4], scale: [0.03], zeroPoint: [5] }, { constants: [int32('axes', 1, 2)] })
    .add(
      'FULLY_CONNECTED',
      { type: 'int8', shape: [1, 6], scale: [0.02], zeroPoint: [-4] },
      {
        constants: [
          { name: 'w2', type: 'int8', shape: [6, 4], data: Int8Array.from(levels(24, -127, 127)), scale: [0.01] },
          { name: 'b2', type: 'int32', shape: [6], data: Int32Array.from(levels(6, -500, 500)), scale: [0.0003] },
        ],
        options: { 0: { byte: 0 } },
      },
    )
    .model(),
}

/** The input of a model for the comparison: a slow wave, or levels for an 8-bit input. */
export function inputOf({ tensors }: ModelSpec): Float32Array | Uint8Array | Int8Array {
  const { type, shape } = tensors[0]!
  const length = shape.reduce((product, size) => product * size, 1)
  const wave = (i: number): number => Math.sin(i * 0.7) + 0.3 * Math.sin(i * 2.3)
  if (type === 'uint8') return Uint8Array.from({ length }, (_, i) => 128 + Math.round(90 * wave(i)))
  if (type === 'int8') return Int8Array.from({ length }, (_, i) => Math.round(90 * wave(i)))
  return Float32Array.from({ length }, (_, i) => wave(i))
}
