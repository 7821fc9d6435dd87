/** What the policy settled for one camera: the type between the policy and whoever tells the world. */
import type { ScoredLabel } from './prediction.js'

/** What is published in place of a label when there is none. */
export const unknownLabel = 'unknown'

/** Why the camera has no label at all, whatever it last showed. */
export type CameraReason = 'camera_lost' | 'camera_stale' | 'camera_disabled'

/** `starting`: no frame yet. `settling`: frames, but not enough in a row. */
export type UnknownReason = 'starting' | 'settling' | 'low_confidence' | 'model_changed' | CameraReason

/** What can happen in a step: the event types of the MQTT contract. A new one is a row here and in docs/mqtt.md. */
export const eventTypes = [
  'label_changed',
  'low_confidence',
  'camera_lost',
  'camera_recovered',
  'model_changed',
  'lens_problem',
  'lens_cleared',
] as const

export type PolicyEvent = (typeof eventTypes)[number]

/** The settled answer of one camera. */
export interface Decision {
  /** A label of the model, or `unknown`. */
  readonly label: string
  /** The label's index; null for `unknown`. */
  readonly index: number | null
  /** Smoothed score of the label; for `unknown` that of the best class; 0 without a camera. */
  readonly score: number
  /** The label before this one. */
  readonly prev: string
  /** Monotonic milliseconds when this label settled. */
  readonly sinceMs: number
  /** Only with `unknown`. */
  readonly reason?: UnknownReason
  /** Best smoothed scores, as many as the prediction's `top`; empty without a camera. */
  readonly top: readonly ScoredLabel[]
}

/** The answer before the first frame. */
export function undecided(nowMs: number): Decision {
  return { label: unknownLabel, index: null, score: 0, prev: unknownLabel, sinceMs: nowMs, reason: 'starting', top: [] }
}

/** Whether there is no label because there is no picture. */
export function isWithoutCamera({ reason }: Decision): boolean {
  return reason === 'camera_lost' || reason === 'camera_stale' || reason === 'camera_disabled'
}
