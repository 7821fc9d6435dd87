/** Convolutions, dense layers and pools. TFLite's weights are [out, height, width, in]; ONNX's are [out, in, height, width]. */
import {
  activated,
  autoPad,
  channelsFirst,
  indexOf,
  input,
  inputShape,
  optionalInput,
  optionsOf,
  outputShape,
  paddingOf,
  unsupported,
  type Converter,
  type Operands,
} from './converter.js'

const toOnnxWeights = [0, 3, 1, 2]

/** Strides, dilations and padding of a convolution. `at` is the field of the horizontal dilation in the options. */
function windowAttributes(
  operands: Operands,
  at: number,
): {
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly auto_pad?: string
  readonly pads?: readonly number[]
} {
  const options = optionsOf(operands)
  const [strides, dilations] = [
    [options.int(2), options.int(1)],
    [options.int(at + 1, 1), options.int(at, 1)],
  ]
  const padding = paddingOf(options, 0)
  if (padding === 'VALID' || dilations.every((dilation) => dilation === 1))
    return { strides, dilations, auto_pad: autoPad(padding) }
  // onnxruntime refuses SAME_UPPER together with a dilation.
  const [picture, kernel] = [inputShape(operands, 0).slice(1, 3), inputShape(operands, 1).slice(1, 3)]
  const missing = picture.map((size, axis) => {
    const reach = (kernel[axis]! - 1) * dilations[axis]! + 1
    return Math.max(0, (Math.ceil(size / strides[axis]!) - 1) * strides[axis]! + reach - size)
  })
  const before = missing.map((count) => Math.floor(count / 2))
  return { strides, dilations, pads: [...before, ...missing.map((count, axis) => count - before[axis]!)] }
}

const conv2d: Converter = (operands) => {
  const options = optionsOf(operands)
  const { builder } = operands
  const [channels, depth] = [inputShape(operands, 0)[3] ?? 0, inputShape(operands, 1)[3] ?? 0]
  if (depth === 0 || channels % depth !== 0)
    throw unsupported(operands, `its weights have ${depth} channels for ${channels}`)
  const inputs = [builder.permuted(indexOf(operands, 1), toOnnxWeights), ...optionalInput(operands, 2)]
  const y = channelsFirst(operands, input(operands, 0), (picture) =>
    builder.node('Conv', [picture, ...inputs], {
      ...windowAttributes(operands, 4),
      group: channels / depth,
    }),
  )
  return [activated(operands, y, options.byte(3))]
}

/** Weights [1, height, width, channels · multiplier]: output c · multiplier + k comes from input c, as with ONNX's groups. */
const depthwiseConv2d: Converter = (operands) => {
  const options = optionsOf(operands)
  const { builder } = operands
  const inputs = [builder.permuted(indexOf(operands, 1), [3, 0, 1, 2]), ...optionalInput(operands, 2)]
  const y = channelsFirst(operands, input(operands, 0), (picture) =>
    builder.node('Conv', [picture, ...inputs], {
      ...windowAttributes(operands, 5),
      group: inputShape(operands, 0)[3] ?? 0,
    }),
  )
  return [activated(operands, y, options.byte(4))]
}

interface TransposedConvolution {
  /** Which inputs are the picture, the weights [out, height, width, in] and the bias, which may be absent. */
  readonly at: { readonly picture: number; readonly weights: number; readonly bias: number }
  /** Vertical and horizontal. */
  readonly strides: readonly [number, number]
  readonly isSame: boolean
}

function transposedConvolution(operands: Operands, { at, strides, isSame }: TransposedConvolution): string {
  const { builder } = operands
  const [, height = 0, width = 0] = outputShape(operands)
  const [, inHeight = 0, inWidth = 0] = inputShape(operands, at.picture)
  const [, kernelHeight = 0, kernelWidth = 0] = inputShape(operands, at.weights)
  const along = (
    out: number,
    size: number,
    kernel: number,
    stride: number,
  ): { before: number; after: number; extra: number } => {
    const full = (size - 1) * stride + kernel
    const cut = isSame ? Math.max(full - out, 0) : 0
    return { before: Math.floor(cut / 2), after: cut - Math.floor(cut / 2), extra: out - (full - cut) }
  }
  const [y, x] = [along(height, inHeight, kernelHeight, strides[0]), along(width, inWidth, kernelWidth, strides[1])]
  const weights = builder.permuted(indexOf(operands, at.weights), [3, 0, 1, 2])
  return channelsFirst(operands, input(operands, at.picture), (picture) =>
    builder.node('ConvTranspose', [picture, weights, ...optionalInput(operands, at.bias)], {
      strides,
      pads: [y.before, x.before, y.after, x.after],
      output_padding: [y.extra, x.extra],
    }),
  )
}

/** Inputs: the output's shape, weights, the picture, a bias. */
const transposeConv: Converter = (operands) => {
  const options = optionsOf(operands)
  const result = transposedConvolution(operands, {
    at: { picture: 2, weights: 1, bias: 3 },
    strides: [options.int(2), options.int(1)],
    isSame: paddingOf(options, 0) === 'SAME',
  })
  return [activated(operands, result, options.byte(3))]
}

/** MediaPipe's own operator. Its options are C's TfLiteTransposeConvParams: padding (1 is SAME), strides across and down. */
const transposeConvBias: Converter = (operands) => {
  const { buffer, byteOffset, byteLength } = operands.operator.customOptions
  if (byteLength < 12) throw unsupported(operands, 'its options are cut off')
  const options = new DataView(buffer, byteOffset, byteLength)
  const [padding, across, down] = [0, 4, 8].map((at) => options.getInt32(at, true)) as [number, number, number]
  const at = { picture: 0, weights: 1, bias: 2 }
  return [transposedConvolution(operands, { at, strides: [down, across], isSame: padding === 1 })]
}

/** Weights [out, in]. The input is a matrix, or becomes one unless the options keep its dimensions. */
const fullyConnected: Converter = (operands) => {
  const options = optionsOf(operands)
  const { builder } = operands
  if (options.byte(1) !== 0) throw unsupported(operands, 'its weights are shuffled for one processor')
  const depth = inputShape(operands, 1)[1] ?? 0
  const isMatrix = inputShape(operands, 0).length === 2
  const x = isMatrix ? input(operands, 0) : builder.node('Reshape', [input(operands, 0), builder.ints([-1, depth])])
  const y = builder.node('Gemm', [x, input(operands, 1), ...optionalInput(operands, 2)], { transB: 1 })
  const shape = outputShape(operands)
  const reshaped = shape.length === 2 ? y : builder.node('Reshape', [y, builder.ints(shape)])
  return [activated(operands, reshaped, options.byte(0))]
}

function pool(op: 'AveragePool' | 'MaxPool'): Converter {
  return (operands) => {
    const options = optionsOf(operands)
    const y = channelsFirst(operands, input(operands, 0), (picture) =>
      operands.builder.node(op, [picture], {
        auto_pad: autoPad(paddingOf(options, 0)),
        strides: [options.int(2), options.int(1)],
        kernel_shape: [options.int(4), options.int(3)],
      }),
    )
    return [activated(operands, y, options.byte(5))]
  }
}

const batchMatmul: Converter = (operands) => {
  const [isXTransposed, isYTransposed] = [operands.operator.options?.bool(0), operands.operator.options?.bool(1)]
  const side = (at: number, isTransposed: boolean | undefined): string => {
    const rank = inputShape(operands, at).length
    if (rank < 2) throw unsupported(operands, `an operand has rank ${rank}`)
    const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2]
    return isTransposed ? operands.builder.node('Transpose', [input(operands, at)], { perm }) : input(operands, at)
  }
  return [operands.builder.node('MatMul', [side(0, isXTransposed), side(1, isYTransposed)])]
}

/** TFLite divides α by nothing, ONNX by the window's size: `size = 2 · radius + 1`. */
const localResponseNormalization: Converter = (operands) => {
  const options = optionsOf(operands)
  const size = 2 * options.int(0) + 1
  return [
    channelsFirst(operands, input(operands, 0), (picture) =>
      operands.builder.node('LRN', [picture], {
        size,
        bias: options.float(1),
        alpha: options.float(2) * size,
        beta: options.float(3),
      }),
    ),
  ]
}

function blocks(op: 'DepthToSpace' | 'SpaceToDepth'): Converter {
  return (operands: Operands) => {
    const blocksize = optionsOf(operands).int(0)
    return [
      channelsFirst(operands, input(operands, 0), (picture) => operands.builder.node(op, [picture], { blocksize })),
    ]
  }
}

export const convolutions: Readonly<Record<string, Converter>> = {
  CONV_2D: conv2d,
  DEPTHWISE_CONV_2D: depthwiseConv2d,
  TRANSPOSE_CONV: transposeConv,
  'CUSTOM Convolution2DTransposeBias': transposeConvBias,
  FULLY_CONNECTED: fullyConnected,
  AVERAGE_POOL_2D: pool('AveragePool'),
  MAX_POOL_2D: pool('MaxPool'),
  BATCH_MATMUL: batchMatmul,
  LOCAL_RESPONSE_NORMALIZATION: localResponseNormalization,
  DEPTH_TO_SPACE: blocks('DepthToSpace'),
  SPACE_TO_DEPTH: blocks('SpaceToDepth'),
}
