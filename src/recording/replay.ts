/**
 * Computes a recording again and names the first stage that differs: the stored pixels, the network's input, its outputs,
 * the ranking, or the decision. Every bit must be the same where version, engine, target, tuning and platform are;
 * otherwise numbers must agree within a tolerance. The result says which of the two was required.
 */
import type { Classifier } from '../classifier.js'
import type { ClassifierView } from '../engine/classify.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { initialPolicy, observe, type PolicyState } from '../decision/policy.js'
import type { Novelty } from '../decision/novelty.js'
import type { Prediction } from '../decision/prediction.js'
import { digestOf } from './digest.js'
import type { About, RecordedFrame, Recording } from './format.js'
import { decodeState, sampleInput } from './frames.js'

export const stages = ['pixels', 'preprocess', 'inference', 'prediction', 'decision'] as const
export type Stage = (typeof stages)[number]

/** Allowed difference between targets, engines and machines: as a share of the range of logits and input, absolute for scores. */
export const tolerance = 1e-3

export interface Difference {
  readonly frame: number
  readonly stage: Stage
  /** One sentence. */
  readonly what: string
}

export interface Replay {
  readonly frames: number
  /** `bits`: everything that computes is the same, so every bit must be. `tolerance`: `because` says what is not the same. */
  readonly demanded: 'bits' | 'tolerance'
  readonly because: readonly string[]
  /** Frames with the same input and outputs, bit for bit. */
  readonly sameBits: number
  /** Greatest difference of a logit, as a share of the range of its frame's logits. */
  readonly worst: number
  /** The first stage of the first frame that differs; null where none does. */
  readonly first: Difference | null
  /** How many frames differ. */
  readonly differing: number
}

/** What computes differently now than when the recording was made, in phrases. Empty: every bit must be the same. */
export function changesSince(about: About, now: Omit<About, 'reason' | 'startedMs'>): string[] {
  const changes: string[] = []
  const compare = (what: string, before: unknown, after: unknown): void => {
    if (before !== after) changes.push(`${what} ${String(before)} then, ${String(after)} now`)
  }
  compare('gapcam', about.version, now.version)
  compare('engine', about.engine, now.engine)
  compare('target', about.target, now.target)
  compare('pixel path', about.pixelPath, now.pixelPath)
  compare('tuning', about.tuning, now.tuning)
  // The scalar target rounds each operation by itself, on every processor.
  if (about.target !== 'scalar') compare('platform', about.platform, now.platform)
  return changes
}

/**
 * Computes a recording again on a classifier that was opened for it. Throws RECORDING_INVALID for a recording of another
 * model or input size, or without a whole frame.
 */
export async function replay(
  recording: Recording,
  classifier: Classifier,
  now: Omit<About, 'reason' | 'startedMs'>,
): Promise<Replay> {
  checkFits(recording, classifier)
  const { about, frames } = recording
  const because = changesSince(about, now)
  const isExact = because.length === 0
  const own = classifier.preprocessing()
  // Each engine has a layout of its own. NHWC of native and NCHW of onnxruntime hold the same numbers.
  const view = classifier.view({ ...about.spec, layout: own.layout }, about.topK)
  const comparison = { isExact, isSameLayout: own.layout === about.spec.layout }
  let state: PolicyState | null = null
  let [sameBits, worst, differing] = [0, 0, 0]
  let first: Difference | null = null
  try {
    for (const frame of frames) {
      const seen = await computeAgain(frame, view, about.model.id)
      const before: PolicyState =
        (frame.before && decodeState(frame.before, about.model.classes)) ?? state ?? initialPolicy(frame.nowMs)
      state = seen.prediction ? observe(before, seen.prediction, frame.policy, frame.nowMs).state : before
      const compared = compare(frame, { ...seen, state }, comparison)
      if (compared.isSame) sameBits++
      worst = Math.max(worst, compared.worst)
      if (!compared.difference) continue
      differing++
      first ??= compared.difference
    }
  } finally {
    view.close()
  }
  return { frames: frames.length, demanded: isExact ? 'bits' : 'tolerance', because, sameBits, worst, first, differing }
}

/** Throws RECORDING_INVALID unless the recording has a frame and was made with this model at this input size. */
function checkFits({ about, frames, cut }: Recording, classifier: Classifier): void {
  if (about.model.sha256 !== classifier.sha256)
    throw new GapcamError(
      'RECORDING_INVALID',
      `it was made with model ${about.model.id} (sha256 ${about.model.sha256.slice(0, 12)}…), not with ${classifier.path} (${classifier.sha256.slice(0, 12)}…)`,
    )
  if (frames.length === 0)
    throw new GapcamError('RECORDING_INVALID', `it holds no whole frame${cut === null ? '' : ` (${cut})`}`)
  const own = classifier.preprocessing()
  if (
    about.model.classes !== classifier.labels.length ||
    about.spec.width !== own.width ||
    about.spec.height !== own.height ||
    about.spec.type !== own.type
  )
    throw new GapcamError(
      'RECORDING_INVALID',
      `it was made at input size ${about.spec.height}x${about.spec.width}, and the model is open at ${own.height}x${own.width}`,
    )
}

interface Again {
  readonly input: { readonly digest: string; readonly samples: readonly number[] }
  readonly prediction: Prediction | null
}

/** `modelId` is the model's name in the recording: a file that was renamed since is still the same model. */
async function computeAgain(recorded: RecordedFrame, view: ClassifierView, modelId: string): Promise<Again> {
  const { seq, wallTime, width, height, format, stride, pixels } = recorded
  const frame: Frame = {
    ...{ seq, wallTime, width, height, format, stride, pixels },
    capturedNs: 0n,
    copyTo: (target) => target.set(pixels),
    release: () => undefined,
  }
  let input: Again['input'] | undefined
  const outcome = await view.classify(frame, {
    onInput: (data) => {
      input = sampleInput(data)
    },
  })
  if (input === undefined) throw 'error' in outcome ? outcome.error : new Error('the view gave no input')
  return { input, prediction: outcome.ok ? { ...outcome.prediction, modelId } : null }
}

interface Compared {
  readonly isSame: boolean
  readonly worst: number
  readonly difference: Difference | null
}

function compare(
  recorded: RecordedFrame,
  { input, prediction, state }: Again & { readonly state: PolicyState },
  { isExact, isSameLayout }: { readonly isExact: boolean; readonly isSameLayout: boolean },
): Compared {
  const { seq, digests, logits, samples, top, decision } = recorded
  const isSameInput = isSameLayout && digests.input === input.digest
  const isSameOutput = prediction === null ? digests.logits === null : digests.logits === digestOf(prediction.logits)
  const worst = prediction && digests.logits !== null ? worstOf(logits, prediction.logits) : 0
  const differs = (stage: Stage, what: string): Compared => ({
    isSame: false,
    worst,
    difference: { frame: seq, stage, what },
  })
  if (digestOf(recorded.pixels) !== digests.pixels)
    return differs('pixels', 'the stored pixels are not those that were recorded')
  if (isExact && !isSameInput)
    return differs(
      'preprocess',
      `the network's input has other bits (the largest sampled difference is ${largest(samples, input.samples).toPrecision(3)})`,
    )
  if (!isExact && isSameLayout && !(largest(samples, input.samples) <= tolerance * rangeOf(samples)))
    return differs('preprocess', `the network's input is off by ${largest(samples, input.samples).toPrecision(3)}`)
  if ((prediction === null) !== (digests.logits === null))
    return differs(
      'inference',
      prediction === null ? 'the outputs are not finite now' : 'the outputs were not finite then',
    )
  if (isExact ? !isSameOutput : !(worst <= tolerance))
    return differs('inference', `the logits are off by ${worst.toPrecision(3)} of their range`)
  if (prediction && !isSameTop(top, prediction.top, isExact))
    return differs(
      'prediction',
      `${top[0]?.label} ${top[0]?.score.toFixed(4)} then, ${prediction.top[0]?.label} ${prediction.top[0]?.score.toFixed(4)} now`,
    )
  const novelty = prediction?.novelty
  if (
    prediction &&
    ((recorded.novelty?.cause ?? null) !== (novelty?.cause ?? null) ||
      !near(recorded.novelty?.distance ?? 0, novelty?.distance ?? 0, isExact))
  )
    return differs('prediction', `novelty ${toldNovelty(recorded.novelty)} then, ${toldNovelty(novelty)} now`)
  const { label, index, reason, score } = state.decision
  const isSameDecision =
    label === decision.label &&
    index === decision.index &&
    reason === decision.reason &&
    near(score, decision.score, isExact)
  if (!isSameDecision)
    return differs('decision', `${decision.label} ${decision.score.toFixed(4)} then, ${label} ${score.toFixed(4)} now`)
  return { isSame: isSameInput && isSameOutput, worst, difference: null }
}

const toldNovelty = (novelty: Novelty | undefined): string =>
  novelty ? `${novelty.distance.toFixed(4)} (${novelty.cause ?? 'like the taught pictures'})` : 'not told'

const near = (a: number, b: number, isExact: boolean): boolean => (isExact ? a === b : Math.abs(a - b) <= tolerance)

/** The same classes in the same order. Without equal bits, near ties may have changed places. */
function isSameTop(before: Prediction['top'], now: Prediction['top'], isExact: boolean): boolean {
  return (
    before.length === now.length &&
    before.every(({ index, score }, i) => near(score, now[i]!.score, isExact) && (!isExact || index === now[i]!.index))
  )
}

function largest(before: readonly number[], now: readonly number[]): number {
  return before.length === now.length
    ? before.reduce((most, value, i) => Math.max(most, Math.abs(value - now[i]!)), 0)
    : Infinity
}

function rangeOf(values: ArrayLike<number>): number {
  let [least, most] = [Infinity, -Infinity]
  for (let i = 0; i < values.length; i++) {
    least = Math.min(least, values[i]!)
    most = Math.max(most, values[i]!)
  }
  return Math.max(most - least, 1e-6)
}

function worstOf(before: Float32Array, now: Float32Array): number {
  let worst = 0
  for (let i = 0; i < before.length; i++) worst = Math.max(worst, Math.abs(before[i]! - now[i]!))
  return worst / rangeOf(before)
}
