/** Reductions, running sums, and batch norms of constants. */
import { elementCount } from '../../tensor.js'
import { resolveReduce } from '../shapes/reduce.js'
import { normalAxis, stridesOf } from '../view.js'
import { stridedPlaces, sum, type Evaluator, type Numbers } from './evaluator.js'

const reduceWith =
  (f: (values: Numbers) => number): Evaluator =>
  ([x = []], view, [output]) => {
    const { axes } = resolveReduce(view)
    const shape = view.shape(0)
    const strides = stridesOf(shape)
    const placesAlong = (along: readonly number[]): number[] =>
      stridedPlaces(
        along.map((axis) => shape[axis]!),
        along.map((axis) => strides[axis]!),
      )
    const kept = placesAlong(shape.map((_, i) => i).filter((i) => !axes.includes(i)))
    const reduced = placesAlong(axes)
    return [kept.map((base) => f(reduced.map((i) => x[base + i]!))).slice(0, elementCount(output!.shape))]
  }

/** Running sums along an axis. `exclusive` leaves out the element itself, `reverse` begins at the end. */
const cumSum: Evaluator = ([x = [], [axis = 0] = []], view) => {
  const shape = view.shape(0)
  const along = normalAxis(axis, shape.length)
  const strides = stridesOf(shape)
  const [length, stride] = [shape[along]!, strides[along]!]
  const isReversed = view.int('reverse', 0) === 1
  const isExclusive = view.int('exclusive', 0) === 1
  const result = new Array<number>(x.length)
  const starts = stridedPlaces(
    shape.map((size, i) => (i === along ? 1 : size)),
    strides,
  )
  for (const start of starts) {
    let total = 0
    for (let i = 0; i < length; i++) {
      const at = start + (isReversed ? length - 1 - i : i) * stride
      result[at] = isExclusive ? total : total + x[at]!
      total += x[at]!
    }
  }
  return [result]
}

/** A batch norm of constants standardizes weights, by given statistics or (in training mode) by those of its input. */
const batchNorm: Evaluator = ([x = [], scale = [], bias = [], mean = [], variance = []], view) => {
  const [n = 1, c = 1, ...rest] = view.shape(0)
  const area = elementCount(rest)
  const epsilon = view.float('epsilon', 1e-5)
  const isTraining = view.int('training_mode', 0) === 1
  const result = new Array<number>(x.length)
  for (let channel = 0; channel < c; channel++) {
    const starts = Array.from({ length: n }, (_, i) => (i * c + channel) * area)
    const total = (f: (value: number) => number): number =>
      starts.reduce((all, start) => {
        for (let i = start; i < start + area; i++) all += f(x[i]!)
        return all
      }, 0)
    const centre = isTraining ? total((value) => value) / (n * area) : mean[channel]!
    const spread = isTraining ? total((value) => (value - centre) ** 2) / (n * area) : variance[channel]!
    const factor = scale[channel]! / Math.sqrt(spread + epsilon)
    for (const start of starts)
      for (let i = start; i < start + area; i++) result[i] = (x[i]! - centre) * factor + bias[channel]!
  }
  return [result]
}

/** Evaluators by operator. */
export const statisticsEvaluators: Readonly<Record<string, Evaluator>> = {
  ReduceSum: reduceWith(sum),
  ReduceMean: reduceWith((values) => sum(values) / values.length),
  ReduceMax: reduceWith((values) => values.reduce((a, b) => Math.max(a, b), -Infinity)),
  ReduceMin: reduceWith((values) => values.reduce((a, b) => Math.min(a, b), Infinity)),
  ReduceProd: reduceWith((values) => values.reduce((a, b) => a * b, 1)),
  CumSum: cumSum,
  BatchNormalization: batchNorm,
}
