/**
 * Kernel ridge regression from vectors to states (one column a state, 1 for its pictures, 0 for the others), with the exact
 * errors of leaving pictures out. With K the products of all vectors, centred, the solution is α = (K + λ n I)⁻¹ Y; leaving a
 * group B out changes its rows by e = (λ n M_BB - 1/n)⁻¹ λ n α_B with M the inverse (the block form of Allen's PRESS).
 * All sums are in double precision and in a fixed order, so the same products give the same bits everywhere.
 */
import { arithmetic } from './arithmetic.js'
import { rowProduct } from './plain.js'

/** A fitted regression. Matrices are row-major. */
export interface Ridge {
  /** [samples, states]; its columns sum to 0. */
  readonly alpha: Float64Array
  /** Added to the product, one for each state. */
  readonly intercept: Float64Array
  readonly lambda: number
  /** Prediction for each sample by the fit without its group, [samples, states]. */
  readonly leftOut: Float64Array
  /** The same with other groups left out together; a group that holds all samples of a state says nothing of it. */
  leftOutBy(groups: RidgeProblem['groups']): Float64Array
}

/** What is fitted. */
export interface RidgeProblem {
  /** Products of all pairs of vectors, [samples, samples]. */
  readonly products: Float64Array
  /** The state of each sample. */
  readonly states: readonly number[]
  readonly stateCount: number
  /** Samples that are left out together, such as the looks at one picture; each sample is in one group. */
  readonly groups: readonly (readonly number[])[]
}

/** λ from nearly interpolating to strong; several are tried only where every state keeps a picture when one is left out. */
const lambdas = [1e-5, 1e-3, 1e-1]

/** Fits with the λ whose squared leave-one-group-out error is least. */
export async function fitRidge(problem: RidgeProblem): Promise<Ridge> {
  const tried = canLeaveOut(problem) ? lambdas : lambdas.slice(0, 1)
  const { centred, means } = centre(problem.products, problem.states.length)
  const fits: Ridge[] = []
  for (const lambda of tried) fits.push(await solve(problem, { centred, means, lambda }))
  return fits.reduce((best, fit) => (errorOf(problem, fit) < errorOf(problem, best) ? fit : best))
}

/** Whether no group holds all samples of a state. */
export function canLeaveOut({ states, stateCount, groups }: Omit<RidgeProblem, 'products'>): boolean {
  return Array.from({ length: stateCount }, (_, state) => state).every(
    (state) => groups.filter((group) => group.some((i) => states[i] === state)).length > 1,
  )
}

function errorOf({ states, stateCount }: RidgeProblem, { leftOut }: Ridge): number {
  return leftOut.reduce((sum, value, i) => {
    const target = states[Math.floor(i / stateCount)] === i % stateCount ? 1 : 0
    return sum + (value - target) ** 2
  }, 0)
}

interface Centred {
  /** K minus the means of its rows and columns plus the mean of all. */
  readonly centred: Float64Array
  /** Of the rows. */
  readonly means: Float64Array
}

async function solve(
  problem: RidgeProblem,
  { centred, means, lambda }: Centred & { readonly lambda: number },
): Promise<Ridge> {
  const { states, stateCount } = problem
  const n = states.length
  const weight = lambda * n
  const root = rowsOf(await arithmetic().inverseRoot(centred, n, weight), n)
  const shares = Float64Array.from({ length: stateCount }, (_, s) => states.filter((state) => state === s).length / n)
  const alpha = alphaOf(root, states, shares)
  const intercept = shares.map(
    (share, s) => share - means.reduce((sum, mean, i) => sum + mean * alpha[i * stateCount + s]!, 0),
  )
  const solved = { alpha, root, weight }
  return {
    alpha,
    intercept,
    lambda,
    leftOut: leaveOut(problem, solved),
    leftOutBy: (groups) => leaveOut({ ...problem, groups }, solved),
  }
}

/** α = M (Y - shares), with the columns of the factor's inverse: first L⁻¹, then its transpose. */
function alphaOf(root: readonly Float64Array[], states: readonly number[], shares: Float64Array): Float64Array {
  const [n, count] = [states.length, shares.length]
  const half = rowsOf(new Float64Array(n * count), n)
  const alpha = new Float64Array(n * count)
  root.forEach((row, c) => {
    half.forEach((sums, s) => {
      const target = (states[c] === s ? 1 : 0) - shares[s]!
      for (let k = c; k < n; k++) sums[k]! += row[k]! * target
    })
  })
  root.forEach((row, c) => {
    half.forEach((sums, s) => {
      alpha[c * count + s] = rowProduct(row, sums, { from: c, to: n })
    })
  })
  return alpha
}

function centre(products: Float64Array, n: number): Centred {
  const means = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) means[i]! += products[i * n + j]!
    means[i]! /= n
  }
  const mean = means.reduce((sum, value) => sum + value, 0) / n
  const centred = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) centred[i * n + j] = products[i * n + j]! - means[i]! - means[j]! + mean
  return { centred, means }
}

interface Solved {
  readonly alpha: Float64Array
  /** Columns of L⁻¹ as rows: entry (i, j) of the inverse is the product of rows i and j. It is needed only within groups. */
  readonly root: readonly Float64Array[]
  readonly weight: number
}

function leaveOut({ states, stateCount, groups }: RidgeProblem, { alpha, root, weight }: Solved): Float64Array {
  const n = states.length
  const leftOut = new Float64Array(n * stateCount)
  for (const group of groups) {
    const size = group.length
    const system = group.flatMap((i) =>
      group.map((j) => weight * rowProduct(root[i]!, root[j]!, { from: Math.max(i, j), to: n }) - 1 / n),
    )
    const sides = group.flatMap((i) =>
      Array.from({ length: stateCount }, (_, s) => weight * alpha[i * stateCount + s]!),
    )
    const errors = solveSmall(system, sides, size, stateCount)
    group.forEach((i, row) => {
      for (let s = 0; s < stateCount; s++)
        leftOut[i * stateCount + s] = (states[i] === s ? 1 : 0) - errors[row * stateCount + s]!
    })
  }
  return leftOut
}

/** Gaussian elimination with row exchange. A singular system, where a group is all that there is, gives zeros. */
function solveSmall(matrix: readonly number[], sides: readonly number[], n: number, columns: number): Float64Array {
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

const rowsOf = (matrix: Float64Array, length: number): readonly Float64Array[] =>
  Array.from({ length: matrix.length / length }, (_, row) => matrix.subarray(row * length, (row + 1) * length))

function swapRows(matrix: Float64Array, columns: number, i: number, j: number): void {
  if (i === j) return
  const row = matrix.slice(i * columns, (i + 1) * columns)
  matrix.copyWithin(i * columns, j * columns, (j + 1) * columns)
  matrix.set(row, j * columns)
}

/** The product of two vectors of one length, in four sums. */
export function dot(a: Float32Array, b: Float32Array): number {
  let [s, t, u, v] = [0, 0, 0, 0]
  let i = 0
  for (; i + 3 < a.length; i += 4) {
    s += a[i]! * b[i]!
    t += a[i + 1]! * b[i + 1]!
    u += a[i + 2]! * b[i + 2]!
    v += a[i + 3]! * b[i + 3]!
  }
  for (; i < a.length; i++) s += a[i]! * b[i]!
  return s + t + (u + v)
}
