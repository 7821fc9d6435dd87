/**
 * The arithmetic of fitting a head in TypeScript, in the same order as native/teach, and so with the same bits. It serves where
 * the addon does not load, and a test compares the addon with it.
 */
import type { Arithmetic } from '../arithmetic.js'

const { fround } = Math

/** See `Arithmetic`. */
export const plainArithmetic: Arithmetic = {
  joinVectors(raw, mean, lengths, weights) {
    const length = lengths.reduce((sum, each) => sum + each, 0)
    const joined = new Float32Array(raw.length * length)
    raw.forEach((vector, i) => {
      let start = 0
      lengths.forEach((each, p) => {
        const end = start + each
        const differences = vector.subarray(start, end).map((value, k) => value - mean[start + k]!)
        const squares = rowProduct(differences, differences, { from: 0, to: each })
        const factor = squares > 0 ? fround(weights[p]! / Math.sqrt(squares)) : 0
        joined.set(
          differences.map((value) => value * factor),
          i * length + start,
        )
        start = end
      })
    })
    return Promise.resolve(joined)
  },
  byteProducts(rows, columns, lengths) {
    const right = columns ?? rows
    const products = new Float64Array(rows.length * right.length)
    let start = 0
    for (const length of lengths) {
      const roundedPart = (vector: Float32Array): Rounded => rounded(vector.subarray(start, start + length))
      const [left, columnsOfPart] = [rows.map(roundedPart), right.map(roundedPart)]
      left.forEach((a, r) => {
        columnsOfPart.forEach((b, c) => {
          products[r * right.length + c]! += a.scale * b.scale * wholeProduct(a.values, b.values)
        })
      })
      start += length
    }
    return Promise.resolve(products)
  },
  inverseRoot(given, n, added) {
    const matrix = given.map((value, at) => (at % (n + 1) === 0 ? value + added : value))
    for (let j = 0; j < n; j++)
      for (let i = j; i < n; i++) {
        const [own, other] = [matrix.subarray(j * n, (j + 1) * n), matrix.subarray(i * n, (i + 1) * n)]
        const rest = other[j]! - rowProduct(other, own, { from: 0, to: j })
        other[j] = i === j ? Math.sqrt(Math.max(rest, Number.MIN_VALUE)) : rest / own[j]!
      }
    const root = new Float64Array(n * n)
    for (let i = 0; i < n; i++) {
      const factor = matrix.subarray(i * n, (i + 1) * n)
      for (let c = 0; c < i; c++)
        root[c * n + i] = -rowProduct(factor, root.subarray(c * n, (c + 1) * n), { from: c, to: i }) / factor[i]!
      root[i * n + i] = 1 / factor[i]!
    }
    return Promise.resolve(root)
  },
  weightedSums(vectors, alpha, states) {
    const length = vectors[0]?.length ?? 0
    const sums = new Float32Array(states * length)
    for (let i = 0; i < vectors.length; i += 4)
      for (let s = 0; s < states; s++)
        for (let k = 0; k < length; k++) {
          const [a, b, c, d] = [0, 1, 2, 3].map((v) => {
            const vector = vectors[i + v]
            return vector ? fround(alpha[(i + v) * states + s]! * vector[k]!) : 0
          }) as [number, number, number, number]
          sums[s * length + k]! += fround(fround(a + b) + fround(c + d))
        }
    return Promise.resolve(sums)
  },
}

interface Rounded {
  /** Whole numbers from -127 to 127. */
  readonly values: Float32Array
  readonly scale: number
}

/** Adding this in single precision leaves no fraction: 1.5 · 2²³. */
const noFraction = 12582912

function rounded(part: Float32Array): Rounded {
  const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const factor = largest > 0 ? fround(127 / largest) : 0
  const values = part.map((value) => fround(fround(value * factor) + noFraction) - noFraction)
  return { values, scale: largest / 127 }
}

function wholeProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!
  return sum
}

type Numbers = Float32Array | Float64Array

/** The product of two rows between two columns, in four sums. */
export function rowProduct(
  a: Numbers,
  b: Numbers,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  let [s, t, u, v] = [0, 0, 0, 0]
  let k = from
  for (; k + 3 < to; k += 4) {
    s += a[k]! * b[k]!
    t += a[k + 1]! * b[k + 1]!
    u += a[k + 2]! * b[k + 2]!
    v += a[k + 3]! * b[k + 3]!
  }
  for (; k < to; k++) s += a[k]! * b[k]!
  return s + t + (u + v)
}
