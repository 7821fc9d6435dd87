/**
 * From installed to confirmed or rolled back: pure functions over what is kept of the bundles of one name. Two slots exist at
 * most, so that the disk of a small board is never asked for a third.
 *
 *     install --(shadow)--> shadow --confirm--> probation --confirm--> settled
 *     install --------------------------------> probation
 *     rollback: shadow drops the candidate; probation and settled go back to the bundle before
 */
import { GapcamError } from '../errors.js'

/** A bundle on the disk. */
export interface Slot {
  readonly digest: string
  readonly version: string
  /** The model's file in the slot. */
  readonly model: string
  /** When it was installed, as the clock said; for people only. */
  readonly installedAt: string
}

/**
 * - `shadow`: `other` is a candidate that computes beside the model that serves.
 * - `probation`: `serving` is new; faults roll it back to `other`.
 * - `settled`: `serving` is confirmed; `other` is the one before, for a rollback by hand.
 */
export type Phase = 'shadow' | 'probation' | 'settled'

/** The bundles of one name. */
export interface Entry {
  /** Null: nothing of this name serves, or the model that comes with gapcam does. */
  readonly serving: Slot | null
  readonly other: Slot | null
  readonly phase: Phase
  /** Digests that were rolled back, newest first: they are not offered again. */
  readonly rejected: readonly string[]
  /** Starts in a row, on probation, of which none was known to be good. */
  readonly starts: number
  /** Why the last rollback happened; null where there was none, or by hand. */
  readonly fault: string | null
}

/** Faults in a row that roll back. */
export const mostBadStarts = 3
/** A run that lasts this long was a good start. */
export const goodStartMs = 5 * 60_000

const mostRejected = 20
const nothing: Entry = { serving: null, other: null, phase: 'settled', rejected: [], starts: 0, fault: null }

const fail = (sentence: string, hint?: string): never => {
  throw new GapcamError('BUNDLE_STATE', sentence, hint === undefined ? undefined : { hint })
}

export interface Installing {
  readonly name: string
  readonly slot: Slot
  /** Compute beside the model that serves first. */
  readonly isShadow: boolean
  /** Whether gapcam comes with a model of this name, so that there is something to serve and to go back to. */
  readonly isBuiltIn: boolean
}

/** After the installation of `slot`. Throws BUNDLE_STATE where the present phase does not allow it. */
export function installed(before: Entry | undefined, { name, slot, isShadow, isBuiltIn }: Installing): Entry {
  const entry = before ?? nothing
  const rejected = entry.rejected.filter((digest) => digest !== slot.digest)
  if (entry.serving?.digest === slot.digest) fail(`${name} ${slot.version} serves already`)
  const isServed = entry.serving !== null || isBuiltIn
  if (isShadow && isServed) {
    if (entry.phase === 'probation')
      fail(`${name} ${entry.serving?.version} is on probation`, 'Confirm it, or roll it back, before the next one.')
    return { ...entry, other: slot, phase: 'shadow', rejected }
  }
  // The one that was confirmed before serves again, confirmed as it was.
  if (entry.phase === 'probation' && entry.other?.digest === slot.digest)
    return { serving: slot, other: null, phase: 'settled', rejected, starts: 0, fault: null }
  // A second one on probation takes the first one's place: the bundle to go back to is the one that was confirmed.
  const other = entry.phase === 'probation' ? entry.other : entry.serving
  return { serving: slot, other, phase: 'probation', rejected, starts: 0, fault: null }
}

/** One step towards `settled`. Throws BUNDLE_STATE where nothing waits. */
export function confirmed(entry: Entry | undefined, name: string): Entry {
  if (entry?.phase === 'shadow')
    return { ...entry, serving: entry.other, other: entry.serving, phase: 'probation', starts: 0, fault: null }
  if (entry?.phase === 'probation') return { ...entry, phase: 'settled', starts: 0 }
  return fail(`nothing of ${name} waits for a confirmation`)
}

/** Back to the bundle before. `fault`: why, where it was not by hand. Throws BUNDLE_STATE where there is none. */
export function rolledBack(entry: Entry | undefined, name: string, isBuiltIn: boolean, fault: string | null): Entry {
  if (!entry?.serving && entry?.phase !== 'shadow') return fail(`there is nothing of ${name} to roll back`)
  const bad = entry.phase === 'shadow' ? entry.other : entry.serving
  const rejected = [bad!.digest, ...entry.rejected.filter((digest) => digest !== bad!.digest)].slice(0, mostRejected)
  if (entry.phase === 'shadow') return { ...entry, other: null, phase: 'settled', rejected, fault }
  if (entry.other === null && !isBuiltIn)
    fail(
      `there is no bundle before ${name} ${entry.serving!.version} to go back to`,
      'Install another one, or remove it.',
    )
  return { serving: entry.other, other: null, phase: 'settled', rejected, starts: 0, fault }
}

/** Whether a rollback would find something. */
export function canRollBack(entry: Entry, isBuiltIn: boolean): boolean {
  return entry.phase === 'shadow' || (entry.serving !== null && (entry.other !== null || isBuiltIn))
}

/**
 * At the start of a node that uses this name: counts the start, and rolls back after `mostBadStarts` that were not good. Only
 * probation counts. Where nothing is left to go back to, the bundle stays.
 */
export function started(entry: Entry, name: string, isBuiltIn: boolean): Entry {
  if (entry.phase !== 'probation') return entry
  if (entry.starts >= mostBadStarts && canRollBack(entry, isBuiltIn))
    return rolledBack(entry, name, isBuiltIn, `${mostBadStarts} starts in a row ended by a fault`)
  return { ...entry, starts: entry.starts + 1 }
}

/** After a run that lasted `goodStartMs`, or that was ended on purpose: faults before it do not count any more. */
export function endedWell(entry: Entry): Entry {
  return { ...entry, starts: 0 }
}

/** After a watchdog ended the program: on probation that is enough. */
export function hung(entry: Entry, name: string, isBuiltIn: boolean): Entry {
  if (entry.phase !== 'probation' || !canRollBack(entry, isBuiltIn)) return entry
  return rolledBack(entry, name, isBuiltIn, 'the watchdog ended the program')
}
