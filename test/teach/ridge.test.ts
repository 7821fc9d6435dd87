import { expect, it } from 'vitest'
import { fitRidge, type Ridge } from '../../src/teach/ridge.js'
import { Random } from '../random.js'

const random = new Random(21)
const [length, stateCount] = [12, 3]

/** Noisy vectors around one centre per state, three looks at each picture. */
function samples(pictures: number): {
  vectors: Float64Array[]
  states: number[]
  groups: number[][]
} {
  const centres = Array.from({ length: stateCount }, () => Float64Array.from({ length }, () => random.next() - 0.5))
  const result = { vectors: [] as Float64Array[], states: [] as number[], groups: [] as number[][] }
  for (let picture = 0; picture < pictures; picture++) {
    const state = picture % stateCount
    const group = [0, 1, 2].map((look) => picture * 3 + look)
    for (const _ of group) {
      result.vectors.push(centres[state]!.map((value) => value + 0.8 * (random.next() - 0.5)))
      result.states.push(state)
    }
    result.groups.push(group)
  }
  return result
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
const productsOf = (vectors: readonly Float64Array[]): Float64Array =>
  Float64Array.from(vectors.flatMap((a) => vectors.map((b) => dot(a, b))))

/** Predictions of a fit for a vector that need not be one of its samples. */
function predict(fit: Ridge, vectors: readonly Float64Array[], vector: Float64Array): number[] {
  return Array.from({ length: stateCount }, (_, s) =>
    vectors.reduce((sum, other, i) => sum + fit.alpha[i * stateCount + s]! * dot(other, vector), fit.intercept[s]!),
  )
}

it('left-out predictions equal those of fits that never saw the group', async () => {
  const { vectors, states, groups } = samples(9)
  const fit = await fitRidge({ products: productsOf(vectors), states, stateCount, groups })
  for (const group of groups) {
    const rest = vectors.map((_, i) => i).filter((i) => !group.includes(i))
    const others = rest.map((i) => vectors[i]!)
    // λ n stays that of the whole fit, as in the closed form.
    const refit = refitWith(
      others,
      rest.map((i) => states[i]!),
      (fit.lambda * vectors.length) / others.length,
    )
    for (const i of group) {
      const expected = predict(refit, others, vectors[i]!)
      const actual = [...fit.leftOut.subarray(i * stateCount, (i + 1) * stateCount)]
      actual.forEach((value, s) => expect(value).toBeCloseTo(expected[s]!, 6))
    }
  }
})

/** A fit with one λ, by solving the primal problem with gradient steps until nothing changes. */
function refitWith(vectors: readonly Float64Array[], states: readonly number[], lambda: number): Ridge {
  const n = vectors.length
  const mean = Float64Array.from({ length }, (_, k) => vectors.reduce((sum, v) => sum + v[k]!, 0) / n)
  const shares = Array.from({ length: stateCount }, (_, s) => states.filter((state) => state === s).length / n)
  const alpha = new Float64Array(n * stateCount)
  const centred = vectors.map((v) => v.map((value, k) => value - mean[k]!))
  const norm = centred.reduce((sum, v) => sum + dot(v, v), 0) + lambda * n
  for (let s = 0; s < stateCount; s++) {
    const weights = new Float64Array(length)
    for (let round = 0; round < 200_000; round++) {
      const errors = centred.map((v, i) => (states[i] === s ? 1 : 0) - shares[s]! - dot(v, weights))
      const gradient = weights.map((w, k) => centred.reduce((sum, v, i) => sum + v[k]! * errors[i]!, -lambda * n * w))
      if (Math.max(...gradient.map(Math.abs)) < 1e-13) break
      for (let k = 0; k < length; k++) weights[k]! += gradient[k]! / norm
    }
    for (let i = 0; i < n; i++)
      alpha[i * stateCount + s] = ((states[i] === s ? 1 : 0) - shares[s]! - dot(centred[i]!, weights)) / (lambda * n)
  }
  const intercept = Float64Array.from(shares, (share, s) => {
    const products = vectors.map((v, i) => alpha[i * stateCount + s]! * dot(v, mean))
    return share - products.reduce((sum, value) => sum + value, 0)
  })
  return { alpha, intercept, lambda, leftOut: new Float64Array(), leftOutBy: () => Promise.resolve(new Float64Array()) }
}

it('a state with one picture keeps the weakest regularisation', async () => {
  const { vectors, states, groups } = samples(3)
  const fit = await fitRidge({ products: productsOf(vectors), states, stateCount, groups })
  expect(fit.lambda).toBe(1e-5)
})

it('a wrong state among many is predicted by its neighbours', async () => {
  const { vectors, states, groups } = samples(30)
  const wrong = states.map((state, i) => (groups[4]!.includes(i) ? (state + 1) % stateCount : state))
  const fit = await fitRidge({ products: productsOf(vectors), states: wrong, stateCount, groups })
  const [first] = groups[4]!
  const row = fit.leftOut.subarray(first! * stateCount, (first! + 1) * stateCount)
  expect(row.indexOf(Math.max(...row))).toBe(states[first!])
})
