/** Rounding with compensation changes a layer's outputs less than rounding to nearest, and never leaves 8 bits. */
import { describe, expect, it } from 'vitest'
import { compensation, roundRow } from '../../src/quantize/rounding.js'
import { roundHalfEven } from '../../src/quantize/weights.js'
import { Random } from '../random.js'

const random = new Random(5)
const noise = (): number => (random.next() - 0.5) * 2

/** Samples of inputs that vary together: a few causes, mixed, and some noise of their own. */
function samplesOf(size: number, count: number): Float64Array[] {
  const mix = Array.from({ length: size }, () => [noise(), noise(), noise()])
  return Array.from({ length: count }, () => {
    const causes = [noise(), noise(), noise()]
    return Float64Array.from(mix, (row) => row.reduce((sum, w, i) => sum + w * causes[i]!, 0.1 * noise()))
  })
}

function covarianceOf(samples: readonly Float64Array[]): Float64Array {
  const size = samples[0]!.length
  const matrix = new Float64Array(size * size)
  for (const x of samples)
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) matrix[i * size + j]! += x[i]! * x[j]!
  return matrix
}

/** The squared change of the outputs on other samples. */
function errorOf(exact: Float64Array, rounded: Float64Array, samples: readonly Float64Array[]): number {
  return samples.reduce(
    (sum, x) => sum + x.reduce((dot, value, i) => dot + value * (rounded[i]! - exact[i]!), 0) ** 2,
    0,
  )
}

describe('roundRow', () => {
  it('changes the outputs at most a third as much as rounding to nearest, on samples that it did not see', () => {
    const samples = samplesOf(24, 800)
    const [seen, others] = [samples.slice(0, 400), samples.slice(400)]
    const factor = compensation(covarianceOf(seen), 24, seen.length)!
    let [nearest, compensated] = [0, 0]
    for (let row = 0; row < 40; row++) {
      const exact = Float64Array.from({ length: 24 }, () => noise() * 20)
      const rounded = exact.slice()
      roundRow(rounded, factor, roundHalfEven)
      expect(rounded.every((value) => Number.isInteger(value) && Math.abs(value) <= 127)).toBe(true)
      compensated += errorOf(exact, rounded, others)
      nearest += errorOf(exact, exact.map(roundHalfEven), others)
    }
    expect(compensated).toBeLessThan(nearest / 3)
  })

  it('keeps within 8 bits where compensation would leave them', () => {
    const factor = compensation(covarianceOf(samplesOf(6, 50)), 6, 50)!
    const row = Float64Array.of(127.4, -127.4, 126.6, -126.6, 127, -127)
    roundRow(row, factor, roundHalfEven)
    expect(row.every((value) => Number.isInteger(value) && Math.abs(value) <= 127)).toBe(true)
  })

  it('there is no compensation for inputs that do not vary', () => {
    expect(compensation(new Float64Array(9), 3, 10)).toBeNull()
  })
})
