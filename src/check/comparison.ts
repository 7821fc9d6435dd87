/**
 * Compares what the model says with the reference, for every way to prepare pictures, every order of the labels and every function
 * that makes scores; and names the fewest changes that explain the reference best.
 */
import { createPredictor, type Predictor } from '../decision/prediction.js'
import { orderOf, type Change, type Ending, type Look, type Order } from './alternatives.js'
import { bestOf, type Answer, type Expected } from './expected.js'

/** How near the model's answers are to the reference. */
export interface Agreement {
  /** Share of the pictures with the same label. */
  readonly agreement: number
  /** Mean distance between the scores, 0 for the same; null where the reference has no scores. */
  readonly distance: number | null
}

/** One combination of changes, and how near its answers are. */
export interface Candidate extends Agreement {
  readonly changes: readonly Change[]
  readonly look: Look
  readonly ending: Ending
  readonly order: Order
}

/** What is compared. The outputs are those of `expected.answers`, in that order. */
export interface Comparison {
  readonly expected: Expected
  readonly endings: readonly Ending[]
  readonly orders: readonly Order[]
  /** The model has one output for two labels. */
  readonly isBinary: boolean
}

type Outputs = readonly (Float32Array | null)[]

const hasScores = ({ expected }: Comparison): boolean =>
  expected.answers.some(({ score, scores }) => score !== null || scores !== null)

/** All combinations, the best first; the assumed one is the one without changes. */
export function compareAll(
  comparison: Comparison,
  looks: readonly Look[],
  outputs: readonly Outputs[],
): readonly Candidate[] {
  const { isBinary } = comparison
  // Of labels alone the function says nothing: it keeps the order of the outputs.
  const endings = hasScores(comparison) || isBinary ? comparison.endings : comparison.endings.slice(0, 1)
  const candidates = looks.flatMap((look, i) =>
    endings.flatMap((ending) => {
      const scores = scoresOf(comparison, ending, outputs[i]!)
      const learned = learnedOrder(comparison.expected, scores)
      return [...comparison.orders, ...(learned ? [learned] : [])].map(
        (order): Candidate => ({
          ...agreementOf(comparison.expected, order, scores),
          changes: [...look.changes, ...ending.changes, ...order.changes],
          look,
          ending,
          order,
        }),
      )
    }),
  )
  return candidates.sort(byFit)
}

/** The agreement of one combination. */
export function measure(
  comparison: Comparison,
  { ending, order }: Pick<Candidate, 'ending' | 'order'>,
  outputs: Outputs,
): Agreement {
  return agreementOf(comparison.expected, order, scoresOf(comparison, ending, outputs))
}

/** Scores say more than labels; of equal ones the combination with fewer changes comes first. */
export function byFit(a: Candidate, b: Candidate): number {
  return (a.distance ?? 0) - (b.distance ?? 0) || b.agreement - a.agreement || a.changes.length - b.changes.length
}

/**
 * The combination that explains the reference best with the fewest changes; null where the assumed one fits as well. `others` counts
 * different combinations that fit as well with as many changes.
 */
export function explanationOf(
  candidates: readonly Candidate[],
  pictures: number,
): { readonly best: Candidate; readonly others: number } | null {
  const [first] = candidates
  const assumed = candidates.find(({ changes }) => changes.length === 0)!
  const isAsGood = ({ agreement, distance }: Candidate): boolean =>
    distance === null
      ? agreement >= first!.agreement
      : distance <= first!.distance! * 1.1 + 0.001 && agreement >= first!.agreement - 1.5 / pictures
  const good = candidates.filter(isAsGood)
  const fewest = Math.min(...good.map(({ changes }) => changes.length))
  const [best, ...others] = good.filter(({ changes }) => changes.length === fewest)
  const isBetter =
    best!.distance === null
      ? (best!.agreement - assumed.agreement) * pictures > 1.5
      : best!.distance < 0.8 * assumed.distance! - 0.001
  return fewest > 0 && isBetter ? { best: best!, others: others.length } : null
}

/** Scores of every picture by output; null where the outputs are not finite. */
function scoresOf({ expected, isBinary }: Comparison, { activation }: Ending, outputs: Outputs): Outputs {
  const predict: Predictor = createPredictor({
    labels: expected.labels,
    scoreActivation: activation,
    topK: 1,
    modelId: '',
    isBinary,
  })
  const context = {
    engine: 'native',
    target: '',
    frameSeq: 0,
    wallTime: 0,
    timings: { capture: 0, preprocess: 0, infer: 0, total: 0 },
  } as const
  return outputs.map((row) => {
    const outcome = row && predict(isBinary ? row.subarray(1) : row, context)
    return outcome?.ok ? outcome.prediction.scores.slice() : null
  })
}

function agreementOf({ answers }: Expected, { labels }: Order, scores: Outputs): Agreement {
  let [same, distance, compared] = [0, 0, 0]
  answers.forEach((answer, i) => {
    const row = scores[i]
    if (row && labels[bestOf(row)] === answer.label) same++
    if (answer.score === null && answer.scores === null) return
    compared++
    distance += row ? distanceOf(answer, row, labels) : 1
  })
  return { agreement: same / answers.length, distance: compared === 0 ? null : distance / compared }
}

/** Half the sum of the differences (total variation), or the difference of the one score that is known. */
function distanceOf({ label, score, scores }: Answer, row: Float32Array, labels: readonly number[]): number {
  if (scores === null) return Math.abs(row[labels.indexOf(label)]! - score!)
  return labels.reduce((sum, each, output) => sum + Math.abs(row[output]! - scores[each]!), 0) / 2
}

/** So many pictures a label must a reference have before an order is learned from it: with fewer, every order fits. */
const picturesForOrder = 3

/** The order of labels in which the outputs agree most often; null where the pictures are too few to tell. */
function learnedOrder({ labels, answers }: Expected, scores: Outputs): Order | null {
  const seen = new Set(answers.map(({ label }) => label))
  if (seen.size < 2 || answers.length < picturesForOrder * seen.size) return null
  const votes = new Map<string, { output: number; label: number; count: number }>()
  answers.forEach(({ label }, i) => {
    const row = scores[i]
    if (!row) return
    const output = bestOf(row)
    const vote = votes.get(`${output} ${label}`) ?? { output, label, count: 0 }
    votes.set(`${output} ${label}`, { ...vote, count: vote.count + 1 })
  })
  const order = new Array<number | null>(labels.length).fill(null)
  const free = new Set(labels.keys())
  for (const { output, label } of [...votes.values()].sort((a, b) => b.count - a.count))
    if (order[output] === null && free.delete(label)) order[output] = label
  // Outputs that no picture shows keep their label where it is free.
  order.forEach((label, i) => {
    if (label === null && free.delete(i)) order[i] = i
  })
  const rest = free.values()
  const complete = order.map((label) => label ?? rest.next().value!)
  return complete.every((label, i) => label === i)
    ? null
    : orderOf('labels in the order that the reference shows', complete, labels)
}
