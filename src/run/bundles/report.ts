/** What is said of the bundles of a node: as a report for the page, and as the fields of `R/bundle`. */
import type { Entry, Phase, Slot } from '../../bundle/phases.js'
import type { Fields } from '../commands/fields.js'
import type { Shadow, ShadowPicture, ShadowReport } from './shadow.js'

/** One bundle in a report. */
export interface SlotReport {
  readonly version: string
  readonly digest: string
}

/** The bundles of one name. */
export interface EntryReport {
  readonly installed: SlotReport | null
  /** It computes beside the installed one. */
  readonly candidate: SlotReport | null
  /** A rollback brings it back. */
  readonly before: SlotReport | null
  readonly state: Phase | 'none'
  /** Why the last rollback happened by itself. */
  readonly fault: string | null
}

/** The node's own bundle, and how its candidate compares. */
export interface BundleReport extends EntryReport {
  /** Null: the configuration names a file. */
  readonly name: string | null
  readonly shadow: (ShadowReport & { readonly pictures: readonly ShadowPicture[] }) | null
}

const slotReport = (slot: Slot | null): SlotReport | null => slot && { version: slot.version, digest: slot.digest }

/** What is installed under a name; `entry` undefined: nothing. */
export function entryReport(entry: Entry | undefined): EntryReport {
  if (!entry) return { installed: null, candidate: null, before: null, state: 'none', fault: null }
  const isShadow = entry.phase === 'shadow'
  return {
    installed: slotReport(entry.serving),
    candidate: isShadow ? slotReport(entry.other) : null,
    before: isShadow ? null : slotReport(entry.other),
    state: entry.phase,
    fault: entry.fault,
  }
}

/** What the page shows. */
export function bundleReport(name: string | null, entry: Entry | undefined, shadow: Shadow | null): BundleReport {
  const compared = shadow && { ...shadow.report(), pictures: shadow.pictures() }
  return { name, ...entryReport(entry), shadow: compared }
}

/** The comparison as `R/bundle` has it. */
export function shadowFields({
  compared,
  agreed,
  failed,
  servingMs,
  candidateMs,
  drift,
  changes,
  objection,
}: ShadowReport): Fields {
  const tenths = (ms: number): number => Math.round(ms * 10) / 10
  return {
    compared,
    agreed,
    failed,
    serving_ms: tenths(servingMs),
    candidate_ms: tenths(candidateMs),
    drift: Math.round(drift * 1e4) / 1e4,
    changes,
    ...(objection === null ? {} : { objection }),
  }
}
