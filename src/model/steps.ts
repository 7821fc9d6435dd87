/**
 * The table of plan steps: one row per kind, with its tensors and its parameters in order. It also lists the element
 * types, their sizes, and how a step uses each input. The native side relies on the same table: `scripts/build/steps.mjs`
 * generates native/kernels/steps.h and native/plan/step_table.h from it, and a test requires that they agree.
 * Append only: the number of a kind, a type or an operation in the buffer is its position here.
 *
 * Tensors are dense and row-major. Images are in NHWC order. In conv2d, chain and pool2d, x, y and residual may all be
 * float16, as in plans for half precision; constants and means stay float32.
 */
import { quantizedSteps } from './quantized-steps.js'
import {
  activation,
  constant,
  expandWindow,
  floating,
  movable,
  packed,
  pooled,
  value,
  window,
  type ParameterType,
  type StepRow,
} from './step-row.js'

export { planTypes, tensorBytes, type PlanType, type StepTensor } from './step-row.js'

/** Functions of one element. They are a step on their own, or the activation of another step. a, b are parameters. */
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

/** Activations that every kernel with an `activation` parameter applies to its result. A pass fuses only these. */
export const fusibleActivations = [
  'relu',
  'clip',
  'leakyRelu',
  'sigmoid',
  'hardSigmoid',
  'hardSwish',
  'tanh',
  'elu',
  'silu',
  'gelu',
  'geluTanh',
  'softplus',
] as const satisfies readonly ElementwiseOp[]

/** Functions of two operands, with the multidirectional broadcasting of ONNX and numpy. */
export const binaryOps = ['add', 'sub', 'mul', 'div', 'max', 'min', 'pow', 'prelu'] as const
export type BinaryOp = (typeof binaryOps)[number]

/** What `pool2d` computes of each window. */
export const poolOps = ['max', 'average'] as const
export type PoolOp = (typeof poolOps)[number]

/** What the window of a `chain` computes. */
export const windowOps = ['depthwise', 'max'] as const
export type WindowOp = (typeof windowOps)[number]

/** What `reduce` computes. */
export const reduceOps = ['mean', 'sum', 'max', 'min', 'l1', 'l2', 'sumSquare', 'prod'] as const
export type ReduceOp = (typeof reduceOps)[number]

/** The rows by kind. */
export const stepTable = {
  /**
   * y = activation(conv(x, weights) + bias + residual); pooled = mean of y over H and W.
   * x [N,H,W,C] · weights constant [O,C/groups,kernelH,kernelW] as ONNX stores them · bias constant [O] ·
   * residual and y [N,OH,OW,O] · pooled [N,1,1,O]. At least one of y and pooled is present. OH and OW are those of y.
   * Without y they are floor((H + pads - dilated kernel) / stride) + 1. padBottom and padRight may exceed what is read.
   */
  conv2d: {
    inputs: [floating('x'), packed('weights'), packed('bias?'), floating('residual?')],
    outputs: [floating('y?'), value('pooled?')],
    parameters: { ...window, groups: 'u', ...activation },
  },
  /**
   * y = activation(x · weights + bias + residual). x [M,K] (any rank; M is the product of all but the last size) ·
   * weights constant [K,N], or [N,K] with transposed = 1 · bias constant [N] · residual, y [M,N] (any rank).
   */
  dense: {
    inputs: [value('x'), packed('weights'), packed('bias?'), value('residual?')],
    outputs: [value('y')],
    parameters: { transposed: 'u', ...activation },
  },
  /**
   * x [N,H,W,C], y [N,OH,OW,C]. The sizes of y decide (ceil_mode). Averages include padding if countPadding is 1. A
   * maximum of bytes is allowed.
   */
  pool2d: {
    inputs: [pooled('x')],
    outputs: [pooled('y')],
    parameters: { op: 'e:pool', ...window, countPadding: 'u' },
  },
  /**
   * x [outer,length,inner] → y [outer,1,inner], over the middle axis. GAP is a mean: outer = N, length = H·W, inner = C.
   * A maximum or minimum of bytes is allowed.
   */
  reduce: {
    inputs: [movable('x')],
    outputs: [movable('y')],
    parameters: { op: 'e:reduce', outer: 'u', length: 'u', inner: 'u' },
  },
  /** y = op(x), element by element. */
  elementwise: { inputs: [value('x')], outputs: [value('y')], parameters: { ...activation }, inPlace: true },
  /** y = activation(op(x, z)). Both operands are broadcast to y's shape. */
  binary: {
    inputs: [value('x'), value('z')],
    outputs: [value('y')],
    parameters: { op: 'e:binary', ...activation },
    inPlace: true,
  },
  /** Softmax, or its logarithm, over the middle axis of [outer,length,inner]. */
  softmax: {
    inputs: [value('x')],
    outputs: [value('y')],
    parameters: { logarithm: 'u', outer: 'u', length: 'u', inner: 'u' },
  },
  /** y = x / ‖x‖ₚ over the middle axis of [outer,length,inner]. p is 1 or 2. A zero norm gives zeros. */
  lpNormalization: {
    inputs: [value('x')],
    outputs: [value('y')],
    parameters: { p: 'u', outer: 'u', length: 'u', inner: 'u' },
  },
  /** ONNX LRN over channels, the last axis: y = x / (bias + alpha/size · Σ x²)^beta over `size` neighbours. */
  lrn: { inputs: [value('x')], outputs: [value('y')], parameters: { size: 'u', alpha: 'f', beta: 'f', bias: 'f' } },
  /**
   * Any transpose, slice, pad or expand. For each index i of `size` (5 loops, unused ones 1),
   * y[outOffset + Σ i·outStride] = x[inOffset + Σ i·inStride]. Strides and offsets are in elements. Input strides have
   * any sign or are 0. With fill = 1 all of y is first set to `value`, of bytes a whole number. With fill = 0 the loops
   * must cover all of y. Here and in concat and resample, bytes have one type, scale and zero point.
   */
  copy: {
    inputs: [movable('x')],
    outputs: [movable('y')],
    parameters: { size: 'u5', inStride: 'i5', outStride: 'i5', inOffset: 'u', outOffset: 'u', fill: 'u', value: 'f' },
  },
  /**
   * Joins inputs [outer, length_i] row by row, shuffles each row of length L in `groups` as a channel shuffle does
   * (element i·L/groups + j moves to j·groups + i; 1 group keeps the order), and splits it into outputs
   * [outer, length_o].
   */
  concat: { inputs: [movable('x...')], outputs: [movable('y...')], parameters: { outer: 'u', groups: 'u' } },
  /**
   * A sparse linear map along one axis: y[o,j,i] = Σ_t weights[j·taps+t] · x[o, indices[j·taps+t], i].
   * x [outer,inLength,inner], y [outer,outLength,inner], indices constant int32, weights constant float32, both
   * [outLength,taps]. A nearest resize, a gather, an edge pad or a reflect pad has one tap. A linear resize has two.
   * Bytes have one tap of weight 1.
   */
  resample: {
    inputs: [movable('x'), constant('indices', 'int32'), constant('weights', 'float32')],
    outputs: [movable('y')],
    parameters: { outer: 'u', inLength: 'u', outLength: 'u', taps: 'u', inner: 'u' },
  },
  /**
   * y = project(window(expand(x))) + residual, each with its activation. The residual is added before the last
   * activation. The step runs strip by strip, so the tensors in the middle never exist as a whole.
   * x [N,H,W,C] · weights constant [M,1,kernelH,kernelW] and bias [M] of a depthwise window; a maximum has neither, and
   * no activation · expandWeights constant [M,C,expandKernelH,expandKernelW]; without them M = C · projectWeights
   * constant [O,M,1,1]; without them O = M · residual, y [N,OH,OW,O] · pooled [N,1,1,O], the mean of y over H and W,
   * allowed only without a projection.
   */
  chain: {
    inputs: [
      floating('x'),
      packed('weights?'),
      packed('bias?'),
      packed('expandWeights?'),
      packed('expandBias?'),
      packed('projectWeights?'),
      packed('projectBias?'),
      floating('residual?'),
    ],
    outputs: [floating('y'), value('pooled?')],
    parameters: {
      op: 'e:window',
      ...window,
      ...activation,
      ...expandWindow,
      expandActivation: 'e:elementwise',
      expandA: 'f',
      expandB: 'f',
      projectActivation: 'e:elementwise',
      projectA: 'f',
      projectB: 'f',
    },
  },
  /**
   * y = activation(x · z) for each of `batches`; both operands are computed at run time, as in attention.
   * x [batches,rows,depth] · z [batches,depth,columns] · y [batches,rows,columns]. An x or z of one batch is shared.
   */
  product: {
    inputs: [value('x'), value('z')],
    outputs: [value('y')],
    parameters: { batches: 'u', rows: 'u', depth: 'u', columns: 'u', ...activation },
  },
  ...quantizedSteps,
  /** y = x, between float32 and float16, rounded to the nearest value. */
  cast: { inputs: [floating('x')], outputs: [floating('y')], parameters: {} },
} as const satisfies Record<string, StepRow>

/** The kinds of steps. */
export type StepKind = keyof typeof stepTable
/** All kinds in the order of their numbers. */
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

/** The parameters of a step of kind `K`, by name. */
export type StepParameters<K extends StepKind> = {
  readonly [P in keyof (typeof stepTable)[K]['parameters']]: (typeof stepTable)[K]['parameters'][P] extends ParameterType
    ? ValueOf<(typeof stepTable)[K]['parameters'][P]>
    : never
}

/** Bytes of one word of a plan: a parameter, or the number of a tensor. */
export const wordBytes = 4

/** Words that one parameter takes in a plan. */
export function parameterWords(type: ParameterType): number {
  return type === 'i5' || type === 'u5' ? 5 : 1
}
