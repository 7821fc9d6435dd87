/**
 * From the engine's output to the numbers that the predictor takes: the first row of a batch, halves, doubles and wide
 * integers as floats.
 */
import type { RawOutputs } from '../decision/prediction.js'
import type { EngineTensor } from '../engine/engine.js'
import { halfToNumber } from '../half.js'

/** Gives the current outputs of one picture, `count` numbers. The memory is valid until the next run. */
export type RowReader = () => RawOutputs

/** A reader of the first `count` elements: a view where the type is the predictor's, else a copy in floats. */
export function rowReader({ data, type }: EngineTensor, count: number): RowReader {
  if (data instanceof Float32Array || data instanceof Uint8Array || data instanceof Int8Array) {
    const row = data.subarray(0, count)
    return () => row
  }
  const row = new Float32Array(count)
  const isHalf = type === 'float16'
  return () => {
    for (let i = 0; i < count; i++) row[i] = isHalf ? halfToNumber(Number(data[i])) : Number(data[i])
    return row
  }
}
