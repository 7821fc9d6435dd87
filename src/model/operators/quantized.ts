/** Nodes on bytes, which a pass makes of quantised networks. Their constants are in the form that the steps take. */
import { elementCount } from '../../tensor.js'
import { floatsOf, numbersOf, Unsupported, type Constant } from '../graph.js'
import { resolveWindow, windowParameters } from '../shapes/window.js'
import type { NodeView } from '../view.js'
import type { Form, LowerContext, Operator } from './context.js'
import type { TensorId } from '../draft.js'
import { commonForm } from './elementwise.js'

/** The range of the bytes of a result. */
const rangeOf = (view: NodeView): { low: number; high: number } => ({
  low: view.int('low', 0),
  high: view.int('high', 0),
})

/** The bytes before the residual is added. They are not used without one. */
const middleOf = (view: NodeView) => ({
  middleScale: view.float('middleScale', 1),
  middleZero: view.int('middleZero', 0),
  middleLow: view.int('middleLow', 0),
  middleHigh: view.int('middleHigh', 0),
  residualFirst: view.int('residualFirst', 0),
})

/** Steps of one tensor of any shape, in the form in which it exists. */
const elementwise =
  (kind: 'quantize' | 'dequantize') =>
  (context: LowerContext): void => {
    const form = context.formOf(0)
    context.step(kind, [context.input(0, form)], [context.output(0, form)], {})
  }

function lowerLookup(context: LowerContext): void {
  const form = context.formOf(0)
  const { constant } = context.view.input(1)
  const table = context.constant([256], constant!.bytes)
  context.step('lookup', [context.input(0, form), table], [context.output(0, form)], {})
}

/** Inputs: x, weights, bias?, multipliers, residual?. Outputs: y, mean?. */
function lowerConv(context: LowerContext): void {
  const { view } = context
  const [, , h = 0, w = 0] = view.shape(0)
  const { constant, shape } = view.input(1)
  const [, , kh = 0, kw = 0] = shape
  const window = resolveWindow(view, [h, w], [kh, kw])
  const isMean = view.node.outputs[1] !== undefined
  const isPixel = [h, w, kh, kw, ...window.output, view.int('group', 1)].every((size) => size === 1) && !isMean
  const weights = bytesConstant(context, isPixel ? { ...constant!, shape: shape.slice(0, 2) } : constant!)
  const inputs = [context.input(0, 'nhwc'), weights, ...sumConstants(context), residual(context, 'nhwc')]
  const y = context.output(0, 'nhwc')
  const end = { ...rangeOf(view), ...middleOf(view) }
  if (isPixel) return context.step('qdense', inputs, [y], { transposed: 1, ...end })
  context.step('qconv2d', inputs, [y, isMean ? context.output(1, 'nhwc') : null], {
    ...windowParameters(window),
    groups: view.int('group', 1),
    ...end,
  })
}

/** The same inputs; a matrix [N,K] with `transposed`. */
function lowerDense(context: LowerContext): void {
  const { view } = context
  const weights = bytesConstant(context, view.input(1).constant!)
  const inputs = [context.input(0, 'plain'), weights, ...sumConstants(context), residual(context, 'plain')]
  context.step('qdense', inputs, [context.output(0, 'plain')], {
    transposed: view.int('transposed', 0),
    ...rangeOf(view),
    ...middleOf(view),
  })
}

function bytesConstant(context: LowerContext, { type, shape, bytes }: Constant): TensorId {
  const data = type === 'int8' ? new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes
  return context.constant(shape, data, context.view.int('weightZero', 0))
}

/** The bias and the multipliers. */
function sumConstants(context: LowerContext): readonly [TensorId | null, TensorId] {
  const bias = context.view.optional(2)?.constant
  const multipliers = context.view.input(3).constant!
  return [
    bias ? context.constant(bias.shape, Int32Array.from(numbersOf(bias))) : null,
    context.constant(multipliers.shape, floatsOf(multipliers)),
  ]
}

const residual = (context: LowerContext, form: Form): TensorId | null =>
  context.view.optional(4) ? context.input(4, form) : null

const binary =
  (op: 'add' | 'mul') =>
  (context: LowerContext): void => {
    const form = commonForm(context, [0, 1])
    const rank = Math.max(context.view.shape(0).length, context.view.shape(1).length)
    const inputs = [context.operand(0, form, rank), context.operand(1, form, rank)]
    context.step('qbinary', inputs, [context.output(0, form)], { op, ...rangeOf(context.view) })
  }

function lowerAverage(context: LowerContext): void {
  const { view } = context
  const [, , h = 0, w = 0] = view.shape(0)
  context.step('qpool2d', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
    ...windowParameters(resolveWindow(view, [h, w])),
    countPadding: view.int('count_include_pad', 0),
    ...rangeOf(view),
  })
}

function lowerMean(context: LowerContext): void {
  const { view } = context
  const [n = 1, c = 1, ...places] = view.shape(0)
  if (places.length !== 2) throw new Unsupported(`its input has ${places.length + 2} dimensions`)
  context.step('qreduce', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
    outer: n,
    length: elementCount(places),
    inner: c,
    ...rangeOf(view),
  })
}

const entry = (op: string, lower: Operator['lower']): Operator => ({
  op,
  limits: '',
  acceptsActivation: false,
  takesBytes: true,
  lower,
})

/** Operators on bytes. */
export const quantizedOperators: readonly Operator[] = [
  entry('ToBytes', elementwise('quantize')),
  entry('FromBytes', elementwise('dequantize')),
  entry('Lookup', lowerLookup),
  entry('QConv', lowerConv),
  entry('QDense', lowerDense),
  entry('QAdd', binary('add')),
  entry('QMul', binary('mul')),
  entry('QAveragePool', lowerAverage),
  entry('QMean', lowerMean),
]
