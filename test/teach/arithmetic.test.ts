/** The addon's arithmetic of fitting against the plain one: the same bits over odd lengths, and exact where it can be. */
import { expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import type { Arithmetic, VectorSpace } from '../../src/arithmetic.js'
import { plainArithmetic } from '../../src/teach/plain.js'
import { Random } from '../random.js'

const loaded = loadAddon()
const native = (): Arithmetic => {
  if ('reason' in loaded) throw new Error(loaded.reason)
  return loaded.addon
}
const random = new Random(34)

/** Vectors as networks give them: many zeros, a few large numbers. */
const vectorsOf = (count: number, length: number): Float32Array[] =>
  Array.from({ length: count }, () =>
    Float32Array.from({ length }, () => (random.next() < 0.3 ? 0 : random.normal(1) ** 3)),
  )

it.each([
  [1, [1]],
  [2, [3, 5]],
  [5, [31, 1, 64]],
  [9, [129, 7]],
  [13, [2100, 33, 300]],
])('joins, multiplies, fits and sums %i vectors of parts of %j as the plain arithmetic does', async (count, sizes) => {
  const lengths = Uint32Array.from(sizes)
  const length = sizes.reduce((sum, each) => sum + each, 0)
  const raw = vectorsOf(count, length)
  raw[0]!.fill(0, 0, sizes[0])
  const mean = vectorsOf(1, length)[0]!
  mean.fill(0, 0, sizes[0])
  const space = { mean, lengths, weights: Float32Array.from(sizes, (_, i) => 1 / (i + 1)) }
  expect(await native().joinVectors(raw, space)).toEqual(await plainArithmetic.joinVectors(raw, space))
  const products = await plainArithmetic.byteProducts(raw, null, space)
  expect(await native().byteProducts(raw, null, space)).toEqual(products)
  const few = raw.slice(0, 3)
  expect(await native().byteProducts(few, raw, space)).toEqual(products.slice(0, few.length * count))
  const samples = {
    products,
    states: Uint32Array.from({ length: count }, (_, i) => i % Math.min(count, 5)),
    stateCount: Math.min(count, 5),
    groups: Uint32Array.from({ length: count }, (_, i) => i >> 1),
    lambdas: Float64Array.of(1e-3, 1e-2, 1e-1),
  }
  const fit = await plainArithmetic.fitRidge(samples)
  expect(await native().fitRidge(samples)).toEqual(fit)
  expect(samples.lambdas).toContain(fit.at(-1))
  const alpha = Float64Array.from({ length: count * 3 }, () => random.normal(1))
  const sums = await plainArithmetic.weightedSums(raw, space, alpha, 3)
  expect(await native().weightedSums(raw, space, alpha, 3)).toEqual(sums)
})

it('products in 8 bits are near those of the joined vectors, and weighted sums are theirs', async () => {
  const [count, length] = [20, 700]
  const raw = vectorsOf(count, length)
  const mean = vectorsOf(1, length)[0]!
  const space = { mean, lengths: Uint32Array.of(300, 400), weights: Float32Array.of(1, 0.5) }
  const joined = await native().joinVectors(raw, space)
  const vectors = raw.map((_, i) => joined.subarray(i * length, (i + 1) * length))
  for (const vector of vectors) {
    expect(vector.subarray(0, 300).reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 5)
    expect(vector.subarray(300).reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(0.25, 5)
  }
  const products = await native().byteProducts(raw, null, space)
  vectors.forEach((a, i) => {
    vectors.forEach((b, j) => {
      const exact = a.reduce((sum, value, k) => sum + value * b[k]!, 0)
      expect(Math.abs(products[i * count + j]! - exact)).toBeLessThan(0.01)
    })
  })
  const alpha = Float64Array.from({ length: count * 2 }, () => random.normal(1))
  const sums = await native().weightedSums(raw, space, alpha, 2)
  for (const k of [0, 299, 300, 699])
    for (const s of [0, 1]) {
      const exact = vectors.reduce((sum, vector, i) => sum + alpha[i * 2 + s]! * vector[k]!, 0)
      expect(sums[k * 2 + s]).toBeCloseTo(exact, 4)
    }
})

const spaceOf = (length: number, parts = 1): VectorSpace => ({
  mean: new Float32Array(length),
  lengths: Uint32Array.of(length),
  weights: new Float32Array(parts),
})

const sample = {
  products: new Float64Array(4),
  states: Uint32Array.of(0, 1),
  stateCount: 2,
  groups: Uint32Array.of(0, 1),
  lambdas: Float64Array.of(1),
}

it.each([
  ['vectors of different lengths', () => native().byteProducts(vectorsOf(2, 8), vectorsOf(1, 9), spaceOf(8))],
  ['no vector', () => native().weightedSums([], spaceOf(8), new Float64Array(0), 2)],
  ['products of another number', () => native().fitRidge({ ...sample, products: new Float64Array(5) })],
  ['a state that is none', () => native().fitRidge({ ...sample, states: Uint32Array.of(0, 2) })],
  ['no λ', () => native().fitRidge({ ...sample, lambdas: new Float64Array(0) })],
  ['weights of other parts', () => native().joinVectors(vectorsOf(1, 8), spaceOf(8, 2))],
])('%s are refused', (_, call) => {
  expect(call).toThrow(TypeError)
})
