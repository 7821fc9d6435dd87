/** The decision of one zone: the type between the policy and everything that publishes it. */
import type { ScoredLabel } from './task.js'

/** Published in place of a label when there is none. */
export const unknownLabel = 'unknown'

/**
 * Why there is no label at all, no matter what the camera showed last. `frozen`: it delivers frames, and all are the same.
 * `stopped`: gapcam was ended.
 */
export type CameraReason = 'camera_lost' | 'camera_stale' | 'frozen' | 'camera_disabled' | 'stopped'

const cameraReasons: ReadonlySet<string | null | undefined> = new Set<CameraReason>([
  'camera_lost',
  'camera_stale',
  'frozen',
  'camera_disabled',
  'stopped',
])

/**
 * Why a zone cannot look although its camera delivers: it is switched off, its model cannot be used, the camera shows
 * another view than the one in which its region was drawn, or the engine has no time for it.
 */
export type ZoneReason = 'zone_disabled' | 'unavailable' | 'moved' | 'overloaded'

/**
 * `starting`: no frame yet. `settling`: frames, but not enough in a row. `novel`: the picture is none of the taught states.
 * `clip_short`: there are not enough frames for a clip, or they come too slowly.
 */
export type UnknownReason =
  | 'starting'
  | 'settling'
  | 'low_confidence'
  | 'novel'
  | 'clip_short'
  | 'model_changed'
  | CameraReason
  | ZoneReason

/** What can happen in a step: the event types of MQTT and of Home Assistant's event entity. */
export const eventTypes = [
  'label_changed',
  'low_confidence',
  'novel',
  'camera_lost',
  'camera_recovered',
  'model_changed',
  'lens_problem',
  'lens_cleared',
  'transition_forbidden',
  'view_moved',
  'view_found',
  'needs_teaching',
  'visit',
] as const
export type PolicyEvent = (typeof eventTypes)[number]

/** Time in states, by the monotonic clock. */
export interface StateTimes {
  /** How long the zone has been in the present state, over restarts. */
  readonly inStateMs: number
  /** Of the present hour and day: how long in each state, and how often it came into it. */
  readonly hour: Readonly<Record<string, { readonly ms: number; readonly entries: number }>>
  readonly day: StateTimes['hour']
}

/** The decision of a zone after a frame, or after the camera was lost. */
export interface Decision {
  /** A label of the model, or `unknown`. */
  readonly label: string
  /** The label's index; null for `unknown`. */
  readonly index: number | null
  /** Smoothed score of the label, 0 to 1. With `unknown` it is the best class's; 0 without a camera. */
  readonly score: number
  /** The label before this one. */
  readonly prev: string
  /** Monotonic milliseconds when this label settled. */
  readonly sinceMs: number
  /** Only with `unknown`. */
  readonly reason?: UnknownReason
  /** One sentence about the reason, where there is one to say. */
  readonly detail?: string | undefined
  /** Absent for a camera's own question. */
  readonly times?: StateTimes | undefined
  /** Best smoothed scores, as many as the prediction's `top`; empty without a camera. */
  readonly top: readonly ScoredLabel[]
}

/** The decision before the first frame. */
export function undecided(nowMs: number): Decision {
  return { label: unknownLabel, index: null, score: 0, prev: unknownLabel, sinceMs: nowMs, reason: 'starting', top: [] }
}

/** A decision without a label, since the zone cannot look. `detail` says why in one sentence. */
export function unable(reason: ZoneReason, nowMs: number, detail?: string): Decision {
  return { ...undecided(nowMs), reason, ...(detail === undefined ? {} : { detail }) }
}

/** Whether there is no label because the camera shows nothing. */
export function isWithoutCamera({ reason }: { readonly reason?: string | null | undefined }): boolean {
  return cameraReasons.has(reason)
}
