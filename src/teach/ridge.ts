/**
 * Kernel ridge regression from vectors to states (one column a state, 1 for its pictures, 0 for the others), with the exact
 * errors of leaving pictures out. With K the products of all vectors, centred, the solution is α = (K + λ n I)⁻¹ Y; leaving a
 * group B out changes its rows by e = (λ n M_BB - 1/n)⁻¹ λ n α_B with M the inverse (the block form of Allen's PRESS).
 * All sums are in double precision and in a fixed order, so the same products give the same bits everywhere.
 */
import { arithmetic } from './arithmetic.js'

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
  leftOutBy(groups: RidgeProblem['groups']): Promise<Float64Array>
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

/** Fits with ever stronger λ until the squared leave-one-group-out error stops falling, and keeps the best. */
export async function fitRidge(problem: RidgeProblem): Promise<Ridge> {
  const fit = await solve(problem, canLeaveOut(problem) ? lambdas : lambdas.slice(0, 1))
  return {
    ...fit,
    leftOutBy: async (groups) => (await solve({ ...problem, groups }, [fit.lambda])).leftOut,
  }
}

/** Whether no group holds all samples of a state. */
export function canLeaveOut({ states, stateCount, groups }: Omit<RidgeProblem, 'products'>): boolean {
  const groupsOfState = new Uint32Array(stateCount)
  for (const group of groups) for (const state of new Set(group.map((i) => states[i]!))) groupsOfState[state]! += 1
  return groupsOfState.every((count) => count > 1)
}

async function solve(problem: RidgeProblem, tried: readonly number[]): Promise<Omit<Ridge, 'leftOutBy'>> {
  const { products, states, stateCount, groups } = problem
  const groupOf = new Uint32Array(states.length)
  groups.forEach((group, number) => {
    for (const i of group) groupOf[i] = number
  })
  const result = await arithmetic().fitRidge({
    products,
    states: Uint32Array.from(states),
    stateCount,
    groups: groupOf,
    lambdas: Float64Array.from(tried),
  })
  const end = states.length * stateCount
  return {
    alpha: result.subarray(0, end),
    intercept: result.subarray(end, end + stateCount),
    leftOut: result.subarray(end + stateCount, 2 * end + stateCount),
    lambda: result.at(-1)!,
  }
}
