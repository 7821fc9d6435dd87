/**
 * The prediction for one frame, and how the engine's raw outputs become one: dequantise, activate, rank. Outputs that
 * are not finite give no prediction.
 */
import { expected } from '../errors.js'
import type { Novelty } from './novelty.js'
import type { Found, FrameBox, ScoredLabel } from './task.js'

/** The executors of a model. */
export type EngineName = 'cuda' | 'native' | 'onnxruntime'

/** Milliseconds per stage of one frame. */
export interface Timings {
  readonly capture: number
  readonly preprocess: number
  readonly infer: number
  readonly total: number
}

/** What can be wrong with a camera's picture; src/lens/watch.ts finds it. */
export const lensProblems = ['black', 'overexposed', 'covered', 'blurred', 'frozen', 'moved'] as const
export type LensProblem = (typeof lensProblems)[number]

export interface Prediction {
  /** Best first; equal scores in order of index. Owned by this prediction. */
  readonly top: readonly ScoredLabel[]
  /** Raw outputs, one for each class, dequantised. The predictor's memory: valid until its next call. */
  readonly logits: Float32Array
  /** Probabilities, one for each class. The predictor's memory: valid until its next call. */
  readonly scores: Float32Array
  /** Names of the classes, by index. Shared: read only. */
  readonly labels: readonly string[]
  readonly modelId: string
  readonly modelSha256?: string
  /** The executor that computed this very result. */
  readonly engine: EngineName
  readonly target: string
  readonly frameSeq: number
  /** Wall time of the capture, milliseconds. */
  readonly wallTime: number
  readonly timings: Timings
  /** Box around the evidence for the settled label (for the best class where there is none); absent without a heat map. */
  readonly focus?: FrameBox | undefined
  /** Why the zone looked at this frame; absent for a zone that looks at every one. */
  readonly trigger?: string | undefined
  /** The label's evidence lies outside the watched region. */
  readonly isElsewhere?: boolean | undefined
  /** Absent for models that were not taught here. */
  readonly novelty?: Novelty | undefined
  /** The embedding of the picture, where the zone asks for it. Owned by this prediction. */
  readonly embedding?: Float32Array | undefined
  /** What is wrong with the camera's picture; null for nothing, absent without lens checks. */
  readonly problem?: LensProblem | null | undefined
  /** What the task finds besides scores; absent for a classifier. */
  readonly found?: Found | undefined
}

/**
 * How outputs become probabilities: `softmax` over the classes, `sigmoid` of each (independent classes), `exp` of each
 * (logarithms of independent probabilities), or `none` if the model already ends in probabilities.
 */
export type ScoreActivation = 'softmax' | 'sigmoid' | 'exp' | 'none'

/** real = scale * (stored - zeroPoint), as ONNX's DequantizeLinear. */
export interface Quantization {
  readonly scale: number
  readonly zeroPoint: number
}

export interface PredictorOptions {
  readonly labels: readonly string[]
  /** Default `softmax`. */
  readonly scoreActivation?: ScoreActivation
  /** How many labels `top` has; default 5, never more than there are classes. */
  readonly topK?: number
  readonly modelId: string
  readonly modelSha256?: string
  /** Turns the outputs into the numbers that the activation takes. Default: the outputs themselves. */
  readonly quantization?: Quantization | null
  /** The model has one output, the score of the second of two labels; the first label gets the rest. Default false. */
  readonly isBinary?: boolean
}

/** Raw outputs of a classifier: one per class, or one in all of a binary head. */
export type RawOutputs = Float32Array | Uint8Array | Int8Array

/** The frame and the run behind the outputs. */
export type PredictionContext = Pick<Prediction, 'engine' | 'target' | 'frameSeq' | 'wallTime' | 'timings' | 'novelty'>

/** A prediction, or why there is none. */
export type Outcome =
  | { readonly ok: true; readonly prediction: Prediction }
  | { readonly ok: false; readonly reason: PredictionFault }

/** At least one output is not a finite number. Zeros are answers: nothing was found. */
export type PredictionFault = 'nan' | 'infinite'

/** Turns one output row into a prediction. Throws TypeError when there are not as many outputs as labels. */
export type Predictor = (outputs: RawOutputs, context: PredictionContext) => Outcome

/**
 * Makes a predictor that reuses its memory: one for each view.
 *
 *     const outcome = createPredictor({ labels, modelId })(outputs, context)
 *     if (outcome.ok) console.log(outcome.prediction.top[0])
 */
export function createPredictor(options: PredictorOptions): Predictor {
  const { labels, scoreActivation = 'softmax', topK = 5, modelId, modelSha256, quantization, isBinary } = options
  checkOptions(options, topK)
  const logits = new Float32Array(labels.length)
  const given = isBinary ? logits.subarray(1) : logits
  const activate = isBinary ? activatePair : activateAll
  const scores = new Float32Array(labels.length)
  const powers = new Float64Array(labels.length)
  const ranked = new Int32Array(Math.min(topK, labels.length))
  const model = modelSha256 === undefined ? { modelId } : { modelId, modelSha256 }

  return (outputs, context) => {
    if (outputs.length !== given.length) throw expected(`${given.length} outputs`, 'outputs', outputs.length)
    dequantize(outputs, quantization ?? null, given)
    const fault = faultOf(given)
    if (fault) return { ok: false, reason: fault }
    activate(logits, scoreActivation, scores, powers)
    rankTop(scores, ranked)
    return {
      ok: true,
      prediction: { top: topOf(ranked, labels, scores), logits, scores, labels, ...model, ...context },
    }
  }
}

function checkOptions({ labels, quantization, isBinary }: PredictorOptions, topK: number): void {
  if (labels.length === 0) throw expected('at least one label', 'labels', labels)
  if (isBinary && labels.length !== 2) throw expected('the two labels of a binary head', 'labels', labels.length)
  if (!Number.isInteger(topK) || topK < 1) throw expected('a whole number above 0', 'topK', topK)
  if (quantization && !(quantization.scale > 0))
    throw expected('a number above 0', 'quantization.scale', quantization.scale)
}

function dequantize(outputs: RawOutputs, quantization: Quantization | null, logits: Float32Array): void {
  if (!quantization) return logits.set(outputs)
  const { scale, zeroPoint } = quantization
  for (let i = 0; i < logits.length; i++) logits[i] = scale * (outputs[i]! - zeroPoint)
}

function faultOf(logits: Float32Array): PredictionFault | null {
  for (let i = 0; i < logits.length; i++) {
    if (Number.isFinite(logits[i])) continue
    return Number.isNaN(logits[i]) ? 'nan' : 'infinite'
  }
  return null
}

/** Turns logits into scores; `powers` is memory for one number a class. */
type Activate = (logits: Float32Array, activation: ScoreActivation, scores: Float32Array, powers: Float64Array) => void

const activateAll: Activate = (logits, activation, scores, powers) => {
  if (activation === 'softmax') softmax(logits, scores, powers)
  else if (activation === 'sigmoid') for (let i = 0; i < scores.length; i++) scores[i] = 1 / (1 + Math.exp(-logits[i]!))
  else for (let i = 0; i < scores.length; i++) scores[i] = probability(logits[i]!, activation)
}

/** A binary head, whose output is `logits[1]`: a logit against 0, or a probability against the rest of 1. */
const activatePair: Activate = (logits, activation, scores, powers) => {
  if (activation === 'softmax' || activation === 'sigmoid') {
    logits[0] = 0
    return softmax(logits, scores, powers)
  }
  const score = probability(logits[1]!, activation)
  logits[0] = 1 - score
  scores[0] = 1 - score
  scores[1] = score
}

/** 8-bit probabilities are rounded (255/256 is the most that is stored), so they are clamped and not normalised. */
function probability(output: number, activation: 'exp' | 'none'): number {
  return Math.min(1, Math.max(0, activation === 'exp' ? Math.exp(output) : output))
}

/** Subtracts the greatest logit first, so no exponential overflows; sums in double precision. */
function softmax(logits: Float32Array, scores: Float32Array, powers: Float64Array): void {
  let greatest = -Infinity
  for (let i = 0; i < logits.length; i++) if (logits[i]! > greatest) greatest = logits[i]!
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    powers[i] = Math.exp(logits[i]! - greatest)
    sum += powers[i]!
  }
  for (let i = 0; i < scores.length; i++) scores[i] = powers[i]! / sum
}

/** The labels of ranked classes with their scores. */
export function topOf(ranked: Int32Array, labels: readonly string[], scores: Float32Array): ScoredLabel[] {
  const top: ScoredLabel[] = []
  for (const index of ranked) top.push({ index, label: labels[index]!, score: scores[index]! })
  return top
}

/** Fills `ranked` with the indices of the greatest scores by insertion: O(classes) while few places change. */
export function rankTop(scores: Float32Array, ranked: Int32Array): void {
  let filled = 0
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index]!
    if (filled === ranked.length && score <= scores[ranked[filled - 1]!]!) continue
    let place = filled < ranked.length ? filled++ : filled - 1
    // Strictly greater: of equal scores the lower index, which came first, keeps its place.
    for (; place > 0 && score > scores[ranked[place - 1]!]!; place--) ranked[place] = ranked[place - 1]!
    ranked[place] = index
  }
}
