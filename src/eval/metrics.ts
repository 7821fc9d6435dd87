/**
 * Metrics of a classifier on pictures with known labels: accuracy, precision and recall, confusion, calibration,
 * thresholds. Pure functions of the answers.
 */

/** The classifier's answer to one picture. */
export interface Answer {
  readonly truth: number
  readonly predicted: number
  /** Score of the predicted class, 0 to 1. */
  readonly score: number
  /** Place of the true class in the ranking, from 0. */
  readonly rank: number
}

export interface ClassFigures {
  readonly index: number
  /** Pictures of this class, and pictures that were predicted as this class. */
  readonly shown: number
  readonly said: number
  /** Null if the divisor is 0. */
  readonly precision: number | null
  readonly recall: number | null
}

export interface Bin {
  /** Bounds of the score; the upper bound is included. */
  readonly from: number
  readonly to: number
  readonly count: number
  /** Means over the bin; null if it is empty. */
  readonly score: number | null
  readonly accuracy: number | null
}

export interface Threshold {
  readonly threshold: number
  readonly precision: number
  /** Share of all pictures whose score reaches the threshold. */
  readonly coverage: number
}

export interface Evaluation {
  readonly pictures: number
  readonly top1: number
  readonly top5: number
  /** Mean recall over the classes: each class has the same weight, independent of its number of pictures. */
  readonly balanced: number
  /** Every class that occurs as truth or as answer, by index. */
  readonly classes: readonly ClassFigures[]
  /** Pictures by truth and answer; pairs that occur. */
  readonly confusion: readonly { readonly truth: number; readonly predicted: number; readonly count: number }[]
  /** Expected calibration error (Naeini et al. 2015; Guo et al. 2017): |accuracy − score| of each bin, weighted by its pictures. */
  readonly ece: number
  readonly bins: readonly Bin[]
}

const binCount = 15

/** Computes all metrics. Throws TypeError for an empty list. */
export function evaluate(answers: readonly Answer[]): Evaluation {
  if (answers.length === 0)
    throw new TypeError('Expected at least one answer for evaluate but received none of type object')
  const classes = classFigures(answers)
  const recalls = classes.flatMap(({ recall }) => (recall === null ? [] : [recall]))
  const bins = calibrationBins(answers)
  return {
    pictures: answers.length,
    top1: share(answers, ({ rank }) => rank === 0),
    top5: share(answers, ({ rank }) => rank < 5),
    balanced: recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length,
    classes,
    confusion: confusionOf(answers),
    ece: bins.reduce(
      (sum, { count, score, accuracy }) =>
        sum + (count === 0 ? 0 : (count / answers.length) * Math.abs(accuracy! - score!)),
      0,
    ),
    bins,
  }
}

/** Precision and coverage at every score that occurs, highest first. Answers with equal scores pass a threshold together. */
export function thresholds(answers: readonly Answer[]): Threshold[] {
  const sorted = answers.toSorted((a, b) => b.score - a.score)
  const result: Threshold[] = []
  let right = 0
  sorted.forEach(({ truth, predicted, score }, i) => {
    if (truth === predicted) right++
    if (sorted[i + 1]?.score !== score)
      result.push({ threshold: score, precision: right / (i + 1), coverage: (i + 1) / sorted.length })
  })
  return result
}

/** The threshold with the highest coverage whose precision is at least `wanted`; null if there is none. */
export function thresholdFor(answers: readonly Answer[], wanted: number): Threshold | null {
  return thresholds(answers).findLast(({ precision }) => precision >= wanted) ?? null
}

function share(answers: readonly Answer[], is: (answer: Answer) => boolean): number {
  return answers.filter(is).length / answers.length
}

function classFigures(answers: readonly Answer[]): ClassFigures[] {
  const indices = [...new Set(answers.flatMap(({ truth, predicted }) => [truth, predicted]))].sort((a, b) => a - b)
  return indices.map((index) => {
    const shown = answers.filter(({ truth }) => truth === index).length
    const said = answers.filter(({ predicted }) => predicted === index).length
    const right = answers.filter(({ truth, predicted }) => truth === index && predicted === index).length
    return {
      index,
      shown,
      said,
      precision: said === 0 ? null : right / said,
      recall: shown === 0 ? null : right / shown,
    }
  })
}

function confusionOf(answers: readonly Answer[]): Evaluation['confusion'] {
  const counts = new Map<string, { truth: number; predicted: number; count: number }>()
  for (const { truth, predicted } of answers) {
    const key = `${truth} ${predicted}`
    const cell = counts.get(key) ?? { truth, predicted, count: 0 }
    counts.set(key, { ...cell, count: cell.count + 1 })
  }
  return [...counts.values()].sort((a, b) => a.truth - b.truth || b.count - a.count || a.predicted - b.predicted)
}

function calibrationBins(answers: readonly Answer[]): Bin[] {
  return Array.from({ length: binCount }, (_, i) => {
    const [from, to] = [i / binCount, (i + 1) / binCount]
    const inside = answers.filter(({ score }) => (score > from || i === 0) && (score <= to || i === binCount - 1))
    const count = inside.length
    const mean = (value: (answer: Answer) => number): number | null =>
      count === 0 ? null : inside.reduce((sum, answer) => sum + value(answer), 0) / count
    return {
      from,
      to,
      count,
      score: mean(({ score }) => score),
      accuracy: mean(({ truth, predicted }) => (truth === predicted ? 1 : 0)),
    }
  })
}
