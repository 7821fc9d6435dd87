/** Small TFLite models of forms that MediaPipe's files use: sparse weights, and an operator of its own. */
import { Random } from '../../random.js'
import type { ModelSpec, TableFields, TensorSpec } from './tflite-builder.js'

const random = new Random(12)
const weights = (name: string, ...shape: readonly number[]): TensorSpec => ({
  name,
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => random.next() * 2 - 1),
})

/** DimensionMetadata of a level that has all indices, and of one that lists them (CSR). */
const dense = (size: number): TableFields => ({ 1: { int: size } })
type Indices =
  | { readonly ints: readonly number[] }
  | { readonly shorts: readonly number[] }
  | { readonly bytes: readonly number[] }
function csr(segments: Indices, indices: Indices): TableFields {
  const type = (values: Indices): TableFields[number] => ({ byte: 'ints' in values ? 1 : 'shorts' in values ? 2 : 3 })
  const table = (values: Indices): TableFields[number] => ({
    table: { 0: 'bytes' in values ? { bytes: Uint8Array.from(values.bytes) } : values },
  })
  return { 0: { byte: 1 }, 2: type(segments), 3: table(segments), 4: type(indices), 5: table(indices) }
}

export const mediapipeModels: Readonly<Record<string, ModelSpec>> = {
  /** MediaPipe's own operator: SAME, strides 2 across and 3 down. */
  transposeConvolutionBias: {
    tensors: [
      { name: 'input', shape: [1, 4, 5, 3] },
      weights('w', 2, 3, 3, 3),
      weights('b', 2),
      { name: 'output', shape: [1, 12, 10, 2] },
    ],
    operators: [
      {
        op: 'Convolution2DTransposeBias',
        inputs: [0, 1, 2],
        outputs: [3],
        customOptions: new Uint8Array(Int32Array.of(1, 2, 3).buffer),
      },
    ],
    inputs: [0],
    outputs: [3],
  },
  /** A convolution with sparse channels, and a dense layer whose weights are kept in blocks of two rows and four columns. */
  sparse: {
    tensors: [
      { name: 'input', shape: [1, 2, 2, 8] },
      {
        ...weights('w1', 7),
        shape: [3, 1, 1, 8],
        sparsity: {
          0: { ints: [0, 1, 2, 3] },
          2: {
            tables: [dense(3), dense(1), dense(1), csr({ shorts: [0, 3, 3, 7] }, { bytes: [1, 2, 7, 0, 3, 4, 6] })],
          },
        },
      },
      { name: 'dense1', shape: [3, 1, 1, 8] },
      weights('b1', 3),
      { name: 'map', shape: [1, 2, 2, 3] },
      {
        ...weights('w2', 24),
        shape: [4, 12],
        sparsity: {
          0: { ints: [0, 1, 2, 3] },
          1: { ints: [0, 1] },
          2: { tables: [dense(2), csr({ ints: [0, 1, 3] }, { ints: [2, 0, 1] }), dense(2), dense(4)] },
        },
      },
      { name: 'dense2', shape: [4, 12] },
      { name: 'scores', shape: [1, 4] },
    ],
    operators: [
      { op: 'DENSIFY', inputs: [1], outputs: [2], options: {} },
      { op: 'CONV_2D', inputs: [0, 2, 3], outputs: [4], options: { 0: { byte: 0 }, 1: { int: 1 }, 2: { int: 1 } } },
      { op: 'DENSIFY', inputs: [5], outputs: [6], options: {} },
      { op: 'FULLY_CONNECTED', inputs: [4, 6, -1], outputs: [7], options: { 0: { byte: 0 } } },
    ],
    inputs: [0],
    outputs: [7],
  },
}
