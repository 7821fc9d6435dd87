/** The evaluators by operator. An operator that is not here stays in the graph, also where its inputs are constant. */
import { elementCount } from '../../tensor.js'
import { numbersOf } from '../graph.js'
import { shapeSlice } from '../shapes/table.js'
import { stridesOf } from '../view.js'
import { elementwiseEvaluators } from './elementwise.js'
import type { Evaluator } from './evaluator.js'
import { movementEvaluators } from './movement.js'
import { statisticsEvaluators } from './statistics.js'

const constantOfShape: Evaluator = (_, view, [output]) => {
  const value = view.node.attributes['value']
  const fill = value?.kind === 'tensor' ? numbersOf(value.value)[0]! : 0
  return [new Array<number>(elementCount(output!.shape)).fill(fill)]
}

const range: Evaluator = ([start = [], , delta = []], _, [output]) => [
  Array.from({ length: output!.shape[0]! }, (_unused, i) => start[0]! + i * delta[0]!),
]

/** The indices of elements that are not zero, one row per axis. */
const nonZero: Evaluator = ([x = []], view) => {
  const shape = view.shape(0)
  const strides = stridesOf(shape)
  const hits = x.map((value, i) => (value === 0 ? -1 : i)).filter((i) => i >= 0)
  return [shape.flatMap((size, axis) => hits.map((i) => Math.floor(i / strides[axis]!) % size))]
}

/** Evaluators by operator. */
export const evaluators: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ...Object.entries(elementwiseEvaluators),
  ...Object.entries(movementEvaluators),
  ...Object.entries(statisticsEvaluators),
  ['Shape', (_, view) => [[...shapeSlice(view)]]],
  ['Size', (_, view) => [[elementCount(view.shape(0))]]],
  ['ConstantOfShape', constantOfShape],
  ['Range', range],
  ['NonZero', nonZero],
])
