/** Parameters of `copy` steps: strided loops over the elements of a tensor. */
import type { StepParameters } from '../steps.js'
import { Unsupported } from '../graph.js'
import type { LowerContext } from './context.js'
import type { TensorId } from '../draft.js'

type Five = readonly [number, number, number, number, number]

/** Nested loops, the outermost first, with their strides on both sides in elements. */
export interface Loops {
  readonly size: readonly number[]
  readonly inStride: readonly number[]
  readonly outStride: readonly number[]
}

/** A copy that starts at both tensors' first elements and writes every element of its output. */
export const wholeCopy = { inOffset: 0, outOffset: 0, fill: 0, value: 0 } as const

/** From [columns, rows] to [rows, columns], for each of `planes` matrices or for a single one. */
export function transposition(rows: number, columns: number, planes?: number): StepParameters<'copy'> {
  const plane = planes === undefined ? 0 : rows * columns
  return {
    size: [1, 1, planes ?? 1, rows, columns],
    inStride: [0, 0, plane, 1, rows],
    outStride: [0, 0, plane, columns, 1],
    ...wholeCopy,
  }
}

/**
 * Emits a copy. Loops of size 1 are dropped and neighbouring loops without gaps are joined; throws `Unsupported` where
 * more than five remain. With `fill`, the output is first set to that value.
 */
export function emitCopy(
  context: LowerContext,
  x: TensorId,
  y: TensorId,
  loops: Loops,
  offsets: { in?: number; out?: number } = {},
  fill?: number,
): void {
  const joined = joinLoops(loops)
  if (joined.size.length > 5) throw new Unsupported('it moves more than five dimensions')
  const five = (values: readonly number[], filler: number): Five =>
    [...new Array<number>(5 - values.length).fill(filler), ...values] as unknown as Five
  context.step('copy', [x], [y], {
    size: five(joined.size, 1),
    inStride: five(joined.inStride, 0),
    outStride: five(joined.outStride, 0),
    inOffset: offsets.in ?? 0,
    outOffset: offsets.out ?? 0,
    fill: fill === undefined ? 0 : 1,
    value: fill ?? 0,
  })
}

function joinLoops({ size, inStride, outStride }: Loops): Loops {
  const joined = { size: [] as number[], inStride: [] as number[], outStride: [] as number[] }
  for (let i = size.length - 1; i >= 0; i--) {
    if (size[i] === 1) continue
    const inner = joined.size[0]
    const isContiguous =
      inner !== undefined &&
      inStride[i] === joined.inStride[0]! * inner &&
      outStride[i] === joined.outStride[0]! * inner
    if (isContiguous) joined.size[0] = inner * size[i]!
    else {
      joined.size.unshift(size[i]!)
      joined.inStride.unshift(inStride[i]!)
      joined.outStride.unshift(outStride[i]!)
    }
  }
  return joined
}
