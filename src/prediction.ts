/** What an engine said about one frame, and how logits become it. */
import type { EngineName } from './engine/engine.js'

export interface ScoredLabel {
  readonly index: number
  readonly label: string
  /** Probability, 0 to 1. */
  readonly score: number
}

/** Milliseconds per stage of one frame. */
export interface Timings {
  readonly capture: number
  readonly preprocess: number
  readonly infer: number
  readonly total: number
}

export interface Prediction {
  /** Best first; equal scores in order of index. */
  readonly top: readonly ScoredLabel[]
  readonly logits: Float32Array
  readonly modelId: string
  /** The executor that computed this very result. */
  readonly engine: EngineName
  readonly target: string
  readonly frameSeq: number
  /** Wall time of the capture, milliseconds. */
  readonly wallTime: number
  readonly timings: Timings
}
