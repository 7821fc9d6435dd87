/** Element-wise operators of one and of two operands, and BatchNormalization where no convolution absorbed it. */
import { elementCount } from '../../tensor.js'
import { activationOf, functionOps, noActivation, type Activation } from '../activation.js'
import { floatsOf, Unsupported } from '../graph.js'
import type { BinaryOp } from '../steps.js'
import { broadcastShapes, type NodeView } from '../view.js'
import type { Form, LowerContext, Operator } from './context.js'
import type { TensorId } from '../draft.js'

function lowerUnary(context: LowerContext): void {
  const own = activationOf(context.view)
  if (!own) throw new Unsupported('its attributes are not covered')
  const form = context.formOf(0)
  context.step('elementwise', [context.input(0, form)], [context.output(0, form)], own)
}

/** Mish is x · tanh(softplus(x)). */
function lowerMish(context: LowerContext): void {
  const form = context.formOf(0)
  const x = context.input(0, form)
  const inner = context.temporary(context.sizes(x))
  const outer = context.temporary(context.sizes(x))
  context.step('elementwise', [x], [inner], { activation: 'softplus', a: 0, b: 0 })
  context.step('elementwise', [inner], [outer], { activation: 'tanh', a: 0, b: 0 })
  context.step('binary', [x, outer], [context.output(0, form)], { op: 'mul', ...noActivation })
}

/** NHWC where the result is an image and one of the computed operands is an image in NHWC. */
export function commonForm(context: LowerContext, indices: readonly number[]): Form {
  const { view } = context
  const rank = Math.max(...indices.map((i) => view.shape(i).length))
  const isNhwc =
    rank === 4 &&
    indices.some((i) => !view.input(i).constant && view.shape(i).length === 4 && context.formOf(i) === 'nhwc')
  return isNhwc ? 'nhwc' : 'plain'
}

/** A function of two operands; of more, one step joins the result so far with the next operand. */
const binary =
  (op: BinaryOp) =>
  (context: LowerContext): void => {
    const { view, activation } = context
    const count = view.inputCount
    const indices = Array.from({ length: count }, (_, i) => i)
    const form = commonForm(context, indices)
    const rank = broadcastShapes(indices.map((i) => view.shape(i))).length
    if (count === 1) return context.step('elementwise', [context.input(0, form)], [context.output(0, form)], activation)
    let sum = context.operand(0, form, rank)
    let sizes = context.sizes(sum)
    for (let i = 1; i < count; i++) {
      const operand = context.operand(i, form, rank)
      sizes = broadcastShapes([sizes, context.sizes(operand)])
      const isLast = i === count - 1
      const target: TensorId = isLast ? context.output(0, form) : context.temporary(sizes)
      context.step('binary', [sum, operand], [target], { op, ...(isLast ? activation : noActivation) })
      sum = target
    }
  }

/** The mean of several tensors is their sum, scaled. */
function lowerMean(context: LowerContext): void {
  const { view } = context
  const scale = { activation: 'affine', a: 1 / view.inputCount, b: 0 } as const
  binary('add')(contextWith(context, scale))
}

/** The same context with another activation. */
function contextWith(context: LowerContext, activation: Activation): LowerContext {
  return {
    view: context.view,
    activation,
    formOf: (i) => context.formOf(i),
    input: (i, form) => context.input(i, form),
    operand: (i, form, rank) => context.operand(i, form, rank),
    constant: (shape, data, zeroPoint) => context.constant(shape, data, zeroPoint),
    output: (i, form) => context.output(i, form),
    temporary: (shape) => context.temporary(shape),
    alias: (i, form, tensor) => context.alias(i, form, tensor),
    sizes: (tensor) => context.sizes(tensor),
    step: (kind, inputs, outputs, parameters) => context.step(kind, inputs, outputs, parameters),
  }
}

/** Computes y = scale (x - mean) / sqrt(var + epsilon) + bias as a product and a sum per channel. */
function lowerBatchNorm(context: LowerContext): void {
  const { view, activation } = context
  const { factor, offset } = batchNormAffine(view)
  const rank = view.shape(0).length
  const form: Form = rank === 4 ? 'nhwc' : 'plain'
  const shape = form === 'nhwc' ? [factor.length] : [factor.length, ...new Array<number>(Math.max(0, rank - 2)).fill(1)]
  const x = context.input(0, form)
  const product = context.temporary(context.sizes(x))
  context.step('binary', [x, context.constant(shape, factor)], [product], { op: 'mul', ...noActivation })
  context.step('binary', [product, context.constant(shape, offset)], [context.output(0, form)], {
    op: 'add',
    ...activation,
  })
}

/** The factor and offset per channel of a batch norm at inference. Throws `Unsupported` for training. */
export function batchNormAffine(view: NodeView): { factor: Float32Array; offset: Float32Array } {
  if (view.int('training_mode', 0) === 1 || view.node.outputs.slice(1).some((name) => name !== ''))
    throw new Unsupported('it is of training')
  if (view.int('spatial', 1) === 0) throw new Unsupported('it is not spatial')
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => {
    const { constant } = view.input(i)
    if (!constant) throw new Unsupported('its parameters are computed at run time')
    return floatsOf(constant)
  }) as [Float32Array, Float32Array, Float32Array, Float32Array]
  const epsilon = view.float('epsilon', 1e-5)
  const factor = scale.map((s, i) => s / Math.sqrt(variance[i]! + epsilon))
  return { factor, offset: bias.map((b, i) => b - mean[i]! * factor[i]!) }
}

/** A power with a constant number as exponent is a function of one operand, any other a function of two tensors. */
function lowerPow(context: LowerContext): void {
  const { view } = context
  const { constant } = view.input(1)
  if (constant?.type !== 'float32' || elementCount(constant.shape) !== 1 || view.shape(1).length > view.shape(0).length)
    return binary('pow')(context)
  const form = context.formOf(0)
  context.step('elementwise', [context.input(0, form)], [context.output(0, form)], {
    activation: 'power',
    a: floatsOf(constant)[0]!,
    b: 0,
  })
}

/** Above this number and its negative a float32 has no bits for halves. */
const wholes = 1.5 * 2 ** 23

/** Rounds numbers below 2^22 to whole ones, half to even, as the processor rounds a sum. */
function lowerRoundSmall(context: LowerContext): void {
  const form = context.formOf(0)
  const x = context.input(0, form)
  const raised = context.temporary(context.sizes(x))
  context.step('elementwise', [x], [raised], { activation: 'affine', a: 1, b: wholes })
  context.step('elementwise', [raised], [context.output(0, form)], { activation: 'affine', a: 1, b: -wholes })
}

const binaries: Readonly<Record<string, BinaryOp>> = {
  Add: 'add',
  Sub: 'sub',
  Mul: 'mul',
  Div: 'div',
  Sum: 'add',
  Max: 'max',
  Min: 'min',
  PRelu: 'prelu',
}

/** Element-wise operators. */
export const elementwiseOperators: readonly Operator[] = [
  ...functionOps.map(
    (op): Operator => ({
      op,
      limits: op === 'Clip' ? 'bounds constant' : op === 'Swish' ? 'alpha 1' : '',
      acceptsActivation: false,
      lower: lowerUnary,
    }),
  ),
  ...Object.entries(binaries).map(
    ([op, kind]): Operator => ({ op, limits: '', acceptsActivation: true, lower: binary(kind) }),
  ),
  { op: 'Mean', limits: '', acceptsActivation: false, lower: lowerMean },
  { op: 'RoundSmall', limits: '', acceptsActivation: false, lower: lowerRoundSmall },
  { op: 'Mish', limits: '', acceptsActivation: false, lower: lowerMish },
  { op: 'Pow', limits: '', acceptsActivation: false, lower: lowerPow },
  {
    op: 'BatchNormalization',
    limits: 'inference; parameters constant',
    acceptsActivation: true,
    lower: lowerBatchNorm,
  },
]
