/**
 * What every zone says at this moment, for servers that are asked, and the fields of it that a template may name. A zone keeps
 * its place in the list while gapcam runs, also after it was removed: clients know zones by their number.
 */
import { systemClock, type Clock } from '../clock.js'
import { isWithoutCamera, type Decision, type UnknownReason } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { CameraStatus } from '../publish/payloads.js'
import type { Fields } from './template.js'

/** A zone as it is now. */
export interface ZoneState {
  /** Camera, or camera/zone. */
  readonly place: string
  readonly label: string
  /** 1 for the model's first label; 0 for `unknown`. */
  readonly label_number: number
  readonly score: number
  readonly prev: string
  /** Why the label is unknown; `none` for a label, `removed` for a zone that is no more. */
  readonly reason: UnknownReason | 'none' | 'removed'
  readonly problem: string
  /** The camera delivers pictures. */
  readonly online: boolean
  /** The zone's switch is on. */
  readonly enabled: boolean
  /** How often label or reason changed since the start of gapcam. */
  readonly changes: number
  /** Monotonic milliseconds when the label settled. */
  readonly sinceMs: number
}

/** The fields of a zone that a template may name. */
export const zoneFieldNames: readonly string[] = [
  ...['node', 'place', 'label', 'label_number', 'score', 'prev', 'reason', 'problem', 'online', 'enabled'],
  ...['changes', 'since_s'],
]

export interface ZoneStates {
  /** In the order in which they were added. */
  readonly all: readonly ZoneState[]
  /** Adds a zone, or takes back its removal. */
  add(place: string): void
  remove(place: string): void
  settled(place: string, decision: Decision, prediction: Prediction | null): void
  /** A camera that is not online has no labels. */
  cameraStatus(camera: string, status: CameraStatus): void
  /** What a template sees of a zone. */
  fields(state: ZoneState): Fields
  /** Calls back after each change, with the zone's number. Must not throw. */
  onChange(listener: (number: number) => void): void
}

/** Starts with zones that have said nothing. */
export function createZoneStates(node: string, places: readonly string[], clock: Clock = systemClock): ZoneStates {
  const states: ZoneState[] = []
  const numbers = new Map<string, number>()
  const listeners: ((number: number) => void)[] = []
  const set = (place: string, change: (before: ZoneState) => ZoneState): void => {
    const number = numbers.get(place)
    if (number === undefined) return
    states[number] = change(states[number]!)
    for (const listener of listeners) listener(number)
  }
  const add = (place: string): void => {
    if (!numbers.has(place)) {
      numbers.set(place, states.length)
      states.push(unsaid(place, clock.now()))
    }
    set(place, (before) =>
      before.reason === 'removed' ? { ...unsaid(place, clock.now()), changes: before.changes } : before,
    )
  }
  for (const place of places) add(place)
  return {
    all: states,
    add,
    remove: (place) => set(place, (before) => ({ ...without(before, 'removed', clock.now()), enabled: false })),
    settled: (place, decision, prediction) => set(place, (before) => stateAfter(before, decision, prediction)),
    cameraStatus(camera, status) {
      for (const { place } of states)
        if (place.split('/')[0] === camera) set(place, (before) => stateWith(before, status, clock.now()))
    },
    fields: ({ sinceMs, ...state }) => ({
      ...{ node, ...state },
      since_s: Math.max(0, Math.floor((clock.now() - sinceMs) / 1000)),
    }),
    onChange(listener) {
      listeners.push(listener)
    },
  }
}

function unsaid(place: string, nowMs: number): ZoneState {
  return {
    ...{ place, label: 'unknown', label_number: 0, score: 0, prev: 'unknown', reason: 'starting', problem: 'none' },
    ...{ online: false, enabled: true, changes: 0, sinceMs: nowMs },
  }
}

function without(before: ZoneState, reason: ZoneState['reason'], nowMs: number): ZoneState {
  const hasChanged = before.label !== 'unknown' || before.reason !== reason
  return {
    ...unsaid(before.place, before.label === 'unknown' ? before.sinceMs : nowMs),
    ...{ reason, prev: before.label === 'unknown' ? before.prev : before.label },
    changes: before.changes + (hasChanged ? 1 : 0),
  }
}

/** Without a prediction what only that tells stays. */
function stateAfter(before: ZoneState, decision: Decision, prediction: Prediction | null): ZoneState {
  const { label, index, score, prev, reason = 'none', sinceMs } = decision
  const hasChanged = label !== before.label || reason !== before.reason
  return {
    ...{ place: before.place, label, label_number: index === null ? 0 : index + 1, score, prev, reason, sinceMs },
    problem: prediction ? (prediction.problem ?? 'none') : before.problem,
    online: isWithoutCamera(decision) ? false : prediction !== null || before.online,
    enabled: reason !== 'camera_disabled' && reason !== 'zone_disabled',
    changes: before.changes + (hasChanged ? 1 : 0),
  }
}

/** A reason that already says why there is no picture is kept. */
function stateWith(before: ZoneState, status: CameraStatus, nowMs: number): ZoneState {
  if (status === 'online') return { ...before, online: true }
  if (status === 'disabled') return { ...without(before, 'camera_disabled', nowMs), enabled: false }
  return before.online ? { ...without(before, 'camera_lost', nowMs), enabled: before.enabled } : before
}
