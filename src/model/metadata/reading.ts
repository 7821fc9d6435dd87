/**
 * Decides how a classifier's outputs become scores: by the facts of the graph if they are conclusive, else by the outputs
 * of a few pictures. Pure functions; `classifier/probe.ts` runs the pictures.
 */
import type { Quantization, ScoreActivation } from '../../decision/prediction.js'
import type { Facts } from './facts.js'

/** How outputs become scores. */
export interface Reading {
  readonly activation: ScoreActivation
  /** What turns stored numbers into the numbers that the activation takes; null if they are the same. */
  readonly quantization: Quantization | null
  /** What the outputs are and how that is known, as part of a sentence. */
  readonly sentence: string
  /** False if the graph does not tell. */
  readonly isCertain: boolean
}

const slack = 1e-4

/** The reading that follows from the graph; not certain if it is only the usual one. */
export function readingOf(facts: Facts): Reading {
  const { low, high, sum, quantization, exponential, kind } = facts
  if (low >= -slack && high <= 1 + slack)
    return certain('none', quantization, sum && Math.abs(sum.total - 1) < 0.01 ? sumsToOne : independent)
  if (kind === 'share' && low >= 0 && Number.isFinite(high)) {
    const whole = sum?.total ?? high
    return certain('none', inShares(quantization, whole), `shares of ${Number(whole.toPrecision(4))}, by the graph`)
  }
  if (exponential?.sum) return certain('softmax', quantization, 'log-probabilities, by the graph')
  if (exponential && exponential.low >= -slack && exponential.high <= 1 + slack)
    return certain('exp', quantization, 'logarithms of independent probabilities, by the graph')
  if (kind === 'logit') return certain('softmax', quantization, 'logits of a linear layer, by the graph')
  return {
    activation: 'softmax',
    quantization,
    sentence: 'taken for logits: the graph does not tell',
    isCertain: false,
  }
}

const sumsToOne = 'probabilities that sum to 1, by the graph'
const independent = 'independent probabilities from 0 to 1, by the graph'

const certain = (activation: ScoreActivation, quantization: Quantization | null, sentence: string): Reading => ({
  activation,
  quantization,
  sentence,
  isCertain: true,
})

const inShares = (code: Quantization | null, whole: number): Quantization => ({
  scale: (code?.scale ?? 1) / whole,
  zeroPoint: code?.zeroPoint ?? 0,
})

/**
 * The reading that follows from the outputs of some pictures, `rows` of real numbers: probabilities if all lie between 0
 * and 1, shares of 100 or 255 if each row sums to that, else what was assumed before.
 */
export function probedReading(before: Reading, rows: readonly ArrayLike<number>[]): Reading {
  const how = `in the outputs of ${rows.length} test pictures`
  const reading = (activation: ScoreActivation, quantization: Quantization | null, what: string): Reading => ({
    activation,
    quantization,
    sentence: `${what}, ${how}`,
    isCertain: false,
  })
  const sums = rows.map((row) => sumOf(row))
  const isSum = (whole: number): boolean => sums.every((sum) => Math.abs(sum - whole) < 0.02 * whole)
  if (rows.length === 0) return before
  if (rows.every((row) => isWithin(row, 0, 1))) {
    const what =
      isSum(1) && rows[0]!.length > 1 ? 'probabilities that sum to 1' : 'independent probabilities from 0 to 1'
    return reading('none', before.quantization, what)
  }
  const whole = [100, 255].find((each) => isSum(each) && rows.every((row) => isWithin(row, 0, each)))
  if (whole !== undefined) return reading('none', inShares(before.quantization, whole), `shares of ${whole}`)
  return reading('softmax', before.quantization, 'logits: they leave the range from 0 to 1')
}

function isWithin(row: ArrayLike<number>, low: number, high: number): boolean {
  for (let i = 0; i < row.length; i++) if (!(row[i]! >= low - slack && row[i]! <= high + slack * high)) return false
  return true
}

function sumOf(row: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < row.length; i++) sum += row[i]!
  return sum
}
