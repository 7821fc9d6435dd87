/**
 * The arithmetic of fitting a head in TypeScript, in the same order as native/teach, and so with the same bits. It serves where
 * the addon does not load, and a test compares the addon with it.
 */
import type { Arithmetic, VectorSpace } from '../arithmetic.js'
import { plainRidge } from './plain-ridge.js'

const { fround } = Math

/** See `Arithmetic`. */
export const plainArithmetic: Arithmetic = {
  joinVectors(raw, space) {
    const length = space.mean.length
    const joined = new Float32Array(raw.length * length)
    raw.forEach((vector, i) => {
      for (const { centred, start, weight } of partsIn(vector, space)) {
        const factor = factorOf(centred, weight)
        joined.set(
          centred.map((value) => value * factor),
          i * length + start,
        )
      }
    })
    return Promise.resolve(joined)
  },
  byteProducts(rows, columns, space) {
    const right = columns ?? rows
    const products = new Float64Array(rows.length * right.length)
    const [left, others] = [rows, right].map((vectors) =>
      vectors.map((vector) => partsIn(vector, space).map(({ centred, weight }) => rounded(centred, weight))),
    ) as [Rounded[][], Rounded[][]]
    left.forEach((a, r) => {
      others.forEach((b, c) => {
        a.forEach((part, p) => {
          products[r * right.length + c]! += part.factor * b[p]!.factor * wholeProduct(part.values, b[p]!.values)
        })
      })
    })
    return Promise.resolve(products)
  },
  fitRidge: (samples) => Promise.resolve(plainRidge(samples)),
  weightedSums(raw, space, alpha, states) {
    const sums = new Float32Array(states * space.mean.length)
    const vectors = raw.map((vector) => partsIn(vector, space))
    vectors[0]!.forEach(({ start, centred: { length } }, p) => {
      const factors = vectors.map((parts) => factorOf(parts[p]!.centred, parts[p]!.weight))
      for (let s = 0; s < states; s++) {
        const scaled = factors.map((factor, i) => fround(alpha[i * states + s]! * factor))
        for (let k = 0; k < length; k++)
          for (let first = 0; first < raw.length; first += 8) {
            const [a, b, c, d, e, f, g, h] = Array.from({ length: 8 }, (_, v) => {
              const part = vectors[first + v]?.[p]
              return part ? fround(scaled[first + v]! * part.centred[k]!) : 0
            }) as [number, number, number, number, number, number, number, number]
            const [front, back] = [fround(fround(a + b) + fround(c + d)), fround(fround(e + f) + fround(g + h))]
            sums[(start + k) * states + s]! += fround(front + back)
          }
      }
    })
    return Promise.resolve(sums)
  },
}

/** The parts of a vector, less the mean. */
function partsIn(
  vector: Float32Array,
  { mean, lengths, weights }: VectorSpace,
): readonly { readonly centred: Float32Array; readonly start: number; readonly weight: number }[] {
  let end = 0
  return Array.from(lengths, (length, p) => {
    const start = end
    end += length
    const centred = vector.subarray(start, end).map((value, k) => value - mean[start + k]!)
    return { centred, start, weight: weights[p]! }
  })
}

/** What brings a part to the length of its weight; its squares are summed in four sums. */
function factorOf(centred: Float32Array, weight: number): number {
  const sums = new Float32Array(4)
  centred.forEach((value, k) => {
    sums[k % 4]! += fround(value * value)
  })
  const squares = fround(fround(sums[0]! + sums[1]!) + fround(sums[2]! + sums[3]!))
  return squares > 0 ? fround(weight / Math.sqrt(squares)) : 0
}

interface Rounded {
  /** Whole numbers from -127 to 127. */
  readonly values: Float32Array
  /** What brings them to the length of the part's weight. */
  readonly factor: number
}

/** Adding this in single precision leaves no fraction: 1.5 · 2²³. */
const noFraction = 12582912

function rounded(part: Float32Array, weight: number): Rounded {
  const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const scale = largest > 0 ? fround(127 / largest) : 0
  const values = part.map((value) => fround(fround(value * scale) + noFraction) - noFraction)
  const squares = wholeProduct(values, values)
  return { values, factor: squares > 0 ? weight / Math.sqrt(squares) : 0 }
}

function wholeProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!
  return sum
}
