/**
 * How long a zone was in each state and how often it came into it, for the present hour and day and since when it is in the
 * present one. Pure functions of what is known, of monotonic time and of wall time. Lengths are measured by the monotonic
 * clock alone; the wall clock only says to which hour and day a moment belongs, so setting it neither adds nor removes a
 * millisecond. What is kept across a restart is plain data; time in which nothing ran counts for no state.
 */
import { z } from 'zod'

/** Milliseconds and entries of one state in a period. */
export interface StateTally {
  readonly ms: number
  readonly entries: number
}

/** One hour or day: its name by the local wall clock (`2026-11-29T22`, `2026-11-29`), and the states seen in it. */
export interface Period {
  readonly name: string
  readonly states: Readonly<Record<string, StateTally>>
}

/** What is kept on disk. */
export interface KeptDurations {
  readonly label: string | null
  /** How long the zone has been in `label`, over restarts, milliseconds. */
  readonly inStateMs: number
  /** The present hour and day last. Some before them are kept, because a board may start with a clock of the past. */
  readonly hours: readonly Period[]
  readonly days: readonly Period[]
}

/** What is known while it runs: what is kept, and the monotonic time up to which it is counted. */
export interface Durations extends KeptDurations {
  readonly countedMs: number
}

/** A moment by both clocks: monotonic milliseconds, and the names of the hour and the day by the wall clock. */
export interface Moment {
  readonly nowMs: number
  readonly hour: string
  readonly day: string
}

/**
 * The moment of two clocks in a time zone (IANA name; default this machine's).
 *
 *     const moment = momentOf(clock.now(), clock.wall(), 'Europe/Zurich')
 */
export function momentOf(nowMs: number, wallMs: number, timeZone?: string): Moment {
  const { day, hour } = namesOf(wallMs, timeZone)
  return { nowMs, day, hour }
}

/** The names of a minute's hour and day. */
interface Names {
  readonly minute: number
  readonly hour: string
  readonly day: string
}

/** Of the minute that was asked for last, by time zone: the clocks of a zone change at full minutes only. */
const lastNames = new Map<string | undefined, Names>()

function namesOf(wallMs: number, timeZone: string | undefined): Names {
  const minute = Math.floor(wallMs / 60_000)
  const last = lastNames.get(timeZone)
  if (last?.minute === minute) return last
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(wallMs)
      .map(({ type, value }) => [type, value]),
  )
  const day = `${parts['year']}-${parts['month']}-${parts['day']}`
  const names = { minute, day, hour: `${day}T${parts['hour']}` }
  lastNames.set(timeZone, names)
  return names
}

/** Continues what was kept, or starts with nothing (null). Time since it was kept counts for no state. */
export function resume(kept: KeptDurations | null, { nowMs }: Pick<Moment, 'nowMs'>): Durations {
  return { ...(kept ?? { label: null, inStateMs: 0, hours: [], days: [] }), countedMs: nowMs }
}

/**
 * Counts the time up to a moment for the present state, and enters another state where `label` is another one (null: none).
 * Time around the turn of an hour belongs to the hour in which it is counted: call it at least once a second.
 */
export function count(before: Durations, label: string | null, moment: Moment): Durations {
  const passedMs = Math.max(0, moment.nowMs - before.countedMs)
  const isSame = label === before.label
  const passed: Passed = { label: before.label, ms: passedMs, entered: isSame ? null : label }
  return {
    label,
    inStateMs: isSame ? before.inStateMs + passedMs : 0,
    hours: tallied(before.hours, moment.hour, passed),
    days: tallied(before.days, moment.day, passed),
    countedMs: Math.max(before.countedMs, moment.nowMs),
  }
}

/** The tallies of the present hour or day: the last of `hours` or `days`. */
export function present(periods: readonly Period[]): Period['states'] {
  return periods.at(-1)?.states ?? {}
}

/** What of it is kept on disk. */
export function keptOf({ label, inStateMs, hours, days }: Durations): KeptDurations {
  return { label, inStateMs, hours, days }
}

/** What a state file may hold. */
export const keptDurationsSchema: z.ZodType<KeptDurations> = z.strictObject({
  label: z.string().nullable(),
  inStateMs: z.number().min(0),
  hours: z.array(periodSchema()).max(100),
  days: z.array(periodSchema()).max(100),
})

function periodSchema(): z.ZodType<Period> {
  const tally = z.strictObject({ ms: z.number().min(0), entries: z.int().min(0) })
  return z.strictObject({ name: z.string(), states: z.record(z.string(), tally) })
}

/** Time in a state, and the state that was entered after it. */
interface Passed {
  readonly label: string | null
  readonly ms: number
  readonly entered: string | null
}

/** Periods that are kept. */
const mostPeriods = 3

/** The periods with what has passed added to the one of this name, which becomes the last. */
function tallied(periods: readonly Period[], name: string, { label, ms, entered }: Passed): readonly Period[] {
  const states = new Map(Object.entries(periods.find((period) => period.name === name)?.states ?? {}))
  const add = (state: string | null, some: StateTally): void => {
    if (state === null) return
    const known = states.get(state) ?? { ms: 0, entries: 0 }
    states.set(state, { ms: known.ms + some.ms, entries: known.entries + some.entries })
  }
  add(label, { ms, entries: 0 })
  add(entered, { ms: 0, entries: 1 })
  const others = periods.filter((period) => period.name !== name)
  return [...others, { name, states: Object.fromEntries(states) }].slice(-mostPeriods)
}

const formats = new Map<string | undefined, Intl.DateTimeFormat>()

function formatOf(timeZone: string | undefined): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
  })
  formats.set(timeZone, format)
  return format
}
