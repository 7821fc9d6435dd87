/** The addon's arithmetic of fitting against the plain one: the same bits over odd lengths, and exact where it can be. */
import { expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import type { Arithmetic } from '../../src/arithmetic.js'
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
])(
  'joins, multiplies, inverts and sums %i vectors of parts of %j as the plain arithmetic does',
  async (count, sizes) => {
    const lengths = Uint32Array.from(sizes)
    const length = sizes.reduce((sum, each) => sum + each, 0)
    const raw = vectorsOf(count, length)
    raw[0]!.fill(0, 0, sizes[0])
    const mean = vectorsOf(1, length)[0]!
    mean.fill(0, 0, sizes[0])
    const weights = Float32Array.from(sizes, (_, i) => 1 / (i + 1))
    const joined = await plainArithmetic.joinVectors(raw, mean, lengths, weights)
    expect(await native().joinVectors(raw, mean, lengths, weights)).toEqual(joined)
    const vectors = raw.map((_, i) => joined.subarray(i * length, (i + 1) * length))
    const products = await plainArithmetic.byteProducts(vectors, null, lengths)
    expect(await native().byteProducts(vectors, null, lengths)).toEqual(products)
    const few = vectors.slice(0, 3)
    expect(await native().byteProducts(few, vectors, lengths)).toEqual(products.slice(0, few.length * count))
    const root = await plainArithmetic.inverseRoot(products, count, 0.1)
    expect(await native().inverseRoot(products, count, 0.1)).toEqual(root)
    const alpha = Float32Array.from({ length: count * 3 }, () => random.normal(1))
    const sums = await plainArithmetic.weightedSums(vectors, alpha, 3)
    expect(await native().weightedSums(vectors, alpha, 3)).toEqual(sums)
  },
)

it('products in 8 bits are near the real ones, and the inverse root is one', async () => {
  const [count, length] = [20, 700]
  const raw = vectorsOf(count, length)
  const lengths = Uint32Array.of(length)
  const joined = await native().joinVectors(raw, new Float32Array(length), lengths, Float32Array.of(1))
  const vectors = raw.map((_, i) => joined.subarray(i * length, (i + 1) * length))
  const products = await native().byteProducts(vectors, null, lengths)
  vectors.forEach((a, i) => {
    vectors.forEach((b, j) => {
      const exact = a.reduce((sum, value, k) => sum + value * b[k]!, 0)
      expect(Math.abs(products[i * count + j]! - exact)).toBeLessThan(0.01)
    })
  })
  const root = await native().inverseRoot(products, count, 0)
  const inverse = (i: number, j: number): number =>
    root.subarray(i * count, (i + 1) * count).reduce((sum, value, k) => sum + value * root[j * count + k]!, 0)
  for (let i = 0; i < count; i++)
    for (let j = 0; j < count; j++) {
      const identity = Array.from({ length: count }, (_, k) => products[i * count + k]! * inverse(k, j))
      expect(identity.reduce((sum, value) => sum + value, 0)).toBeCloseTo(i === j ? 1 : 0, 8)
    }
})

it.each([
  ['vectors of different lengths', () => native().byteProducts(vectorsOf(2, 8), vectorsOf(1, 9), Uint32Array.of(8))],
  ['no vector', () => native().weightedSums([], new Float32Array(0), 2)],
  ['a matrix of another size', () => native().inverseRoot(new Float64Array(5), 2, 1)],
  [
    'weights of other parts',
    () => native().joinVectors(vectorsOf(1, 8), new Float32Array(8), Uint32Array.of(8), new Float32Array(2)),
  ],
])('%s are refused', (_, call) => {
  expect(call).toThrow(TypeError)
})
