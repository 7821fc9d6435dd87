/** Operators that move elements without computing with them. */
import { elementCount } from '../../tensor.js'
import { Unsupported } from '../graph.js'
import { concatenated, gathered, permutation, resolvePad, resolveSlice, splitParts } from '../shapes/movement.js'
import { normalAxis, stridesOf } from '../view.js'
import { broadcastTo, sameElementOps, stridedPlaces, type Evaluator, type Numbers } from './evaluator.js'

const at = (x: Numbers, places: readonly number[]): Numbers => places.map((i) => x[i]!)

const transpose: Evaluator = ([x = []], view, [output]) => {
  const strides = stridesOf(view.shape(0))
  const permuted = permutation(view).map((axis) => strides[axis]!)
  return [at(x, stridedPlaces(output!.shape, permuted))]
}

const slice: Evaluator = ([x = []], view) => {
  const { starts, steps, shape } = resolveSlice(view)
  const strides = stridesOf(view.shape(0))
  const offset = starts.reduce((sum, start, i) => sum + start * strides[i]!, 0)
  const stepped = strides.map((stride, i) => stride * steps[i]!)
  return [at(x, stridedPlaces(shape, stepped, offset))]
}

const concat: Evaluator = (inputs, view, [output]) => {
  const { axis } = concatenated(view)
  const outer = elementCount(output!.shape.slice(0, axis))
  const runs = inputs.map((values) => values.length / outer)
  const rows = Array.from({ length: outer }, (_, o) =>
    inputs.map((values, i) => values.slice(o * runs[i]!, (o + 1) * runs[i]!)),
  )
  return [rows.flat(2)]
}

const split: Evaluator = ([x = []], view, outputs) => {
  const { axis } = splitParts(view)
  const strides = stridesOf(view.shape(0))
  let start = 0
  return outputs.map(({ shape }) => {
    const part = at(x, stridedPlaces(shape, strides, start * strides[axis]!))
    start += shape[axis]!
    return part
  })
}

const gather: Evaluator = ([x = [], indices = []], view) => {
  const { axis } = gathered(view)
  const shape = view.shape(0)
  const [outer, size, inner] = [elementCount(shape.slice(0, axis)), shape[axis]!, elementCount(shape.slice(axis + 1))]
  const picked = indices.map((index) => normalAxis(index, size))
  const rows = Array.from({ length: outer }, (_, o) =>
    picked.map((index) => x.slice((o * size + index) * inner, (o * size + index + 1) * inner)),
  )
  return [rows.flat(2)]
}

const pad: Evaluator = ([x = [], , value = []], view) => {
  if (view.text('mode', 'constant') !== 'constant') throw new Unsupported('it pads a constant by mirroring')
  const { before, shape } = resolvePad(view)
  const source = view.shape(0)
  const target = new Array<number>(elementCount(shape)).fill(value[0] ?? view.float('value', 0))
  const targetStrides = stridesOf(shape)
  const offset = before.reduce((sum, b, i) => sum + b * targetStrides[i]!, 0)
  const from = stridedPlaces(source, stridesOf(source))
  stridedPlaces(source, targetStrides, offset).forEach((to, i) => {
    target[to] = x[from[i]!]!
  })
  return [target]
}

const tile: Evaluator = ([x = []], view, [output]) => {
  const [shape, target] = [view.shape(0), output!.shape]
  const [strides, outStrides] = [stridesOf(shape), stridesOf(target)]
  const sourceOf = (i: number): number =>
    shape.reduce(
      (place, size, axis) => place + ((Math.floor(i / outStrides[axis]!) % target[axis]!) % size) * strides[axis]!,
      0,
    )
  return [Array.from({ length: elementCount(target) }, (_, i) => x[sourceOf(i)]!)]
}

const scatterNd: Evaluator = ([data = [], indices = [], updates = []], view) => {
  const shape = view.shape(0)
  const strides = stridesOf(shape)
  const depth = view.shape(1).at(-1) ?? 1
  const run = elementCount(shape.slice(depth))
  const result = [...data]
  for (let i = 0; i * depth < indices.length; i++) {
    let place = 0
    for (let d = 0; d < depth; d++) place += normalAxis(indices[i * depth + d]!, shape[d]!) * strides[d]!
    for (let r = 0; r < run; r++) result[place + r] = updates[i * run + r]!
  }
  return [result]
}

const same: Evaluator = ([x = []]) => [x]

/** Evaluators by operator. */
export const movementEvaluators: Readonly<Record<string, Evaluator>> = {
  ...Object.fromEntries(sameElementOps.map((op) => [op, same])),
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Split: split,
  Gather: gather,
  Pad: pad,
  Expand: ([x = []], view, [output]) => [broadcastTo(x, view.shape(0), output!.shape)],
  Tile: tile,
  ScatterND: scatterNd,
}
