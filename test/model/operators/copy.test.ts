/** Parameters of `copy` steps, checked by running their loops. */
import { expect, it } from 'vitest'
import type { LowerContext } from '../../../src/model/operators/context.js'
import { emitCopy, transposition, type Loops } from '../../../src/model/operators/copy.js'
import type { StepParameters } from '../../../src/model/steps.js'

type Copy = StepParameters<'copy'>

/** The elements of x where the loops put them. */
function copied(p: Copy, x: readonly number[]): number[] {
  const y: number[] = []
  const loop = (axis: number, from: number, to: number): void => {
    if (axis === 5) y[to] = x[from]!
    else
      for (let i = 0; i < p.size[axis]!; i++) loop(axis + 1, from + i * p.inStride[axis]!, to + i * p.outStride[axis]!)
  }
  loop(0, p.inOffset, p.outOffset)
  return y
}

/** The parameters that `emitCopy` gives its step. */
function emitted(loops: Loops, offsets: { in?: number; out?: number } = {}, fill?: number): Copy {
  const steps: Copy[] = []
  const step: LowerContext['step'] = (_kind, _inputs, _outputs, parameters) => void steps.push(parameters as Copy)
  emitCopy({ step } as LowerContext, 0, 1, loops, offsets, fill)
  return steps[0]!
}

it('a transposition turns [columns, rows] into [rows, columns], plane by plane', () => {
  expect(copied(transposition(3, 2), [1, 2, 3, 4, 5, 6])).toEqual([1, 4, 2, 5, 3, 6])
  expect(copied(transposition(2, 2, 2), [1, 2, 3, 4, 5, 6, 7, 8])).toEqual([1, 3, 2, 4, 5, 7, 6, 8])
})

it('loops without gaps are joined, and loops of size 1 are dropped', () => {
  const p = emitted({ size: [2, 1, 3, 4], inStride: [12, 12, 4, 1], outStride: [24, 12, 4, 1] })
  expect(p.size).toEqual([1, 1, 1, 2, 12])
  expect(p.inStride).toEqual([0, 0, 0, 12, 1])
  expect(p.outStride).toEqual([0, 0, 0, 24, 1])
  expect([p.fill, p.value]).toEqual([0, 0])
})

it('more than five separate loops are not supported', () => {
  const strides = [1000, 300, 70, 20, 6, 1]
  const loops = { size: [2, 2, 2, 2, 2, 2], inStride: strides, outStride: strides.toReversed() }
  expect(() => emitted(loops)).toThrow('it moves more than five dimensions')
})

it('a fill value and offsets reach the step', () => {
  const p = emitted({ size: [3], inStride: [1], outStride: [1] }, { in: 2, out: 1 }, -1)
  expect([p.inOffset, p.outOffset, p.fill, p.value]).toEqual([2, 1, 1, -1])
})
