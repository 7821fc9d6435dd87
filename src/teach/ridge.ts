/**
 * Kernel ridge regression from vectors to states (one column a state, 1 for its pictures, 0 for the others), with the exact
 * errors of leaving pictures out. With K the products of all vectors, centred, the solution is α = (K + λ n I)⁻¹ Y; leaving a
 * group B out changes its rows by e = (λ n M_BB - 1/n)⁻¹ λ n α_B with M the inverse (the block form of Allen's PRESS).
 * All sums are in double precision and in a fixed order, so the same vectors give the same bits everywhere.
 */

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
export function fitRidge(problem: RidgeProblem): Ridge {
  const tried = canLeaveOut(problem) ? lambdas : lambdas.slice(0, 1)
  const fits = tried.map((lambda) => solve(problem, lambda))
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

function solve(problem: RidgeProblem, lambda: number): Ridge {
  const { products, states, stateCount } = problem
  const n = states.length
  const { centred, means } = centre(products, n)
  const weight = lambda * n
  for (let i = 0; i < n; i++) centred[i * n + i]! += weight
  const root = inverseRoot(centred, n)
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
function alphaOf(root: Float64Array, states: readonly number[], shares: Float64Array): Float64Array {
  const [n, count] = [states.length, shares.length]
  const half = new Float64Array(n * count)
  const alpha = new Float64Array(n * count)
  for (let c = 0; c < n; c++)
    for (let s = 0; s < count; s++) {
      const target = (states[c] === s ? 1 : 0) - shares[s]!
      for (let k = c; k < n; k++) half[s * n + k]! += root[c * n + k]! * target
    }
  for (let c = 0; c < n; c++)
    for (let s = 0; s < count; s++) alpha[c * count + s] = spanProduct(root, c * n, half, s * n, c, n)
  return alpha
}

/** K minus the means of rows and columns plus the mean of all; `means` are those of the rows. */
function centre(products: Float64Array, n: number): { centred: Float64Array; means: Float64Array } {
  const means = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) means[i]! += products[i * n + j]!
    means[i]! /= n
  }
  const mean = means.reduce((sum, value) => sum + value, 0) / n
  const centred = products.map((value, at) => value - means[Math.floor(at / n)]! - means[at % n]! + mean)
  return { centred, means }
}

/**
 * The columns of L⁻¹, each as a row, of a symmetric positive definite matrix L Lᵀ: entry (i, j) of its inverse is the product of
 * rows i and j. The inverse itself is needed only within groups.
 */
function inverseRoot(matrix: Float64Array, n: number): Float64Array {
  const factor = matrix
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      const sum = factor[i * n + j]! - spanProduct(factor, i * n, factor, j * n, 0, j)
      factor[i * n + j] = i === j ? Math.sqrt(Math.max(sum, Number.MIN_VALUE)) : sum / factor[j * n + j]!
    }
  }
  const root = new Float64Array(n * n)
  for (let c = 0; c < n; c++) {
    root[c * n + c] = 1 / factor[c * n + c]!
    for (let i = c + 1; i < n; i++)
      root[c * n + i] = -spanProduct(factor, i * n, root, c * n, c, i) / factor[i * n + i]!
  }
  return root
}

/** The product of two rows between two columns, in four sums. */
function spanProduct(a: Float64Array, rowA: number, b: Float64Array, rowB: number, from: number, to: number): number {
  let [s, t, u, v] = [0, 0, 0, 0]
  let k = from
  for (; k + 3 < to; k += 4) {
    s += a[rowA + k]! * b[rowB + k]!
    t += a[rowA + k + 1]! * b[rowB + k + 1]!
    u += a[rowA + k + 2]! * b[rowB + k + 2]!
    v += a[rowA + k + 3]! * b[rowB + k + 3]!
  }
  for (; k < to; k++) s += a[rowA + k]! * b[rowB + k]!
  return s + t + (u + v)
}

interface Solved {
  readonly alpha: Float64Array
  /** See `inverseRoot`. */
  readonly root: Float64Array
  readonly weight: number
}

function leaveOut({ states, stateCount, groups }: RidgeProblem, { alpha, root, weight }: Solved): Float64Array {
  const n = states.length
  const leftOut = new Float64Array(n * stateCount)
  for (const group of groups) {
    const size = group.length
    const system = group.flatMap((i) =>
      group.map((j) => weight * spanProduct(root, i * n, root, j * n, Math.max(i, j), n) - 1 / n),
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
