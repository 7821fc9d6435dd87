/**
 * What a zone says: its policy's decision, held back by dwell times and allowed transitions, with the time that it has been
 * in that state. It owns what was told and the tallies of the hour and the day.
 */
import type { Clock } from '../clock.js'
import { isWithoutCamera, type Decision, type PolicyEvent, type StateTimes } from '../decision/decision.js'
import { count, keptOf, momentOf, present, resume, type Durations, type KeptDurations } from '../decision/durations.js'
import { initialTold, isHolding, tell, type Told } from '../decision/told.js'
import type { DwellOptions } from '../decision/dwell.js'

/** Where the tallies of one zone outlast a restart. */
export interface KeptTallies {
  readonly kept: KeptDurations | null
  /** `isUrgent`: the zone has entered another state. */
  keep(tallies: KeptDurations, isUrgent: boolean): void
}

export interface AnswerOptions {
  readonly dwell: DwellOptions
  /** Absent: times are neither counted nor said. */
  readonly tallies?: KeptTallies | undefined
  readonly timezone?: string | undefined
  readonly clock: Clock
}

/** What is to be published of one moment. */
export interface Said {
  readonly decision: Decision
  readonly events: readonly PolicyEvent[]
  /** Label or reason differ from what was said before. */
  readonly isNews: boolean
}

/** Times are counted no more often than this while the state stays the same: messages give them in seconds. */
const countEveryMs = 250

/** States that are listed in a message; those of a model with a thousand labels would not fit. */
const mostListed = 20

/** The answers of one zone. */
export class Answer {
  readonly #options: AnswerOptions
  readonly #isHolding: boolean
  #told: Told
  #policyDecision: Decision
  #durations: Durations | null
  #wasKnown = false
  /** What was counted last. */
  #times: StateTimes | undefined

  constructor(options: AnswerOptions, first: Decision) {
    const { clock, tallies, dwell } = options
    this.#options = options
    this.#isHolding = isHolding(dwell)
    this.#policyDecision = first
    this.#told = initialTold(first, clock.now())
    this.#durations = tallies ? resume(tallies.kept, { nowMs: clock.now() }) : null
  }

  /** What was said last. */
  get decision(): Decision {
    return this.#told.decision
  }

  /** Takes the policy's decision. `isNews` says that it differs from the one before. */
  say(decision: Decision, events: readonly PolicyEvent[], isNews: boolean): Said {
    this.#policyDecision = decision
    if (!this.#isHolding) return this.#timed({ decision, events, isNews })
    const step = tell(this.#told, decision, events, this.#options.dwell, this.#options.clock.now())
    this.#told = step.told
    return this.#timed({ decision: step.told.decision, events: step.events, isNews: step.isNews })
  }

  /** Call it about once a second: a dwell time may be over. Null: nothing is new. */
  tick(): Said | null {
    const said = this.say(this.#policyDecision, [], false)
    return said.isNews || said.events.length > 0 ? said : null
  }

  /** Keeps the tallies: the zone ends. */
  end(): void {
    if (this.#durations) this.#options.tallies?.keep(keptOf(this.#durations), true)
  }

  #timed(said: Said): Said {
    const { decision } = said
    const times = this.#count(decision)
    const timed = times ? { ...decision, times } : decision
    this.#told = { ...this.#told, decision: timed }
    return times ? { ...said, decision: timed } : said
  }

  /** Time without a known state counts for none, and leaves the zone in the state that it had. */
  #count(decision: Decision): StateTimes | undefined {
    const before = this.#durations
    if (!before) return undefined
    const { clock, timezone, tallies } = this.#options
    const nowMs = clock.now()
    const isKnown = isState(decision)
    const isSame = isKnown === this.#wasKnown && (!isKnown || decision.label === before.label)
    if (isSame && this.#times && nowMs - before.countedMs < countEveryMs) return this.#times
    const moment = momentOf(nowMs, clock.wall(), timezone)
    const counted = this.#wasKnown
      ? count(before, isKnown ? decision.label : before.label, moment)
      : resume(keptOf(before), moment)
    const now = isKnown && !this.#wasKnown ? count(counted, decision.label, moment) : counted
    this.#wasKnown = isKnown
    this.#durations = now
    tallies?.keep(keptOf(now), now.label !== before.label)
    this.#times = {
      inStateMs: isKnown ? now.inStateMs : 0,
      hour: longest(present(now.hours)),
      day: longest(present(now.days)),
    }
    return this.#times
  }
}

/** A label, or `unknown` because the picture shows none of them; not a zone that has not seen enough yet. */
function isState(decision: Decision): boolean {
  const { reason } = decision
  return reason === undefined || reason === 'novel' || (reason === 'low_confidence' && !isWithoutCamera(decision))
}

function longest(states: StateTimes['hour']): StateTimes['hour'] {
  const all = Object.entries(states)
  if (all.length <= mostListed) return states
  return Object.fromEntries(all.sort(([, a], [, b]) => b.ms - a.ms).slice(0, mostListed))
}
