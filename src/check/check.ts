/**
 * The check of a model against a reference: tries every alternative on some of the pictures, then the assumed way and the best one
 * on all of them.
 */
import type { Classifier } from '../classifier.js'
import { elementCount } from '../tensor.js'
import { endingsOf, looksOf, ordersOf } from './alternatives.js'
import { compareAll, explanationOf, measure, type Agreement, type Candidate, type Comparison } from './comparison.js'
import type { Expected } from './expected.js'
import { tryLooks, type Trial } from './trial.js'

/** What a check found. */
export interface CheckResult {
  /** Pictures on which all alternatives were tried. */
  readonly tried: number
  /** Every combination that was tried, the best first. */
  readonly candidates: readonly Candidate[]
  /** How the assumed way agrees on all pictures. */
  readonly assumed: Agreement
  /** The fewest changes that explain the reference best, with their agreement on all pictures; null where the assumed way fits best. */
  readonly explanation: (Agreement & Pick<Candidate, 'changes'> & { readonly others: number }) | null
  /** Pictures that could not be read. */
  readonly faults: Trial['faults']
}

/** All alternatives together run the model some 40 times a picture. */
const mostTried = 24

/** Checks a classifier. Rejects with ENGINE_FAILED. `onProgress` gets the share that is done. */
export async function checkModel(
  classifier: Classifier,
  expected: Expected,
  onProgress: (share: number) => void,
): Promise<CheckResult> {
  const { answers } = expected
  const some = answers.filter(
    (_, i) => Math.floor((i * mostTried) / answers.length) !== Math.floor(((i - 1) * mostTried) / answers.length),
  )
  const looks = looksOf(classifier.preprocessing(), isGrey(classifier))
  const rest = answers.length > some.length ? 0.5 : 0
  const trial = await tryLooks(classifier, looks, picturesOf(some), (done) =>
    onProgress(((1 - rest) * done) / some.length),
  )
  const comparison = (read: Trial): Comparison => ({
    expected: { ...expected, answers: answers.filter(({ picture }) => read.pictures.includes(picture)) },
    endings: endingsOf(classifier.reading.activation),
    orders: ordersOf(expected.labels),
    isBinary: expected.labels.length === 2 && elementCount(classifier.output.shape) === 1,
  })
  const tried = trial.pictures.length
  const candidates = tried === 0 ? [] : compareAll(comparison(trial), looks, trial.outputs)
  const found = tried === 0 ? null : explanationOf(candidates, tried)
  const first = candidates.find(({ changes }) => changes.length === 0)
  const ways = [looks[0]!, ...(found ? [found.best.look] : [])]
  const all = await tryLooks(classifier, ways, picturesOf(answers), (done) =>
    onProgress(1 - rest + (rest * done) / answers.length),
  )
  const none = { tried, candidates, assumed: { agreement: 0, distance: null }, explanation: null, faults: all.faults }
  if (!first || all.pictures.length === 0) return none
  const assumed = measure(comparison(all), first, all.outputs[0]!)
  if (!found) return { ...none, assumed }
  const best = measure(comparison(all), found.best, all.outputs[1]!)
  const isConfirmed =
    best.distance === null ? best.agreement > assumed.agreement : best.distance < (assumed.distance ?? Infinity)
  const { changes } = found.best
  return { ...none, assumed, explanation: isConfirmed ? { ...best, changes, others: found.others } : null }
}

const picturesOf = (answers: Expected['answers']): readonly string[] => answers.map(({ picture }) => picture)

/** Whether the model's own input has one channel. */
function isGrey({ engine }: Classifier): boolean {
  const shape = engine.inputs[0]?.shape ?? []
  return shape.length === 4 && (shape[1] === 1 || shape[3] === 1) && !shape.includes(3)
}
