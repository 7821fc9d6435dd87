/**
 * The steps of a plan: one row a kind, with its tensors and its parameters in order. This table is the contract with
 * the native side; `scripts/build/steps.mjs` writes native/kernels/steps.h from it, and a test demands that the
 * two agree. Add at the end only: a kind's number is its place.
 *
 * Tensors are dense, row-major, float32 unless said otherwise, images in NHWC order. `?` marks an optional tensor.
 */

/** Element-wise functions, as a step of their own and as the activation at the end of others. a, b are parameters. */
export const elementwiseOps = [
  'none', // x
  'relu', // max(x, 0)
  'clip', // min(max(x, a), b)
  'leakyRelu', // x < 0 ? a x : x
  'sigmoid', // 1 / (1 + exp(-x))
  'hardSigmoid', // min(max(a x + b, 0), 1)
  'hardSwish', // x min(max(x / 6 + 1/2, 0), 1)
  'tanh',
  'elu', // x < 0 ? a (exp(x) - 1) : x
  'silu', // x / (1 + exp(-x))
  'gelu', // x (1 + erf(x / sqrt 2)) / 2
  'geluTanh', // x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2
  'softplus', // log(1 + exp(x))
  'exp',
  'sqrt',
  'erf',
  'log',
  'abs',
  'neg',
  'reciprocal',
  'floor',
  'ceil',
  'affine', // a x + b
  'power', // x ^ a
  'selu', // b (x < 0 ? a (exp(x) - 1) : x)
  'softsign', // x / (1 + |x|)
] as const
export type ElementwiseOp = (typeof elementwiseOps)[number]

/** Two operands with ONNX's (numpy's) multidirectional broadcasting. */
export const binaryOps = ['add', 'sub', 'mul', 'div', 'max', 'min', 'pow', 'prelu'] as const
export type BinaryOp = (typeof binaryOps)[number]

export const poolOps = ['max', 'average'] as const
export type PoolOp = (typeof poolOps)[number]

export const windowOps = ['depthwise', 'max'] as const
export type WindowOp = (typeof windowOps)[number]

export const reduceOps = ['mean', 'sum', 'max', 'min', 'l1', 'l2', 'sumSquare', 'prod'] as const
export type ReduceOp = (typeof reduceOps)[number]

/** How a parameter travels: 'i' a signed and 'u' an unsigned 32-bit word, 'f' a float32, 'i5' five words, 'e:…' the index in that list. */
type ParameterType = 'i' | 'u' | 'f' | 'i5' | 'u5' | 'e:elementwise' | 'e:binary' | 'e:pool' | 'e:window' | 'e:reduce'

interface StepRow {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly parameters: Readonly<Record<string, ParameterType>>
}

const activation = { activation: 'e:elementwise', a: 'f', b: 'f' } as const
const window = {
  kernelH: 'u',
  kernelW: 'u',
  strideH: 'u',
  strideW: 'u',
  padTop: 'u',
  padLeft: 'u',
  padBottom: 'u',
  padRight: 'u',
  dilationH: 'u',
  dilationW: 'u',
} as const

export const stepTable = {
  /**
   * y = activation(conv(x, weights) + bias + residual); pooled = mean of y over H and W.
   * x [N,H,W,C] · weights constant [O,C/groups,kernelH,kernelW] as ONNX stores them · bias constant [O] ·
   * residual and y [N,OH,OW,O] · pooled [N,1,1,O]. At least one of y and pooled is there. OH, OW are those of y or,
   * without y, floor((H + pads - dilated kernel) / stride) + 1; padBottom and padRight may exceed what is read.
   */
  conv2d: {
    inputs: ['x', 'weights', 'bias?', 'residual?'],
    outputs: ['y?', 'pooled?'],
    parameters: { ...window, groups: 'u', ...activation },
  },
  /**
   * y = activation(x · weights + bias + residual). x [M,K] (any rank; M is the product of all but the last size) ·
   * weights constant [K,N], or [N,K] with transposed = 1 · bias constant [N] · residual, y [M,N] (any rank).
   */
  dense: {
    inputs: ['x', 'weights', 'bias?', 'residual?'],
    outputs: ['y'],
    parameters: { transposed: 'u', ...activation },
  },
  /** x [N,H,W,C], y [N,OH,OW,C]; the sizes of y are the truth (ceil_mode). Averages count padding if countPadding. */
  pool2d: { inputs: ['x'], outputs: ['y'], parameters: { op: 'e:pool', ...window, countPadding: 'u' } },
  /** x [outer,length,inner] → y [outer,1,inner], over the middle. GAP is mean with outer = N, length = H·W, inner = C. */
  reduce: { inputs: ['x'], outputs: ['y'], parameters: { op: 'e:reduce', outer: 'u', length: 'u', inner: 'u' } },
  /** y = op(x), as many elements. y may be the same memory as x. */
  elementwise: { inputs: ['x'], outputs: ['y'], parameters: { ...activation } },
  /** y = activation(op(x, z)) with broadcasting of both to y's shape. y may be the memory of x or z where they have y's shape. */
  binary: { inputs: ['x', 'z'], outputs: ['y'], parameters: { op: 'e:binary', ...activation } },
  /** Softmax, or its logarithm, over the middle of [outer,length,inner]. */
  softmax: { inputs: ['x'], outputs: ['y'], parameters: { logarithm: 'u', outer: 'u', length: 'u', inner: 'u' } },
  /** y = x / ‖x‖ₚ over the middle of [outer,length,inner]; p is 1 or 2; a zero norm gives zeros. */
  lpNormalization: { inputs: ['x'], outputs: ['y'], parameters: { p: 'u', outer: 'u', length: 'u', inner: 'u' } },
  /** Across channels, the last dimension: y = x / (bias + alpha/size · Σ x²)^beta over size neighbours (ONNX LRN). */
  lrn: { inputs: ['x'], outputs: ['y'], parameters: { size: 'u', alpha: 'f', beta: 'f', bias: 'f' } },
  /**
   * Any transpose, slice, pad or expand: for each index i of `size` (5 loops, unused ones 1),
   * y[outOffset + Σ i·outStride] = x[inOffset + Σ i·inStride], strides and offsets in elements, input strides of any
   * sign or 0. With fill = 1 all of y is first set to `value`; with 0 the loops must cover all of y.
   */
  copy: {
    inputs: ['x'],
    outputs: ['y'],
    parameters: { size: 'u5', inStride: 'i5', outStride: 'i5', inOffset: 'u', outOffset: 'u', fill: 'u', value: 'f' },
  },
  /**
   * Inputs [outer, length_i] one after the other in each row, dealt out by `groups` as a channel shuffle does (element
   * i·L/groups + j goes to j·groups + i; 1 leaves the order), and cut into outputs [outer, length_o] in their order;
   * 1 to 255 of each.
   */
  concat: { inputs: ['x...'], outputs: ['y...'], parameters: { outer: 'u', groups: 'u' } },
  /**
   * A sparse linear map along one axis: y[o,j,i] = Σ_t weights[j·taps+t] · x[o, indices[j·taps+t], i].
   * x [outer,inLength,inner], y [outer,outLength,inner], indices constant int32, weights constant float32, both
   * [outLength,taps]. A nearest resize, a gather, an edge or reflect pad have one tap; a linear resize has two.
   */
  resample: {
    inputs: ['x', 'indices', 'weights'],
    outputs: ['y'],
    parameters: { outer: 'u', inLength: 'u', outLength: 'u', taps: 'u', inner: 'u' },
  },
  /**
   * A window with the convolutions around it, computed strip by strip so that what lies between them never exists as a
   * whole: y = project(window(expand(x))) + residual, each with its activation; a residual comes before the last one.
   * x [N,H,W,C] · weights constant [M,1,kernelH,kernelW] and bias [M] of a depthwise window, absent with a maximum, which
   * has no activation · expandWeights constant [M,C,expandKernelH,expandKernelW], absent where M = C · projectWeights
   * constant [O,M,1,1], absent where O = M · residual, y [N,OH,OW,O] · pooled [N,1,1,O], the mean of y over H and W, only
   * without a projection.
   */
  chain: {
    inputs: ['x', 'weights?', 'bias?', 'expandWeights?', 'expandBias?', 'projectWeights?', 'projectBias?', 'residual?'],
    outputs: ['y', 'pooled?'],
    parameters: {
      op: 'e:window',
      ...window,
      ...activation,
      expandKernelH: 'u',
      expandKernelW: 'u',
      expandStrideH: 'u',
      expandStrideW: 'u',
      expandPadTop: 'u',
      expandPadLeft: 'u',
      expandPadBottom: 'u',
      expandPadRight: 'u',
      expandDilationH: 'u',
      expandDilationW: 'u',
      expandActivation: 'e:elementwise',
      expandA: 'f',
      expandB: 'f',
      projectActivation: 'e:elementwise',
      projectA: 'f',
      projectB: 'f',
    },
  },
  /**
   * y = activation(x · z) for each of `batches`, both computed at run time, as in attention. x [batches,rows,depth] ·
   * z [batches,depth,columns] · y [batches,rows,columns]. An x or z of one batch serves all of them.
   */
  product: {
    inputs: ['x', 'z'],
    outputs: ['y'],
    parameters: { batches: 'u', rows: 'u', depth: 'u', columns: 'u', ...activation },
  },
} as const satisfies Record<string, StepRow>

export type StepKind = keyof typeof stepTable
export const stepKinds = Object.keys(stepTable) as readonly StepKind[]

type ValueOf<T extends ParameterType> = T extends 'e:elementwise'
  ? ElementwiseOp
  : T extends 'e:binary'
    ? BinaryOp
    : T extends 'e:pool'
      ? PoolOp
      : T extends 'e:window'
        ? WindowOp
        : T extends 'e:reduce'
          ? ReduceOp
          : T extends 'i5' | 'u5'
            ? readonly [number, number, number, number, number]
            : number

/** The parameters of a kind, by name. */
export type StepParameters<K extends StepKind> = {
  readonly [P in keyof (typeof stepTable)[K]['parameters']]: (typeof stepTable)[K]['parameters'][P] extends ParameterType
    ? ValueOf<(typeof stepTable)[K]['parameters'][P]>
    : never
}

/** Words (32 bits) of one parameter in a plan. */
export function parameterWords(type: ParameterType): number {
  return type === 'i5' || type === 'u5' ? 5 : 1
}
