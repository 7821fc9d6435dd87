/** What the evaluators share: their signature, and how they step through tensors of any rank. */
import { elementCount, type TensorType } from '../../tensor.js'
import type { Inferred } from '../shapes/table.js'
import { stridesOf, type NodeView } from '../view.js'

/** The elements of a tensor in row-major order. */
export type Numbers = number[]

/** The values of every output, given those of the inputs. */
export type Evaluator = (inputs: readonly Numbers[], view: NodeView, outputs: readonly Inferred[]) => readonly Numbers[]

/** Operators whose output has the elements of their first input, in the same order. */
export const sameElementOps = ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Dropout']

/** Whether values of a type are integers (or booleans). */
export const isInteger = (type: TensorType): boolean => type !== 'float32' && type !== 'float64' && type !== 'float16'

/** The sum of the values. */
export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

/** `offset + Σ index · stride` for every index of `shape` in row-major order. */
export function stridedPlaces(shape: readonly number[], strides: readonly number[], offset = 0): number[] {
  let places = [offset]
  shape.forEach((size, axis) => {
    const next = new Array<number>(places.length * size)
    let at = 0
    for (const base of places) for (let i = 0; i < size; i++) next[at++] = base + i * strides[axis]!
    places = next
  })
  return places
}

/** Values of `shape` broadcast to `target`: the stride along a broadcast axis is 0. */
export function broadcastTo(source: Numbers, shape: readonly number[], target: readonly number[]): Numbers {
  if (source.length === elementCount(target)) return source
  if (source.length === 1) return new Array<number>(elementCount(target)).fill(source[0]!)
  const own = stridesOf(shape)
  const strides = target.map((_, i) => {
    const j = i - target.length + shape.length
    return j < 0 || shape[j] === 1 ? 0 : own[j]!
  })
  return stridedPlaces(target, strides).map((i) => source[i]!)
}
