/** A zone that cannot look, such as one whose model does not load. It says so on its topics; the other zones run. */
import { unable, type Decision } from '../decision/decision.js'
import type { Clock } from '../clock.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Publisher } from '../publish/publisher.js'
import type { ZoneDefinition } from './definition.js'
import type { Picture } from './picture.js'
import type { Zone } from './zone.js'

export interface MissingZoneOptions {
  readonly definition: ZoneDefinition
  /** Why it cannot look, in one sentence. */
  readonly fault: string
  readonly publisher: Pick<Publisher, 'settled'>
  readonly clock: Clock
}

/** A zone of a node, whether it can look or not. */
export type AnyZone = Zone | MissingZone

/** Takes the place of a zone: its camera and others treat it like one. */
export class MissingZone {
  readonly definition: ZoneDefinition
  readonly key: string
  readonly camera: string
  readonly fault: string
  readonly classifier = null
  readonly frames = 0
  readonly skipped = 0
  readonly looks: ReadonlyMap<string, number> = new Map()
  readonly pixelPath = 'none'
  readonly view = null
  readonly decision: Decision
  readonly #publisher: MissingZoneOptions['publisher']

  constructor({ definition, fault, publisher, clock }: MissingZoneOptions) {
    this.definition = definition
    this.key = definition.key
    this.camera = definition.camera
    this.fault = fault
    this.#publisher = publisher
    this.decision = unable('unavailable', clock.now(), fault)
    publisher.settled(this.key, this.decision, null)
  }

  take(frame: Frame): Promise<void> {
    frame.release()
    return Promise.resolve()
  }

  capture(): Promise<Picture> {
    return Promise.reject(new GapcamError('MODEL_UNSUPPORTED', `zone ${this.key} is unavailable: ${this.fault}`))
  }

  // What happens to its camera does not change why it cannot look.
  opened(): void {}
  lose(): void {}
  disable(): void {}
  enable(): void {}
  ask(): void {}
  settingsChanged(): void {}
  tick(): void {}
  close(): Promise<void> {
    return Promise.resolve()
  }

  end(): void {
    this.#publisher.settled(this.key, this.decision, null)
  }
}
