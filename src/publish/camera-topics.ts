/** One camera's status, and the topics of its zones, which have no label while it is not online. */
import { isWithoutCamera, type Decision } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { CameraStatus } from './payloads.js'
import { ZoneTopics, type ZoneTopicsOptions } from './zone-topics.js'

export type CameraTopicsOptions = Omit<ZoneTopicsOptions, 'key'> & { readonly camera: string }

/** The topics of one camera. Calls only queue messages; none of them waits. */
export class CameraTopics {
  readonly #options: CameraTopicsOptions
  readonly #zones = new Map<string, ZoneTopics>()
  /** Null before anything is said. */
  #status: CameraStatus | null

  /** Publishes `offline` at once, except for `gapcam once`: what the broker kept from an earlier run is not true any more. */
  constructor(options: CameraTopicsOptions) {
    this.#options = options
    this.#status = null
    if (!options.once) this.#setStatus('offline')
  }

  /** Gives a zone its topics: its label is unknown until it says something else. Without effect for a zone that has them. */
  add(key: string): ZoneTopics {
    const topics = this.#zones.get(key) ?? new ZoneTopics({ ...this.#options, key })
    this.#zones.set(key, topics)
    return topics
  }

  /** Nothing is published for this zone any more. */
  remove(key: string): void {
    this.#zones.delete(key)
  }

  /** Takes a zone's decision over, with the camera's status that follows from it. True when label or reason changed. */
  note(zone: ZoneTopics, decision: Decision, prediction: Prediction | null): boolean {
    const hasChanged = zone.note(decision, prediction)
    if (isWithoutCamera(decision)) this.#setStatus(decision.reason === 'camera_disabled' ? 'disabled' : 'offline')
    else if (prediction) this.#setStatus('online')
    return hasChanged
  }

  /** A camera that is not online has no label, also when a label had settled before. */
  setStatus(status: CameraStatus): void {
    if (status !== 'online') for (const zone of this.#zones.values()) zone.withdraw(status === 'disabled')
    this.#setStatus(status)
  }

  #setStatus(status: CameraStatus): void {
    if (this.#status === status) return
    this.#status = status
    const { camera, topics, keep } = this.#options
    keep({ ...topics.camera('cameraStatus', camera), payload: status })
  }
}
