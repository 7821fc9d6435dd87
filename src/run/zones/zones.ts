/**
 * The zones of all cameras as they run. When settings change, zones are added, replaced and removed between two frames; the
 * others go on. A zone whose model cannot be used stands there as one that says so.
 */
import type { Classifier } from '../../classifier.js'
import type { Clock } from '../../clock.js'
import type { Config } from '../../config/schema.js'
import { undecided, type Decision } from '../../decision/decision.js'
import type { Prediction } from '../../decision/prediction.js'
import { GapcamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Metrics } from '../../metrics.js'
import type { RgbImage } from '../../pixels/image.js'
import type { Publisher } from '../../publish/publisher.js'
import type { FlightRecorders } from '../../recording/recorders.js'
import { zonesOf, type ZoneDefinition } from '../../zone/definition.js'
import { MissingZone, type AnyZone } from '../../zone/missing.js'
import { Zone } from '../../zone/zone.js'
import type { EngineTurns, ZoneOptions } from '../../zone/zone-options.js'
import type { Lenses } from '../cameras/lenses.js'
import type { Settings } from '../commands/settings.js'
import { watchGpio } from './gpio.js'
import type { Models } from './models.js'
import { labelFault, preparedFor, prepareZones, type PreparedZone } from './prepared.js'
import { shotOf } from './shot.js'
import type { Tallies } from './tallies.js'
import type { Views } from './views.js'

/** Hears what each zone says of each of its frames. */
export type SettledListener = (zone: string, decision: Decision, prediction: Prediction | null) => void

export interface ZonesOptions {
  readonly config: Config
  readonly settings: Settings
  readonly models: Models
  /** Models that are open already, by the keys of their zones. */
  readonly prepared: ReadonlyMap<string, PreparedZone>
  readonly turns: EngineTurns
  readonly publisher: Publisher
  readonly recorders?: FlightRecorders | undefined
  readonly tallies: Tallies
  readonly views: Views
  readonly lenses: Lenses
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Logger
  readonly onSettled: SettledListener
  /** A frame of a zone was judged; called for each frame. */
  readonly onSeen?: ZoneOptions['onSeen']
  readonly onCrop?: ZoneOptions['onCrop']
  /** Announces the zones that there are from now on; resolves when their topics may be used. */
  readonly announce?: ((zones: readonly AnnouncedZone[]) => Promise<void>) | undefined
}

/** A zone as others are told of it. */
export interface AnnouncedZone {
  readonly definition: ZoneDefinition
  /** Null where its model cannot be used. */
  readonly classifier: Classifier | null
}

interface Entry {
  readonly zone: AnyZone
  /** What the zone was made from. */
  readonly text: string
  readonly prepared: PreparedZone
  /** Stops what watches for its trigger. */
  readonly stop: () => void
}

/** The zones of a node. Its lists change in place. */
export class Zones {
  readonly #options: ZonesOptions
  #entries: readonly Entry[]
  /** The zones of all cameras. */
  readonly all: AnyZone[] = []
  readonly #byCamera = new Map<string, AnyZone[]>()
  readonly #listeners = new Set<() => void>()
  #onFresh: (zone: AnyZone) => void = () => undefined
  #applying: Promise<void> = Promise.resolve()
  readonly #stopListening: () => void
  #isClosed = false

  constructor(options: ZonesOptions) {
    this.#options = options
    const { settings, prepared } = options
    this.#entries = settings.cameras
      .flatMap(zonesOf)
      .map((definition) => this.#open(definition, prepared.get(definition.key) ?? { fault: 'its model is not open' }))
    this.#list()
    this.#keepViews()
    this.#stopListening = settings.onChange(() => {
      for (const zone of this.all) zone.settingsChanged()
      void this.apply()
    })
  }

  /** The zones of a camera: a list that changes in place. */
  ofCamera(id: string): readonly AnyZone[] {
    return this.#listOf(id)
  }

  find(key: string): AnyZone | undefined {
    return this.all.find((zone) => zone.key === key)
  }

  /** The present clip of a zone; see `shotOf`. Null too where there is no such zone. */
  async shot(key: string): Promise<readonly RgbImage[] | null> {
    const zone = this.find(key)
    return zone ? shotOf(zone, this.#options.turns) : null
  }

  /** Calls back after zones were added, replaced or removed. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Calls back with each zone that is added or replaced while the node runs. */
  onFresh(listener: (zone: AnyZone) => void): void {
    this.#onFresh = listener
  }

  /** Resolves when the zones are those of the settings. */
  apply(): Promise<void> {
    return this.#next(() => this.#apply())
  }

  /** A zone, once all changes until now are made: one that was just added is opened first. */
  async whenApplied(key: string): Promise<AnyZone | undefined> {
    await this.#applying.catch(() => undefined)
    return this.find(key)
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#applying = this.#applying.catch(() => undefined).then(work)
    return this.#applying
  }

  /**
   * A model of this name is another one now: its zones get it between two frames. Where it cannot be used, they go on with the
   * one before, and this rejects; without `keepsBefore` they say so and have none.
   */
  renew(model: string, keepsBefore = true): Promise<void> {
    return this.#next(async () => {
      for (const entry of this.#entries.filter(({ zone }) => zone.definition.model === model))
        await this.#renew(entry, keepsBefore)
    })
  }

  async #renew(entry: Entry, keepsBefore: boolean): Promise<void> {
    const { models, announce, settings } = this.#options
    const { definition, classifier: before } = entry.zone
    const prepared = await preparedFor(models, definition)
    if ('fault' in prepared && keepsBefore)
      throw new GapcamError('HEAD_INVALID', `zone ${definition.key}: ${prepared.fault}`)
    if (this.#isClosed || settings.findZone(definition.key) === undefined)
      return 'release' in prepared ? prepared.release() : undefined
    await this.#close(entry)
    const fresh = this.#reopen(definition, prepared)
    this.#entries = this.#entries.map((each) => (each === entry ? fresh : each))
    this.#list()
    if (JSON.stringify(before?.labels) !== JSON.stringify(classifierIn(prepared)?.labels))
      await announce?.(this.all.map((zone) => ({ definition: zone.definition, classifier: zone.classifier })))
    for (const listener of [...this.#listeners]) listener()
  }

  /** See `labelFault` of the target of commands. Null too where the model does not load: the zone then says so. */
  async labelFault({ model, task, clip, dwell }: ZoneDefinition): Promise<string | null> {
    try {
      const lease = await this.#options.models.lease(model, { task, clip })
      const fault = labelFault(dwell, lease.classifier.labels)
      await lease.release()
      return fault
    } catch {
      return null
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    await this.#applying
    for (const entry of this.#entries) await this.#close(entry)
  }

  async #apply(): Promise<void> {
    const { settings, models, announce, publisher, clock } = this.#options
    const wanted = settings.cameras.flatMap(zonesOf)
    const texts = new Set(wanted.map(textOf))
    const kept = new Map(this.#entries.map((entry) => [entry.text, entry]))
    const fresh = wanted.filter((definition) => !kept.has(textOf(definition)))
    const gone = this.#entries.filter(({ text }) => !texts.has(text))
    if (this.#isClosed || (fresh.length === 0 && gone.length === 0)) return
    const prepared = await prepareZones(models, fresh)
    this.#entries = this.#entries.filter((entry) => !gone.includes(entry))
    this.#list()
    const keys = new Set(wanted.map(({ key }) => key))
    for (const entry of gone) {
      await this.#close(entry)
      const { zone } = entry
      // Home Assistant takes no new labels while the state is one of the old ones.
      if (keys.has(zone.key)) publisher.settled(zone.key, undecided(clock.now()), null)
      else {
        publisher.removeZone(zone.key)
        this.#options.tallies.drop(zone.key)
      }
    }
    await announce?.(
      wanted.map((definition) => ({
        definition,
        classifier: kept.get(textOf(definition))?.zone.classifier ?? classifierIn(prepared.get(definition.key)),
      })),
    )
    const opened: Entry[] = []
    for (const definition of wanted) {
      const entry = kept.get(textOf(definition))
      const model = prepared.get(definition.key)
      // Removed again while its model was opened: the next call clears its topics.
      const isThere = settings.findZone(definition.key) !== undefined
      if (entry) opened.push(entry)
      else if (isThere) opened.push(this.#reopen(definition, model!))
      else if (model && 'release' in model) await model.release()
    }
    this.#entries = opened
    this.#list()
    this.#keepViews()
    for (const listener of [...this.#listeners]) listener()
  }

  #reopen(definition: ZoneDefinition, prepared: PreparedZone): Entry {
    const entry = this.#open(definition, prepared)
    const { zone } = entry
    this.#options.publisher.settled(zone.key, zone.decision, null)
    this.#onFresh(zone)
    return entry
  }

  #open(definition: ZoneDefinition, prepared: PreparedZone): Entry {
    const { settings, publisher, clock, log, config, recorders, tallies, views, lenses } = this.#options
    const { key } = definition
    const text = textOf(definition)
    publisher.addZone(key)
    if ('fault' in prepared) {
      log.error({ zone: key }, `zone ${key} is unavailable: ${prepared.fault}`)
      const zone = new MissingZone({ definition, fault: prepared.fault, publisher, clock })
      return { text, prepared, zone, stop: () => undefined }
    }
    const { classifier, second } = prepared
    let last = settings.zone(key)
    const onWarning = (sentence: string): void => log.warn({ zone: key }, `zone ${key}: ${sentence}`)
    const zone = new Zone({
      ...this.#options,
      definition,
      classifier,
      second: second && definition.second && { ...definition.second, classifier: second },
      topK: config.topK,
      settings() {
        // A zone that was removed finishes its frame with the values that it had.
        last = settings.findZone(key) ?? last
        return last
      },
      // What is wrong with the camera's picture is judged by its own question where it has one, which sees all of it.
      lens: definition.zone === null ? config.lens : undefined,
      cameraLens: definition.zone === null ? undefined : () => lenses.finding(this.ofCamera(definition.camera)),
      // A recording replays each frame by itself.
      recorder: classifier.clip ? undefined : recorders?.of(key, classifier),
      anchor: definition.zone === null ? undefined : views.of(definition.camera).anchorOf(definition),
      tallies: definition.zone === null ? undefined : tallies.of(key),
      onWarning,
    })
    return { zone, text, prepared, stop: watchTrigger(definition, zone, onWarning) }
  }

  async #close({ zone, prepared, stop }: Entry): Promise<void> {
    stop()
    await zone.close()
    this.#options.recorders?.drop(zone.key)
    if ('release' in prepared) await prepared.release()
  }

  /** Not while zones are replaced: what is known of their regions would be forgotten. */
  #keepViews(): void {
    for (const [id, zones] of this.#byCamera) this.#options.views.of(id).keep(zones.map(({ definition }) => definition))
  }

  /** Brings the lists up to date, in place. */
  #list(): void {
    const zones = this.#entries.map(({ zone }) => zone)
    this.all.splice(0, this.all.length, ...zones)
    const ids = new Set([...this.#byCamera.keys(), ...zones.map(({ camera }) => camera)])
    for (const id of ids) {
      const list = this.#listOf(id)
      list.splice(0, list.length, ...zones.filter(({ camera }) => camera === id))
    }
  }

  #listOf(camera: string): AnyZone[] {
    const list = this.#byCamera.get(camera) ?? []
    this.#byCamera.set(camera, list)
    return list
  }
}

/** Watches for a trigger from outside; returns how to stop that. */
function watchTrigger({ trigger }: ZoneDefinition, zone: Zone, onFault: (sentence: string) => void): () => void {
  if (trigger.kind !== 'gpio') return () => undefined
  const { chip, line } = trigger
  return watchGpio({ chip, line, onEdge: () => zone.ask('gpio'), onFault })
}

const textOf = (definition: ZoneDefinition): string => JSON.stringify(definition)

const classifierIn = (prepared: PreparedZone | undefined): Classifier | null =>
  prepared && 'classifier' in prepared ? prepared.classifier : null
