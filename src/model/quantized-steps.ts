/**
 * The rows of the step table that compute on integers. Their arithmetic is onnxruntime's.
 *
 * They compute on bytes of type int8 or uint8. A byte q of a tensor stands for scale · (q - zeroPoint); both are
 * the tensor's own. All bytes of a step have one type. The arithmetic is exact, so every target gives the same bits:
 *
 * - sum = Σ (x - zero of x) · (w - zero of w) + bias, in int32. Padding is the zero point.
 * - rounded(sum, m) = round(float32(sum) · m), to the nearest, ties to even, one float32 product (no fused operation).
 * - Of a convolution or a dense layer, m = scales[o] = (scale of x · scale of w[o]) / scale of y, in this order in float32.
 *   Without a residual y = clamp(rounded(sum, m) + zero of y, low, high).
 * - With a residual r, m ends in 1 / middleScale: q = clamp(rounded(sum, m) + middleZero, middleLow, middleHigh), then
 *   y is the sum of q and r, or with residualFirst 1 that of r and q.
 * - The sum of a and b is y = clamp(round(fused(a, p, fused(b, q, k))), low, high) with p = scale of a / scale of y,
 *   q = scale of b / scale of y and k = zero of y - fused(p, zero of a, q · zero of b), in float32. Here
 *   fused(x, y, z) = x · y + z with one rounding, and all bytes, zero points and limits are numbers from 0 to 255: int8 is
 *   moved by 128. This is what onnxruntime does with uint8 on x64. Its sum on arm64 is another one, with multipliers of 22
 *   bits, and so is its sum of int8 on x64, which is in real numbers.
 * - pooled = clamp(rounded(Σ (y - zero of y), scale of y / (scale of pooled · H·W)) + zero of pooled) to its type's range.
 *
 * Weights are int8 or uint8. Their zero point is 0 if they are int8. A bias is clamped when the plan is opened, so that no
 * sum wraps (native/plan/bias.h).
 */
import { constant, expandWindow, packed, tensor, value, window, type StepRow, type StepTensor } from './step-row.js'

const quantized = (name: string): StepTensor => tensor(name, 'value', 'int8', 'uint8')

/** Weights of an integer step, the int32 bias and the float32 multipliers, named as the weights: `projectWeights?`. */
function packedIntegers(weights: string): readonly StepTensor[] {
  const prefix = weights.replace(/weights\??$/i, '')
  const named = (name: string): string => (prefix === '' ? name : prefix + name[0]?.toUpperCase() + name.slice(1))
  const mark = weights.endsWith('?') ? '?' : ''
  return [packed(weights, 'int8', 'uint8'), packed(named('bias?'), 'int32'), packed(named(`scales${mark}`), 'float32')]
}

/** The range of the bytes of y, after the zero point. A relu or clip ends here. */
const range = { low: 'i', high: 'i' } as const
/** The bytes between a sum and the addition of the residual: their scale, zero point and range. */
const middle = { middleScale: 'f', middleZero: 'i', middleLow: 'i', middleHigh: 'i', residualFirst: 'u' } as const

/** The integer rows by kind, in the order of their numbers. */
export const quantizedSteps = {
  /** y = clamp(round(x / scale) + zero point) to the range of y's type, ties to even. A NaN gives the zero point. */
  quantize: { inputs: [value('x')], outputs: [quantized('y')], parameters: {} },
  /** y = (x - zero point) · scale. */
  dequantize: { inputs: [quantized('x')], outputs: [value('y')], parameters: {} },
  /** A convolution of bytes. Shapes as conv2d; scales [O]. y is required: pooled has its mean. */
  qconv2d: {
    inputs: [quantized('x'), ...packedIntegers('weights'), quantized('residual?')],
    outputs: [quantized('y'), quantized('pooled?')],
    parameters: { ...window, groups: 'u', ...range, ...middle },
  },
  /** A matrix product of bytes. Shapes as dense; scales [N]. */
  qdense: {
    inputs: [quantized('x'), ...packedIntegers('weights'), quantized('residual?')],
    outputs: [quantized('y')],
    parameters: { transposed: 'u', ...range, ...middle },
  },
  /**
   * y = op(x, z) of bytes, broadcast as binary. add: the sum of x and z. mul: the product of x - zero and z - zero, times
   * m = (scale of x · scale of z) / scale of y, plus the zero of y as a number from 0 to 255, rounded after that. No other
   * operation is allowed.
   */
  qbinary: {
    inputs: [quantized('x'), quantized('z')],
    outputs: [quantized('y')],
    parameters: { op: 'e:binary', ...range },
    inPlace: true,
  },
  /** y = table[x], element by element. The index is the byte of x as an unsigned number, the value is the byte of y. */
  lookup: {
    inputs: [quantized('x'), constant('table', 'uint8')],
    outputs: [quantized('y')],
    parameters: {},
    inPlace: true,
  },
  /**
   * The average of pool2d in real numbers, each operation in float32: (Σ scale of x · (x - zero of x)) / count, row by row,
   * then / scale of y, plus the zero of y as a number from 0 to 255, rounded after that.
   */
  qpool2d: {
    inputs: [quantized('x')],
    outputs: [quantized('y')],
    parameters: { ...window, countPadding: 'u', ...range },
  },
  /** The mean of reduce: Σ (x - zero of x), rounded with m = scale of x / (scale of y · length). */
  qreduce: {
    inputs: [quantized('x')],
    outputs: [quantized('y')],
    parameters: { outer: 'u', length: 'u', inner: 'u', ...range },
  },
  /**
   * A chain of bytes, always with a depthwise window; shapes as chain, and scales for each of its convolutions. The bytes
   * of the expansion and of the window have the type of x, and a zero point and range of their own. The last convolution
   * (the projection, or else the window) has low, high and the middle; windowZero to windowHigh are then not read. pooled
   * is allowed only without a projection.
   */
  qchain: {
    inputs: [
      quantized('x'),
      ...packedIntegers('weights?'),
      ...packedIntegers('expandWeights?'),
      ...packedIntegers('projectWeights?'),
      quantized('residual?'),
    ],
    outputs: [quantized('y'), quantized('pooled?')],
    parameters: {
      op: 'e:window',
      ...window,
      ...expandWindow,
      expandZero: 'i',
      expandLow: 'i',
      expandHigh: 'i',
      windowZero: 'i',
      windowLow: 'i',
      windowHigh: 'i',
      ...range,
      ...middle,
    },
  },
} as const satisfies Record<string, StepRow>
