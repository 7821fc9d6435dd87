/**
 * From one prediction per frame to a label that people and machines act on: smoothed scores, a threshold, a lead over
 * the second class and some frames in a row; otherwise `unknown`. Pure functions of state, prediction and time. The
 * smoothed score of a settled label is never below the threshold, and no label outlives its camera.
 */
import {
  isWithoutCamera,
  undecided,
  unknownLabel,
  type CameraReason,
  type Decision,
  type PolicyEvent,
  type UnknownReason,
} from './decision.js'
import { rankTop, topOf, type Prediction } from './prediction.js'

export interface PolicyOptions {
  /**
   * Time constant of the exponential smoothing, milliseconds; 0 for no smoothing. After a step the score has come 63 %
   * of the way in this time at any frame rate.
   */
  readonly smoothingMs: number
  /** A label is withdrawn when its smoothed score falls below this. */
  readonly threshold: number
  /** How far above the threshold a new label's score must be (at most half of the way from there to 1). */
  readonly hysteresis: number
  /** Frames in a row that must name the same new label. */
  readonly consecutive: number
  /** A new label's lead over the second, in score. */
  readonly margin: number
  /** A label without a newer frame is withdrawn after this. */
  readonly staleAfterMs: number
}

/**
 * The threshold is low because a thousand classes share one score (an Egyptian cat that could be a tabby gets 0.44); use
 * about 0.7 for a model of two classes.
 */
export const policyDefaults: PolicyOptions = {
  smoothingMs: 300,
  threshold: 0.3,
  hysteresis: 0.05,
  consecutive: 3,
  margin: 0.05,
  staleAfterMs: 10_000,
}

/** Everything the policy remembers of one zone. Immutable. */
export interface PolicyState {
  readonly decision: Decision
  readonly modelId: string | null
  readonly smoothed: Float32Array | null
  readonly lastFrameMs: number | null
  /** The class that may become the label, and for how many frames in a row it has qualified. */
  readonly candidate: number | null
  readonly run: number
}

export interface PolicyStep {
  readonly state: PolicyState
  /** Present when label or reason have changed. */
  readonly settled?: Decision
  readonly events: readonly PolicyEvent[]
}

/** The state before the first frame. All times here are monotonic. */
export function initialPolicy(nowMs: number): PolicyState {
  return { decision: undecided(nowMs), modelId: null, smoothed: null, lastFrameMs: null, candidate: null, run: 0 }
}

/** Applies one prediction. A changed `modelId` starts from nothing. */
export function observe(state: PolicyState, prediction: Prediction, options: PolicyOptions, nowMs: number): PolicyStep {
  const events = returned(state)
  let before = state
  if (isWithoutCamera(state.decision) || state.decision.reason === 'moved')
    before = { ...state, decision: { ...state.decision, reason: 'settling' } }
  if (state.modelId !== null && state.modelId !== prediction.modelId) {
    events.push('model_changed')
    before = forget(before, 'model_changed', nowMs)
  }
  const time = Math.max(nowMs, state.lastFrameMs ?? nowMs)
  const smoothed = smooth(before, prediction.scores, options, time)
  const next = decide(before, smoothed, prediction, { ...options, nowMs: time })
  if (next.event) events.push(next.event)
  return step(
    state,
    {
      decision: next.decision,
      modelId: prediction.modelId,
      smoothed,
      lastFrameMs: time,
      candidate: next.candidate,
      run: next.run,
    },
    events,
  )
}

/** Withdraws the label until the next frame. `camera_disabled` and `stopped` are intended, so they are no event. */
export function loseCamera(state: PolicyState, reason: CameraReason, nowMs: number): PolicyStep {
  const isIntended = reason === 'camera_disabled' || reason === 'stopped'
  const isNews = !isWithoutCamera(state.decision) && !isIntended
  return step(state, forget(state, reason, nowMs), isNews ? ['camera_lost'] : [])
}

/** Withdraws the label: the camera shows another view than the one in which the zone's region was drawn. */
export function loseView(state: PolicyState, nowMs: number): PolicyStep {
  return step(state, forget(state, 'moved', nowMs), state.decision.reason === 'moved' ? [] : ['view_moved'])
}

/** Withdraws the label: a frame came, but its clip is not whole. `detail` says why, as a sentence. */
export function awaitClip(state: PolicyState, detail: string, nowMs: number): PolicyStep {
  const next = forget(state, 'clip_short', nowMs)
  return step(state, { ...next, decision: { ...next.decision, detail }, lastFrameMs: nowMs }, returned(state))
}

/** What a frame tells by coming: the camera, or its view, is back. */
function returned({ decision: { reason } }: PolicyState): PolicyEvent[] {
  if (reason === 'moved') return ['view_found']
  return isWithoutCamera({ reason }) && reason !== 'camera_disabled' ? ['camera_recovered'] : []
}

/**
 * Withdraws a label whose last frame is too old. Call it regularly while no frame comes. A frame that the zone had to skip
 * (at `skippedMs`) shows that the camera delivers, and that the engine has no time for the zone.
 */
export function expire(state: PolicyState, options: PolicyOptions, nowMs: number, skippedMs = -Infinity): PolicyStep {
  const isStale = state.lastFrameMs !== null && nowMs - state.lastFrameMs > options.staleAfterMs
  if (!isStale || isWithoutCamera(state.decision)) return { state, events: [] }
  if (nowMs - skippedMs > options.staleAfterMs) return loseCamera(state, 'camera_stale', nowMs)
  return step(state, forget(state, 'overloaded', nowMs), [])
}

/**
 * Whether more pictures like the last one would change the decision: another label is on its way, or smoothing has not
 * followed yet. `prediction`: the one that was observed last.
 */
export function isUndecided(
  state: PolicyState,
  { scores }: Pick<Prediction, 'scores'>,
  options: PolicyOptions,
): boolean {
  if (state.candidate !== null) return true
  const held = state.decision.index
  if (held !== null && scores[held]! < options.threshold) return true
  const ranked = new Int32Array(Math.min(2, scores.length))
  rankTop(scores, ranked)
  const [best = 0, second] = ranked
  const lead = second === undefined ? scores[best]! : scores[best]! - scores[second]!
  return best !== held && scores[best]! >= enterLevel(options) && lead >= options.margin
}

/** The score that a new label needs. It is above the threshold, so noise around the threshold does not make a label flap. */
export function enterLevel({ threshold, hysteresis }: Pick<PolicyOptions, 'threshold' | 'hysteresis'>): number {
  return threshold + Math.min(hysteresis, Math.max(0, 1 - threshold) / 2)
}

function step(before: PolicyState, state: PolicyState, events: readonly PolicyEvent[]): PolicyStep {
  const { decision } = state
  const isSame = decision.label === before.decision.label && decision.reason === before.decision.reason
  return isSame ? { state, events } : { state, settled: decision, events }
}

function forget(state: PolicyState, reason: UnknownReason, nowMs: number): PolicyState {
  const decision: Decision = { ...relabel(state.decision, null, unknownLabel, nowMs), score: 0, top: [], reason }
  return { ...state, decision, smoothed: null, candidate: null, run: 0 }
}

/** Exponential average of a signal sampled at uneven times: s += (p - s) (1 - exp(-dt / smoothingMs)). */
function smooth(state: PolicyState, scores: Float32Array, options: PolicyOptions, nowMs: number): Float32Array {
  const last = state.smoothed
  const dt = nowMs - (state.lastFrameMs ?? nowMs)
  if (!last || options.smoothingMs <= 0 || dt > options.staleAfterMs || last.length !== scores.length)
    return scores.slice()
  const weight = 1 - Math.exp(-dt / options.smoothingMs)
  const smoothed = new Float32Array(last.length)
  for (let i = 0; i < last.length; i++) smoothed[i] = last[i]! + weight * (scores[i]! - last[i]!)
  return smoothed
}

interface Choice {
  readonly decision: Decision
  readonly candidate: number | null
  readonly run: number
  readonly event?: PolicyEvent
}

function decide(
  state: PolicyState,
  smoothed: Float32Array,
  prediction: Prediction,
  options: PolicyOptions & { nowMs: number },
): Choice {
  const ranked = new Int32Array(Math.min(smoothed.length, Math.max(2, prediction.top.length)))
  rankTop(smoothed, ranked)
  const top = topOf(ranked.subarray(0, prediction.top.length), prediction.labels, smoothed)
  const best = ranked[0]!
  const bestScore = smoothed[best]!
  const lead = ranked.length > 1 ? bestScore - smoothed[ranked[1]!]! : bestScore
  const held = state.decision.index
  if (prediction.novelty?.cause) return doubt(state, options, { score: bestScore, top })
  const qualifies = bestScore >= enterLevel(options) && lead >= options.margin
  const run = !qualifies || best === held ? 0 : state.candidate === best ? state.run + 1 : 1

  if (run >= options.consecutive && run > 0) {
    const decision = {
      ...relabel(state.decision, best, prediction.labels[best]!, options.nowMs),
      score: bestScore,
      top,
    }
    return { decision, candidate: null, run: 0, event: 'label_changed' }
  }
  const candidate = run > 0 ? best : null
  if (held !== null && smoothed[held]! >= options.threshold) {
    return { decision: { ...state.decision, score: smoothed[held]!, top }, candidate, run }
  }
  const decision = {
    ...relabel(state.decision, null, unknownLabel, options.nowMs),
    score: bestScore,
    top,
    reason: unsettled(state.decision, qualifies),
  }
  return held === null ? { decision, candidate, run } : { decision, candidate, run, event: 'low_confidence' }
}

/** In place of a class: the picture may be none of the taught states. */
const novelCandidate = -1

/** A frame with a novel picture: some in a row withdraw the label in spite of its score. */
function doubt(
  state: PolicyState,
  { consecutive, nowMs }: PolicyOptions & { readonly nowMs: number },
  shown: Pick<Decision, 'score' | 'top'>,
): Choice {
  if (state.decision.reason === 'novel') return { decision: { ...state.decision, ...shown }, candidate: null, run: 0 }
  const run = state.candidate === novelCandidate ? state.run + 1 : 1
  if (run < consecutive) return { decision: state.decision, candidate: novelCandidate, run }
  const decision = { ...relabel(state.decision, null, unknownLabel, nowMs), ...shown, reason: 'novel' as const }
  return { decision, candidate: null, run: 0, event: 'novel' }
}

/** `low_confidence` stays until a label settles, so scores around the threshold do not make the reason flap. */
function unsettled(before: Decision, qualifies: boolean): UnknownReason {
  if (before.index !== null || before.reason === 'low_confidence' || !qualifies) return 'low_confidence'
  return before.reason === 'model_changed' ? 'model_changed' : 'settling'
}

/** The decision with another label; for the same label only the reason is removed, with its sentence. */
function relabel(
  { reason: _, detail: _detail, ...before }: Decision,
  index: number | null,
  label: string,
  nowMs: number,
): Decision {
  if (before.label === label) return { ...before, index }
  return { ...before, index, label, prev: before.label, sinceMs: Math.max(nowMs, before.sinceMs) }
}
