/**
 * From the label that the policy settles to the state that a zone tells: a label counts after it has lasted its dwell time,
 * and only if it may follow the present one. Pure functions; times are monotonic, so a clock that is set changes nothing.
 */

/** What a zone is told about its labels. */
export interface DwellOptions {
  /** How long a label must last before it is told, by label, milliseconds; default at once. */
  readonly dwellMs: Readonly<Record<string, number>>
  /** Labels that may follow a label; one that is not named here may be followed by all. */
  readonly transitions: Readonly<Record<string, readonly string[]>>
}

/** What is remembered. Immutable. */
export interface DwellState {
  /** The label that is told; null before the first. */
  readonly told: string | null
  readonly toldSinceMs: number
  /** A label that is settled and not told. */
  readonly waiting: { readonly label: string; readonly sinceMs: number } | null
  /** A label that was refused; it is told of once for as long as it lasts. */
  readonly refused: string | null
}

/** What came of a moment: nothing, another label that is told, or one that must not follow. */
export type DwellEvent =
  | { readonly kind: 'told'; readonly label: string; readonly previous: string | null; readonly sinceMs: number }
  | { readonly kind: 'forbidden'; readonly label: string; readonly held: string }

/** Before the first label, or with the one that was told before a restart. */
export function initialDwell(told: string | null, nowMs: number): DwellState {
  return { told, toldSinceMs: nowMs, waiting: null, refused: null }
}

/**
 * The policy's label now; null for `unknown`, which neither waits nor is told: the told label stays until another takes
 * its place, and a label that waited begins anew. Call it for each decision and about once a second.
 */
export function dwell(
  state: DwellState,
  label: string | null,
  nowMs: number,
  options: DwellOptions,
): { readonly state: DwellState; readonly event: DwellEvent | null } {
  if (label === null) return { state: { ...state, waiting: null }, event: null }
  if (label === state.told) return { state: { ...state, waiting: null, refused: null }, event: null }
  if (!mayFollow(state.told, label, options)) return refuse(state, label)
  const sinceMs = state.waiting?.label === label ? state.waiting.sinceMs : nowMs
  if (nowMs - sinceMs < (own(options.dwellMs, label) ?? 0))
    return { state: { ...state, waiting: { label, sinceMs }, refused: null }, event: null }
  return {
    state: { told: label, toldSinceMs: nowMs, waiting: null, refused: null },
    event: { kind: 'told', label, previous: state.told, sinceMs: nowMs },
  }
}

/** Whether a label may follow another. */
export function mayFollow(
  from: string | null,
  to: string,
  { transitions }: Pick<DwellOptions, 'transitions'>,
): boolean {
  if (from === null || from === to) return true
  return own(transitions, from)?.includes(to) ?? true
}

function refuse(
  state: DwellState & { readonly told: string | null },
  label: string,
): { readonly state: DwellState; readonly event: DwellEvent | null } {
  const next = { ...state, waiting: null, refused: label }
  if (state.refused === label || state.told === null) return { state: next, event: null }
  return { state: next, event: { kind: 'forbidden', label, held: state.told } }
}

/** A label may be called `constructor`: only what the configuration names counts. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
