/** Softmax and the norms, over one axis or over all axes from one on, as [outer, length, inner]. */
import { elementCount } from '../../tensor.js'
import { noActivation } from '../activation.js'
import { floatsOf, Unsupported } from '../graph.js'
import { softmaxSpan } from '../shapes/table.js'
import { broadcastShapes, normalAxis } from '../view.js'
import { nhwcAxis, type Form, type LowerContext, type Operator } from './context.js'
import type { TensorId } from '../draft.js'

interface Span {
  readonly outer: number
  readonly length: number
  readonly inner: number
}

function spanAlong(sizes: readonly number[], axis: number, isFlattened = false): Span {
  const end = isFlattened ? sizes.length : axis + 1
  return {
    outer: elementCount(sizes.slice(0, axis)),
    length: elementCount(sizes.slice(axis, end)),
    inner: elementCount(sizes.slice(end)),
  }
}

const softmax =
  (logarithm: number) =>
  (context: LowerContext): void => {
    const { axis, isFlattened } = softmaxSpan(context.view)
    const form: Form = isFlattened ? 'plain' : context.formOf(0)
    const x = context.input(0, form)
    context.step('softmax', [x], [context.output(0, form)], {
      logarithm,
      ...spanAlong(context.sizes(x), form === 'nhwc' ? nhwcAxis(axis) : axis, isFlattened),
    })
  }

function lowerLpNormalization(context: LowerContext): void {
  const { view } = context
  const p = view.int('p', 2)
  if (p !== 1 && p !== 2) throw new Unsupported(`its p is ${p}`)
  const axis = normalAxis(view.int('axis', -1), view.shape(0).length)
  const form = context.formOf(0)
  const x = context.input(0, form)
  context.step('lpNormalization', [x], [context.output(0, form)], {
    p,
    ...spanAlong(context.sizes(x), form === 'nhwc' ? nhwcAxis(axis) : axis),
  })
}

function lowerLrn(context: LowerContext): void {
  const { view } = context
  if (view.shape(0).length !== 4) throw new Unsupported('its input is not an image')
  if (view.int('size', 1) < 1 || view.int('size', 1) > 65535)
    throw new Unsupported(`its size is ${view.int('size', 1)}`)
  context.step('lrn', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
    size: view.int('size', 1),
    alpha: view.float('alpha', 1e-4),
    beta: view.float('beta', 0.75),
    bias: view.float('bias', 1),
  })
}

/** Computes (x - mean) / √(variance + ε) · scale + bias over all axes from `axis` on, by existing steps. */
function lowerLayerNormalization(context: LowerContext): void {
  const { view } = context
  for (const i of [1, 2]) {
    const shape = view.optional(i)?.shape
    if (shape && broadcastShapes([view.shape(0), shape]).join() !== view.shape(0).join())
      throw new Unsupported(`its input ${i} has the shape [${shape.join(', ')}]`)
  }
  const factors = [1, 2].map((i) => (view.optional(i) ? context.input(i, 'plain') : null))
  normalize(context, 'plain', normalAxis(view.int('axis', -1), view.shape(0).length), factors)
}

/** Layer norm over the channels of an image, which lie side by side in NHWC. */
function lowerChannelNormalization(context: LowerContext): void {
  normalize(
    context,
    'nhwc',
    3,
    [1, 2].map((i) => (context.view.optional(i) ? context.input(i, 'plain') : null)),
  )
}

/** Layer norm over the places of each channel. Exporters write a group norm as one of reshaped groups without factors. */
function lowerInstanceNormalization(context: LowerContext): void {
  const { view } = context
  const perChannel = [
    view.shape(1)[0]!,
    ...view
      .shape(0)
      .slice(2)
      .map(() => 1),
  ]
  const factors = [1, 2].map((i) => {
    const { constant } = view.input(i)
    if (!constant) throw new Unsupported('its parameters are computed at run time')
    const values = floatsOf(constant)
    return values.every((value) => value === 2 - i) ? null : context.constant(perChannel, values)
  })
  normalize(context, 'plain', 2, factors)
}

/** Normalizes over all axes from `axis` on. `factors` are scale and bias, or null where they are absent. */
function normalize(context: LowerContext, form: Form, axis: number, factors: readonly (TensorId | null)[]): void {
  const { view } = context
  const x = context.input(0, form)
  const sizes = context.sizes(x)
  const [outer, length] = [elementCount(sizes.slice(0, axis)), elementCount(sizes.slice(axis))]
  const perRow = sizes.map((size, i) => (i < axis ? size : 1))
  const over = { outer, length, inner: 1 }
  const [sum, variance, root] = [0, 1, 2].map(() => context.temporary(perRow)) as [TensorId, TensorId, TensorId]
  // The mean and the inverse root are optional outputs that hardly any network uses.
  const isUsed = (i: number): boolean => (view.node.outputs[i] ?? '') !== ''
  const mean = isUsed(1) ? context.output(1, form) : context.temporary(perRow)
  const centred = context.temporary(sizes)
  context.step('reduce', [x], [mean], { op: 'mean', ...over })
  context.step('binary', [x, mean], [centred], { op: 'sub', ...noActivation })
  context.step('reduce', [centred], [sum], { op: 'sumSquare', ...over })
  context.step('elementwise', [sum], [variance], {
    activation: 'affine',
    a: 1 / length,
    b: view.float('epsilon', 1e-5),
  })
  context.step('elementwise', [variance], [root], { activation: 'sqrt', a: 0, b: 0 })
  if (isUsed(2))
    context.step('elementwise', [root], [context.output(2, form)], { activation: 'reciprocal', a: 0, b: 0 })
  const [scale = null, bias = null] = factors
  const rest = (['div', 'mul', 'add'] as const).flatMap((op, i) => {
    const operand = [root, scale, bias][i] ?? null
    return operand === null ? [] : [{ op, operand }]
  })
  rest.reduce((current, { op, operand }, i) => {
    const result = i === rest.length - 1 ? context.output(0, form) : context.temporary(sizes)
    context.step('binary', [current, operand], [result], { op, ...noActivation })
    return result
  }, centred)
}

/** Softmax and norms. */
export const normalizationOperators: readonly Operator[] = [
  { op: 'Softmax', limits: '', acceptsActivation: false, lower: softmax(0) },
  { op: 'LogSoftmax', limits: '', acceptsActivation: false, lower: softmax(1) },
  { op: 'LpNormalization', limits: '', acceptsActivation: false, lower: lowerLpNormalization },
  { op: 'LayerNormalization', limits: '', acceptsActivation: false, lower: lowerLayerNormalization },
  {
    op: 'InstanceNormalization',
    limits: 'parameters constant',
    acceptsActivation: false,
    lower: lowerInstanceNormalization,
  },
  { op: 'ChannelNormalization', limits: '', acceptsActivation: false, lower: lowerChannelNormalization },
  { op: 'LRN', limits: '2-D', acceptsActivation: false, lower: lowerLrn },
]
