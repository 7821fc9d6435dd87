/**
 * What a zone tells of its policy's decisions: a label only after its dwell time and only where it may follow the one told
 * before. `unknown` is told at once. Pure functions; times are monotonic.
 */
import type { Decision, PolicyEvent } from './decision.js'
import { dwell, initialDwell, type DwellOptions, type DwellState } from './dwell.js'

/** What is told, and what is remembered for it. Immutable. */
export interface Told {
  readonly dwell: DwellState
  readonly decision: Decision
}

/** The outcome of one moment. */
export interface ToldStep {
  readonly told: Told
  /** Label or reason differ from what was told before. */
  readonly isNews: boolean
  readonly events: readonly PolicyEvent[]
}

/** Whether the options hold back anything at all. */
export function isHolding({ dwellMs, transitions }: DwellOptions): boolean {
  return Object.keys(dwellMs).length > 0 || Object.keys(transitions).length > 0
}

/** Tells the first decision at once. */
export function initialTold(decision: Decision, nowMs: number): Told {
  return { dwell: initialDwell(decision.index === null ? null : decision.label, nowMs), decision }
}

/**
 * The policy's decision and events now become what is told. Call it for each decision, and about once a second with the
 * last one and no events: a dwell time may be over.
 */
export function tell(
  before: Told,
  decision: Decision,
  events: readonly PolicyEvent[],
  options: DwellOptions,
  nowMs: number,
): ToldStep {
  const label = decision.index === null ? null : decision.label
  const { state, event } = dwell(before.dwell, label, nowMs, options)
  const others = events.filter((type) => type !== 'label_changed')
  const told = { dwell: state, decision: toldDecision(before, state, decision, nowMs) }
  const { label: now, reason } = told.decision
  const isNews = now !== before.decision.label || reason !== before.decision.reason
  if (event?.kind === 'forbidden') return { told, isNews, events: [...others, 'transition_forbidden'] }
  const isBack = isNews && told.decision.index !== null && event === null
  return { told, isNews, events: event?.kind === 'told' || isBack ? [...others, 'label_changed'] : others }
}

function toldDecision(
  before: Told,
  { told, waiting, refused }: DwellState,
  decision: Decision,
  nowMs: number,
): Decision {
  const said = before.decision
  if (decision.index === null || decision.label === told) {
    const isSame = said.label === decision.label
    return { ...decision, prev: isSame ? said.prev : said.label, sinceMs: isSame ? said.sinceMs : nowMs }
  }
  const detail = waiting
    ? `${decision.label} waits for its dwell time`
    : refused === null
      ? undefined
      : `${decision.label} must not follow ${told ?? 'this'}`
  if (told !== null && said.index !== null) return { ...said, detail }
  // Nothing is told yet, or what was told had become unknown.
  const isUnknown = said.index === null
  const { reason: _, ...rest } = said
  return {
    ...rest,
    label: 'unknown',
    index: null,
    score: decision.score,
    top: decision.top,
    reason: 'settling',
    detail,
    sinceMs: isUnknown ? said.sinceMs : nowMs,
  }
}
