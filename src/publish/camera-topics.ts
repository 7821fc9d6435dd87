/**
 * One camera's status, label and state: what is known of it, and what has been published. It decides when something is
 * published again; the sender decides when it goes out.
 */
import type { Clock } from '../clock.js'
import { isWithoutCamera, undecided, unknownLabel, type Decision, type UnknownReason } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Message } from './mqtt.js'
import { labelPayload, statePayload, type CameraStatus, type Stamp, type StateFields } from './payloads.js'
import type { Topics } from './topics.js'

export interface CameraTopicsOptions {
  readonly camera: string
  readonly topics: Topics
  readonly clock: Clock
  /** Sets the value of a retained topic. */
  readonly keep: (message: Message) => void
  /** The fields that every message carries, with the number of the last event. */
  readonly stamp: () => Stamp
}

/** The topics of one camera. Calls only queue messages; none of them waits. */
export class CameraTopics {
  readonly #options: CameraTopicsOptions
  #status: CameraStatus = 'offline'
  #decision: Decision
  /** The label that was last published. */
  #publishedLabel: string | null = null
  /** Wall time when the label settled, milliseconds. */
  #sinceWallMs: number
  #prediction: Prediction | null = null
  #stateMs = -Infinity
  #resultMs = -Infinity

  /** Publishes `offline` and `unknown` at once: what the broker kept from an earlier run is not true any more. */
  constructor(options: CameraTopicsOptions) {
    this.#options = options
    this.#decision = undecided(options.clock.now())
    this.#sinceWallMs = options.clock.wall()
    this.#keep('cameraStatus', this.#status)
    this.publishState()
  }

  get fields(): StateFields {
    return { decision: this.#decision, sinceWallMs: this.#sinceWallMs, prediction: this.#prediction }
  }

  /** Takes a decision over, with the status that follows from it. True when label or reason changed. */
  note(decision: Decision, prediction: Prediction | null): boolean {
    const before = this.#decision
    const { clock } = this.#options
    // Wall time is read only when the label settles: `since` must not change when the clock is set.
    if (decision.sinceMs !== before.sinceMs)
      this.#sinceWallMs = clock.wall() - Math.max(0, clock.now() - decision.sinceMs)
    this.#decision = decision
    this.#prediction = prediction ?? this.#prediction
    if (isWithoutCamera(decision)) this.#setStatus(decision.reason === 'camera_disabled' ? 'disabled' : 'offline')
    else if (prediction) this.#setStatus('online')
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

  /** A camera that is not online has the label `unknown`, also when another label had settled before. */
  setStatus(status: CameraStatus): void {
    if (status !== 'online') this.#withdraw(status === 'disabled' ? 'camera_disabled' : offlineReason(this.#decision))
    this.#setStatus(status)
  }

  #setStatus(status: CameraStatus): void {
    if (this.#status === status) return
    this.#status = status
    this.#keep('cameraStatus', status)
  }

  #withdraw(reason: UnknownReason): void {
    const decision = this.#decision
    const isUnknown = decision.label === unknownLabel
    if (isUnknown && decision.reason === reason) return
    const since = isUnknown ? {} : { prev: decision.label, sinceMs: this.#options.clock.now() }
    this.note({ ...decision, ...since, label: unknownLabel, index: null, score: 0, top: [], reason }, null)
    this.publishState()
  }

  #keep(name: 'cameraStatus' | 'label' | 'state', payload: string): void {
    const { camera, topics, keep } = this.#options
    keep({ ...topics.camera(name, camera), payload })
  }
}

/** A camera that is stale, was never there, or was stopped keeps that reason; any other has been lost. */
function offlineReason({ reason }: Decision): UnknownReason {
  return reason === 'camera_stale' || reason === 'starting' || reason === 'stopped' ? reason : 'camera_lost'
}
