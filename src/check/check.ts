/**
 * The check of a model against a reference: tries every alternative on some of the pictures, then the assumed way and the best one
 * on all of them.
 */
import type { Classifier } from '../classifier.js'
import { elementCount } from '../tensor.js'
import { endingsOf, looksOf, ordersOf, sizedLook, sizesBeside, type Look } from './alternatives.js'
import {
  byFit,
  compareAll,
  explanationOf,
  measure,
  type Agreement,
  type Candidate,
  type Comparison,
} from './comparison.js'
import type { Expected } from './expected.js'
import { tryLooks, trySize, type OpenAt, type Trial } from './trial.js'

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

export interface CheckOptions {
  /** Opens the model at another size; absent where its size is known, so that no other one is tried. */
  readonly openAt?: OpenAt | undefined
  /** Is told the share that is done. */
  readonly onProgress: (share: number) => void
}

/** Checks a classifier. Rejects with ENGINE_FAILED. */
export async function checkModel(
  classifier: Classifier,
  expected: Expected,
  { openAt, onProgress }: CheckOptions,
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
  const candidates = tried === 0 ? [] : [...compareAll(comparison(trial), looks, trial.outputs)]
  if (openAt && tried > 0) {
    const ways = [looks[0]!, ...(candidates[0]!.look === looks[0] ? [] : [candidates[0]!.look])]
    for (const size of sizesBeside(classifier.preprocessing())) {
      const sized = ways.map((look) => sizedLook(look, size))
      const other = await trySize(openAt, size, sized, trial.pictures)
      if (other) candidates.push(...compareAll(comparison(other), sized, other.outputs))
    }
    candidates.sort(byFit)
  }
  const found = tried === 0 ? null : explanationOf(candidates, tried)
  const first = candidates.find(({ changes }) => changes.length === 0)
  const all = await tryLooks(classifier, [looks[0]!], picturesOf(answers), (done) =>
    onProgress(1 - rest + ((rest / 2) * done) / answers.length),
  )
  const none = { tried, candidates, assumed: { agreement: 0, distance: null }, explanation: null, faults: all.faults }
  if (!first || all.pictures.length === 0) return none
  const assumed = measure(comparison(all), first, all.outputs[0]!)
  const again = found && (await tryAlone(classifier, openAt, found.best.look, all.pictures))
  if (!again) return { ...none, assumed }
  const best = measure(comparison(all), found.best, again.outputs[0]!)
  const isConfirmed =
    best.distance === null ? best.agreement > assumed.agreement : best.distance < (assumed.distance ?? Infinity)
  const { changes } = found.best
  return { ...none, assumed, explanation: isConfirmed ? { ...best, changes, others: found.others } : null }
}

/** Tries one way, at its own size, on all pictures. */
function tryAlone(
  classifier: Classifier,
  openAt: OpenAt | undefined,
  look: Look,
  pictures: readonly string[],
): Promise<Trial | null> {
  return look.size && openAt
    ? trySize(openAt, look.size, [look], pictures)
    : tryLooks(classifier, [look], pictures, () => undefined)
}

const picturesOf = (answers: Expected['answers']): readonly string[] => answers.map(({ picture }) => picture)

/** Whether the model's own input has one channel. */
function isGrey({ engine }: Classifier): boolean {
  const shape = engine.inputs[0]?.shape ?? []
  return shape.length === 4 && (shape[1] === 1 || shape[3] === 1) && !shape.includes(3)
}
