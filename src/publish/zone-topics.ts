/**
 * One zone's label and state: what is known of it, and what has been published. It decides when something is published
 * again; the sender decides when it goes out.
 */
import type { Clock } from '../clock.js'
import { undecided, unknownLabel, type Decision, type UnknownReason } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Message } from './mqtt.js'
import { labelPayload, statePayload, type Stamp, type StateFields } from './payloads.js'
import type { Topics } from './topics.js'

export interface ZoneTopicsOptions {
  /** The zone's key: its place in the topics. */
  readonly key: string
  readonly topics: Topics
  readonly clock: Clock
  /** Sets the value of a retained topic. */
  readonly keep: (message: Message) => void
  /** The fields that every message carries, with the number of the last event. */
  readonly stamp: () => Stamp
  /** For `gapcam once`: nothing is published before the first decision, and the state says when the next one is expected. */
  readonly once?: Once | undefined
}

/** A run of a device that sleeps in between: what it said the last time holds until it says something else. */
export interface Once {
  /** Wall time at which a zone is expected to say something again, milliseconds; null: not known. */
  readonly nextWallMs: (zone: string) => number | null
}

/** The topics of one zone. Calls only queue messages; none of them waits. */
export class ZoneTopics {
  readonly #options: ZoneTopicsOptions
  #decision: Decision
  /** The label that was last published. */
  #publishedLabel: string | null = null
  /** Wall time when the label settled, milliseconds. */
  #sinceWallMs: number
  #prediction: Prediction | null = null
  #stateMs = -Infinity
  #resultMs = -Infinity

  /** Publishes `unknown` at once, except for `gapcam once`: what the broker kept from an earlier run is not true any more. */
  constructor(options: ZoneTopicsOptions) {
    this.#options = options
    this.#decision = undecided(options.clock.now())
    this.#sinceWallMs = options.clock.wall()
    if (!options.once) this.publishState()
  }

  get fields(): StateFields {
    const { key, once } = this.#options
    const nextWallMs = once?.nextWallMs(key) ?? undefined
    return { decision: this.#decision, sinceWallMs: this.#sinceWallMs, prediction: this.#prediction, nextWallMs }
  }

  /** Takes a decision over. True when label or reason changed. */
  note(decision: Decision, prediction: Prediction | null): boolean {
    const before = this.#decision
    const { clock } = this.#options
    // Wall time is read only when the label settles: `since` must not change when the clock is set.
    if (decision.sinceMs !== before.sinceMs)
      this.#sinceWallMs = clock.wall() - Math.max(0, clock.now() - decision.sinceMs)
    this.#decision = decision
    this.#prediction = prediction ?? this.#prediction
    return decision.label !== before.label || decision.reason !== before.reason
  }

  /** Publishes the state, and the label if it has changed. */
  publishState(): void {
    const { label } = this.#decision
    this.#stateMs = this.#options.clock.now()
    if (label !== this.#publishedLabel) this.#keep('label', labelPayload(label))
    this.#publishedLabel = label
    this.#keep('state', statePayload(this.#options.stamp(), this.fields))
  }

  /** True when the state was last published at least `everyMs` ago. */
  isStateDue(everyMs: number): boolean {
    return everyMs > 0 && this.#options.clock.now() - this.#stateMs >= everyMs
  }

  /** True at most once in `everyMs`; 0: always. */
  takeResultTurn(everyMs: number): boolean {
    const nowMs = this.#options.clock.now()
    if (nowMs - this.#resultMs < everyMs) return false
    this.#resultMs = nowMs
    return true
  }

  /** The camera is not online: the label is `unknown`, also when another label had settled before. */
  withdraw(isDisabled: boolean): void {
    const decision = this.#decision
    const reason = isDisabled ? 'camera_disabled' : offlineReason(decision)
    const isUnknown = decision.label === unknownLabel
    if (isUnknown && decision.reason === reason) return
    const since = isUnknown ? {} : { prev: decision.label, sinceMs: this.#options.clock.now() }
    this.note({ ...decision, ...since, label: unknownLabel, index: null, score: 0, top: [], reason }, null)
    this.publishState()
  }

  #keep(name: 'label' | 'state', payload: string): void {
    const { key, topics, keep } = this.#options
    keep({ ...topics.camera(name, key), payload })
  }
}

/**
 * A camera that is stale, was never there, or was stopped keeps that reason, and so does a zone that cannot look; any other
 * camera has been lost.
 */
function offlineReason({ reason }: Decision): UnknownReason {
  const isKept =
    reason === 'camera_stale' ||
    reason === 'starting' ||
    reason === 'stopped' ||
    reason === 'unavailable' ||
    reason === 'zone_disabled'
  return isKept ? reason : 'camera_lost'
}
