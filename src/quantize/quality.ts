/** How near the outputs of a quantized model are to those of the float model. */
import type { Engine } from '../engine/engine.js'
import { runAll, type Input } from './calibration.js'

export interface Quality {
  /** The share of pictures with the same best class. */
  readonly agreement: number
  /** Signal to quantization noise of the outputs, in decibels: 10 log10(Σ float² / Σ (float - quantized)²). */
  readonly sqnrDb: number
}

/** The outputs of an engine for every input, copied. */
export async function outputsOf(engine: Engine, inputs: readonly Input[]): Promise<readonly Float32Array[]> {
  const results: Float32Array[] = []
  await runAll(engine, inputs, () => results.push(Float32Array.from(engine.outputs[0]!.data as Float32Array)))
  return results
}

/** Compares outputs picture by picture, for as many as `quantized` has. The mean of each picture's outputs is taken off: a shift of all changes nothing. */
export function compareOutputs(float: readonly Float32Array[], quantized: readonly Float32Array[]): Quality {
  let [same, signal, noise] = [0, 0, 0]
  quantized.forEach((b, i) => {
    const a = float[i]!
    if (bestOf(a) === bestOf(b)) same++
    const [meanA, meanB] = [meanOf(a), meanOf(b)]
    a.forEach((value, j) => {
      signal += (value - meanA) ** 2
      noise += (value - meanA - (b[j]! - meanB)) ** 2
    })
  })
  return { agreement: same / quantized.length, sqnrDb: 10 * Math.log10(signal / Math.max(noise, Number.MIN_VALUE)) }
}

function bestOf(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
}

function meanOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
