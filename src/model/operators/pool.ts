/** Pools and reductions. */
import { elementCount } from '../../tensor.js'
import { resolveReduce } from '../shapes/reduce.js'
import { Unsupported } from '../graph.js'
import { resolveWindow, windowParameters, type Window } from '../shapes/window.js'
import type { PoolOp, ReduceOp } from '../steps.js'
import { nhwcAxis, type LowerContext, type Operator } from './context.js'
import type { TensorId } from '../draft.js'

const pool =
  (op: PoolOp) =>
  (context: LowerContext): void => {
    const { view } = context
    const [, , h = 0, w = 0] = view.shape(0)
    const window = resolveWindow(view, [h, w])
    if (![0, 1].every((axis) => windowsHitInput(window, axis, [h, w][axis]!)))
      throw new Unsupported('it has windows that lie in the padding alone')
    context.step('pool2d', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
      op,
      ...windowParameters(window),
      countPadding: view.int('count_include_pad', 0),
    })
  }

/** Whether the first and the last window along an axis cover a place of the input. Then the others do too. */
function windowsHitInput({ kernel, strides, dilations, pads, output }: Window, axis: number, size: number): boolean {
  return [0, output[axis]! - 1].every((i) => {
    const from = i * strides[axis]! - pads[axis]!
    return Array.from({ length: kernel[axis]! }, (_, k) => from + k * dilations[axis]!).some(
      (at) => at >= 0 && at < size,
    )
  })
}

const globalPool =
  (op: ReduceOp) =>
  (context: LowerContext): void => {
    const shape = context.view.shape(0)
    if (shape.length !== 4)
      throw new Unsupported(`its input has ${shape.length} dimensions, gapcam computes images (4)`)
    const [n, c, h, w] = shape as [number, number, number, number]
    context.step('reduce', [context.input(0, 'nhwc')], [context.output(0, 'nhwc')], {
      op,
      outer: n,
      length: h * w,
      inner: c,
    })
  }

/** Reduces runs of adjacent axes, one step per run. In NHWC, H and W are one run. */
const reduce =
  (op: ReduceOp) =>
  (context: LowerContext): void => {
    const { view } = context
    const { axes, keepsDims } = resolveReduce(view)
    const rank = view.shape(0).length
    const form = rank === 4 && context.formOf(0) === 'nhwc' && (keepsDims || isPlainAfter(axes)) ? 'nhwc' : 'plain'
    const physical = form === 'nhwc' ? axes.map(nhwcAxis).sort((a, b) => a - b) : axes
    let current = context.input(0, form)
    const runs = runsOf(physical)
    if (runs.length === 0) {
      context.alias(0, form, current)
      return
    }
    runs.forEach((run, i) => {
      const sizes = context.sizes(current)
      const kept = sizes.map((size, axis) => (axis >= run.from && axis < run.to ? 1 : size))
      const isLast = i === runs.length - 1
      const target: TensorId = isLast ? context.output(0, keepsDims ? form : 'plain') : context.temporary(kept)
      const [outer, length, inner] = [
        elementCount(sizes.slice(0, run.from)),
        elementCount(sizes.slice(run.from, run.to)),
        elementCount(sizes.slice(run.to)),
      ]
      context.step('reduce', [current], [target], { op, outer, length, inner })
      current = target
    })
  }

/** Whether the axes that remain without keepdims are in ONNX's order also in NHWC: not where C stays with H or W. */
function isPlainAfter(axes: readonly number[]): boolean {
  return axes.includes(1) || (axes.includes(2) && axes.includes(3))
}

/** Runs of adjacent axes, [from, to). */
function runsOf(axes: readonly number[]): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = []
  for (const axis of axes) {
    const last = runs.at(-1)
    if (last && last.to === axis) last.to = axis + 1
    else runs.push({ from: axis, to: axis + 1 })
  }
  return runs
}

/** Pools and reductions. */
export const poolOperators: readonly Operator[] = [
  {
    op: 'MaxPool',
    limits: '1-D, 2-D, and 3-D of one clip; values only, no indices',
    acceptsActivation: false,
    takesBytes: true,
    lower: pool('max'),
  },
  { op: 'AveragePool', limits: '1-D, 2-D, and 3-D of one clip', acceptsActivation: false, lower: pool('average') },
  { op: 'GlobalAveragePool', limits: '2-D, and 3-D of one clip', acceptsActivation: false, lower: globalPool('mean') },
  { op: 'GlobalMaxPool', limits: '2-D, and 3-D of one clip', acceptsActivation: false, lower: globalPool('max') },
  ...(['Mean', 'Sum', 'Max', 'Min', 'L1', 'L2', 'SumSquare', 'Prod'] as const).map((name): Operator => {
    const op = (name === 'SumSquare' ? 'sumSquare' : name.toLowerCase()) as ReduceOp
    const isSingle = op === 'l2' || op === 'l1' || op === 'sumSquare'
    return {
      op: `Reduce${name}`,
      limits: isSingle ? 'axes side by side' : '',
      acceptsActivation: false,
      lower: isSingle ? single(op) : reduce(op),
    }
  }),
]

/** Reductions that cannot be split into runs, such as a norm: the axes must be one run. */
function single(op: ReduceOp) {
  return (context: LowerContext): void => {
    const { axes } = resolveReduce(context.view)
    const physical =
      context.view.shape(0).length === 4 && context.formOf(0) === 'nhwc'
        ? axes.map(nhwcAxis).sort((a, b) => a - b)
        : axes
    if (runsOf(physical).length > 1) throw new Unsupported('it reduces axes that are not side by side')
    if (axes.length === 0) throw new Unsupported('it reduces no axes')
    reduce(op)(context)
  }
}
