/**
 * The facts that can be proven about a value from the graph alone: the range of its elements, the axis along which they
 * sum to a constant, and how its integers encode real numbers. `fact-finder.ts` derives them by the rules of
 * `fact-rules.ts`.
 */
import type { Quantization } from '../../decision/prediction.js'
import type { Node } from '../graph.js'

/** Facts about the elements of one value. Ranges and sums are those of the real numbers, not of stored integers. */
export interface Facts {
  readonly low: number
  readonly high: number
  /** The elements along `axis` (counted from 0) sum to `total`. */
  readonly sum: { readonly axis: number; readonly total: number } | null
  /**
   * `logit`: the result of a linear layer. `share`: computed from a softmax, a sigmoid or a normalisation by affine steps.
   * `other`: anything else.
   */
  readonly kind: 'logit' | 'share' | 'other'
  /** For integers: real = scale · (stored − zeroPoint). */
  readonly quantization: Quantization | null
  /** For logarithms: the facts of the exponential. */
  readonly exponential: Facts | null
}

/** Nothing is known. */
export const unknown: Facts = {
  low: -Infinity,
  high: Infinity,
  sum: null,
  kind: 'other',
  quantization: null,
  exponential: null,
}

/** A value between 0 and 1; with `axis`, elements along it sum to 1. */
export const share = (axis?: number): Facts => ({
  ...unknown,
  low: 0,
  high: 1,
  kind: 'share',
  sum: axis === undefined ? null : { axis, total: 1 },
})

/** The result of a linear layer. */
export const logit: Facts = { ...unknown, kind: 'logit' }

/** What a rule sees of its node. */
export interface FactContext {
  readonly node: Node
  readonly opset: number
  /** Facts of an input; unknown for an absent one. */
  input(index: number): Facts
  /** Shape of an input, or null if it is not known. */
  shape(index: number): readonly number[] | null
  /** Shape of the output that is asked for. */
  readonly outputShape: readonly number[] | null
  /** Elements of a constant input, null for others. */
  constant(index: number): readonly number[] | null
  /** The node that computes an input. */
  maker(index: number): Node | undefined
  /** A context for another node, such as an input's maker. */
  at(node: Node): FactContext
}

/** Derives the facts of a node's result. */
export type Rule = (context: FactContext) => Facts

/** The range of given numbers. */
export function rangeOf(values: readonly number[]): Facts {
  let [low, high] = [Infinity, -Infinity]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return low <= high ? { ...unknown, low, high } : unknown
}
