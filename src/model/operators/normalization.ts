/** Softmax and the norms: one axis, or all from an axis on, as [outer, length, inner]. */
import { elementCount } from '../../tensor.js'
import { softmaxSpan } from '../shapes/table.js'
import { normalAxis, Unsupported } from '../view.js'
import { nhwcAxis, type Form, type LowerContext, type Operator } from './context.js'

interface Span {
  readonly outer: number
  readonly length: number
  readonly inner: number
}

function spanAlong(sizes: readonly number[], axis: number, isFlattened = false): Span {
  const end = isFlattened ? sizes.length : axis + 1
  return { outer: elementCount(sizes.slice(0, axis)), length: elementCount(sizes.slice(axis, end)), inner: elementCount(sizes.slice(end)) }
}

const softmax = (logarithm: number) => (context: LowerContext): void => {
  const { axis, isFlattened } = softmaxSpan(context.view)
  const form: Form = isFlattened ? 'plain' : context.formOf(0)
  const x = context.input(0, form)
  context.step('softmax', [x], [context.output(0, form)], { logarithm, ...spanAlong(context.sizes(x), form === 'nhwc' ? nhwcAxis(axis) : axis, isFlattened) })
}

function lowerLpNormalization(context: LowerContext): void {
  const { view } = context
  const p = view.int('p', 2)
  if (p !== 1 && p !== 2) throw new Unsupported(`its p is ${p}`)
  const axis = normalAxis(view.int('axis', -1), view.shape(0).length)
  const form = context.formOf(0)
  const x = context.input(0, form)
  context.step('lpNormalization', [x], [context.output(0, form)], { p, ...spanAlong(context.sizes(x), form === 'nhwc' ? nhwcAxis(axis) : axis) })
}

function lowerLrn(context: LowerContext): void {
  const { view } = context
  if (view.shape(0).length !== 4) throw new Unsupported('its input is not a picture')
  context.step('lrn', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
    size: view.int('size', 1), alpha: view.float('alpha', 1e-4), beta: view.float('beta', 0.75), bias: view.float('bias', 1),
  })
}

export const normalizationOperators: readonly Operator[] = [
  { op: 'Softmax', limits: '', acceptsActivation: false, lower: softmax(0) },
  { op: 'LogSoftmax', limits: '', acceptsActivation: false, lower: softmax(1) },
  { op: 'LpNormalization', limits: '', acceptsActivation: false, lower: lowerLpNormalization },
  { op: 'LRN', limits: '2-D', acceptsActivation: false, lower: lowerLrn },
]
