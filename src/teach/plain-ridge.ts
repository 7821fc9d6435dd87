/** Kernel ridge regression in the order of native/teach/ridge.cc, and so with the same bits. */
import type { RidgeSamples } from '../arithmetic.js'

/** See `Arithmetic.fitRidge`. */
export function plainRidge(samples: RidgeSamples): Float64Array {
  const { lambdas } = samples
  const problem = { ...samples, ...centred(samples), shares: sharesOf(samples), members: membersOf(samples) }
  let best = fitted(problem, lambdas[0]!)
  for (const lambda of lambdas.subarray(1)) {
    const next = fitted(problem, lambda)
    if (!(next.error < best.error)) break
    best = next
  }
  return best.result
}

interface Problem extends RidgeSamples {
  /** K minus the means of its rows and columns plus the mean of all. */
  readonly matrix: Float64Array
  /** Of the rows. */
  readonly means: Float64Array
  /** The part of the samples that each state has. */
  readonly shares: Float64Array
  /** Samples that are left out together. */
  readonly members: readonly (readonly number[])[]
}

function centred({ products, states: { length: n } }: RidgeSamples): Pick<Problem, 'matrix' | 'means'> {
  const means = new Float64Array(n)
  let mean = 0
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) means[i]! += products[i * n + j]!
    means[i]! /= n
    mean += means[i]!
  }
  mean /= n
  const matrix = products.map((value, at) => value - means[Math.floor(at / n)]! - means[at % n]! + mean)
  return { matrix, means }
}

function sharesOf({ states, stateCount }: RidgeSamples): Float64Array {
  const counts = new Float64Array(stateCount)
  for (const state of states) counts[state]! += 1
  return counts.map((count) => count / states.length)
}

function membersOf({ groups }: RidgeSamples): readonly (readonly number[])[] {
  const members = new Map<number, number[]>()
  groups.forEach((group, i) => members.set(group, [...(members.get(group) ?? []), i]))
  return [...members.values()]
}

function fitted(problem: Problem, lambda: number): { readonly result: Float64Array; readonly error: number } {
  const { states, stateCount: count, means, shares, members } = problem
  const n = states.length
  const result = new Float64Array((2 * n + 1) * count + 1)
  const [alpha, intercept, leftOut] = [
    result.subarray(0, n * count),
    result.subarray(n * count, (n + 1) * count),
    result.subarray((n + 1) * count, (2 * n + 1) * count),
  ]
  result[result.length - 1] = lambda
  const root = inverseRoot(problem.matrix, n, lambda * n)
  solveAlpha(problem, root, alpha)
  for (let s = 0; s < count; s++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += means[i]! * alpha[i * count + s]!
    intercept[s] = shares[s]! - sum
  }
  for (const group of members) leaveOut(problem, { group, root, weight: lambda * n, alpha }, leftOut)
  let error = 0
  leftOut.forEach((value, at) => {
    const difference = value - targetOf(states, Math.floor(at / count), at % count)
    error += difference * difference
  })
  return { result, error }
}

const targetOf = (states: Uint32Array, i: number, s: number): number => (states[i] === s ? 1 : 0)

/** The columns of L⁻¹, each as a row, where L Lᵀ is a symmetric matrix with a number added on its diagonal. */
function inverseRoot(matrix: Float64Array, n: number, added: number): readonly Float64Array[] {
  const factor = rows(n, n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      const rest = matrix[i * n + j]! + (i === j ? added : 0) - product(factor[j]!, factor[i]!, 0, j)
      factor[i]![j] = i === j ? Math.sqrt(Math.max(rest, Number.MIN_VALUE)) : rest / factor[j]![j]!
    }
  const root = rows(n, n)
  for (let c = 0; c < n; c++) {
    root[c]![c] = 1 / factor[c]![c]!
    for (let i = c + 1; i < n; i++) root[c]![i] = -product(factor[i]!, root[c]!, c, i) / factor[i]![i]!
  }
  return root
}

const rows = (count: number, length: number): readonly Float64Array[] =>
  Array.from({ length: count }, () => new Float64Array(length))

/** The product of two rows between two columns in four sums, one for each remainder of the column by 4. */
function product(a: Float64Array, b: Float64Array, from: number, to: number): number {
  const sums = [0, 0, 0, 0] as [number, number, number, number]
  for (let k = from; k < to; k++) sums[k % 4]! += a[k]! * b[k]!
  return sums[0] + sums[1] + (sums[2] + sums[3])
}

/** α = M (Y - shares): first L⁻¹, then its transpose. */
function solveAlpha(problem: Problem, root: readonly Float64Array[], alpha: Float64Array): void {
  const { states, stateCount: count, shares } = problem
  const n = states.length
  for (let s = 0; s < count; s++) {
    const half = new Float64Array(n)
    root.forEach((row, c) => {
      const target = targetOf(states, c, s) - shares[s]!
      for (let k = c; k < n; k++) half[k]! += row[k]! * target
    })
    root.forEach((row, c) => {
      alpha[c * count + s] = product(row, half, c, n)
    })
  }
}

function leaveOut(
  { states, stateCount: count }: Problem,
  fit: {
    readonly group: readonly number[]
    readonly root: readonly Float64Array[]
    readonly weight: number
    readonly alpha: Float64Array
  },
  leftOut: Float64Array,
): void {
  const { group, root, weight, alpha } = fit
  const n = states.length
  const system = group.flatMap((i) => group.map((j) => weight * product(root[i]!, root[j]!, Math.max(i, j), n) - 1 / n))
  const sides = group.flatMap((i) => Array.from({ length: count }, (_, s) => weight * alpha[i * count + s]!))
  const errors = solved(system, sides, group.length, count)
  group.forEach((i, row) => {
    for (let s = 0; s < count; s++) leftOut[i * count + s] = targetOf(states, i, s) - errors[row * count + s]!
  })
}

/** Gaussian elimination with row exchange. A singular system, where a group is all that there is, gives zeros. */
function solved(matrix: readonly number[], sides: readonly number[], n: number, columns: number): Float64Array {
  const [a, b] = [Float64Array.from(matrix), Float64Array.from(sides)]
  for (let p = 0; p < n; p++) {
    let best = p
    for (let i = p + 1; i < n; i++) if (Math.abs(a[i * n + p]!) > Math.abs(a[best * n + p]!)) best = i
    if (Math.abs(a[best * n + p]!) < 1e-12) return new Float64Array(b.length)
    swapRows(a, n, p, best)
    swapRows(b, columns, p, best)
    for (let i = 0; i < n; i++) {
      if (i === p) continue
      const factor = a[i * n + p]! / a[p * n + p]!
      for (let k = p; k < n; k++) a[i * n + k]! -= factor * a[p * n + k]!
      for (let k = 0; k < columns; k++) b[i * columns + k]! -= factor * b[p * columns + k]!
    }
  }
  return b.map((value, at) => value / a[Math.floor(at / columns) * n + Math.floor(at / columns)]!)
}

function swapRows(matrix: Float64Array, columns: number, i: number, j: number): void {
  if (i === j) return
  const row = matrix.slice(i * columns, (i + 1) * columns)
  matrix.copyWithin(i * columns, j * columns, (j + 1) * columns)
  matrix.set(row, j * columns)
}
