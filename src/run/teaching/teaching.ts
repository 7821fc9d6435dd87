/**
 * Teaching on a running node: the present picture of a zone becomes a picture of a state, a new head is fitted, tried and put in
 * place between two frames. One head after the other; people who teach at once wait for each other.
 */
import type { Clock } from '../../clock.js'
import type { Config } from '../../config/schema.js'
import type { Prediction } from '../../decision/prediction.js'
import { messageOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Publisher } from '../../publish/publisher.js'
import { createTopics, type Topics } from '../../publish/topics.js'
import { headNameOf, nameFault } from '../../teach/names.js'
import { openTaughtHead, type TaughtHead } from '../../teach/taught-head.js'
import { zonesOf, type ZoneDefinition } from '../../zone/definition.js'
import { Refusal } from '../commands/refusal.js'
import { RestingNetwork } from './resting-network.js'
import type { Settings } from '../commands/settings.js'
import { clipOf, presentOf, shownAs, type PresentOptions, type TaughtClip } from './clip.js'
import type { TaughtModels } from './models.js'
import { handOver, type Handed, type LabelledPictures } from './reviewed.js'
import { TaughtWatch } from './watch.js'
import { statusOf, teachPayload, type TeachStatus } from './status.js'
import { withModel } from '../zones/overlay.js'
import { isNamed } from '../zones/prepared.js'
import type { Zones } from '../zones/zones.js'

/** What a node teaches with. */
export interface TeachingOptions {
  readonly config: Pick<Config, 'models' | 'mqtt' | 'node'>
  readonly settings: Settings
  readonly zones: Zones
  readonly camera: PresentOptions['camera']
  readonly taught: TaughtModels
  readonly publisher: Pick<Publisher, 'keep' | 'event'>
  /** Pictures that people have labelled. */
  readonly review: LabelledPictures
  readonly clock: Clock
  readonly log: Pick<Logger, 'info' | 'warn'>
}

interface Entry {
  readonly head: TaughtHead
  fitting: Promise<void> | null
  fault: string | null
}

/** The teaching of a node's zones by their keys. */
export class Teaching {
  readonly #options: TeachingOptions
  readonly #entries = new Map<string, Promise<Entry>>()
  readonly #network: RestingNetwork
  #isClosed = false
  #working: Promise<unknown> = Promise.resolve()
  readonly #watch: TaughtWatch
  readonly #topics: Topics
  /** The state that a command without one teaches, by zone; null: none of the states. */
  readonly #selected = new Map<string, string | null>()

  constructor(options: TeachingOptions) {
    this.#options = options
    this.#topics = createTopics(options.config.mqtt.base, options.config.node)
    this.#network = new RestingNetwork(options.taught, async () => {
      for (const entry of this.#entries.values()) (await entry.catch(() => null))?.head.rest()
    })
    this.#watch = new TaughtWatch({
      clock: options.clock,
      picture: async (zone) =>
        (await presentOf(options, this.#zoneOf(zone).definition, AbortSignal.timeout(10_000))).bytes,
      onChange: (zone, prediction) => void this.#drifted(zone, prediction),
    })
    // A damaged head is told when it is asked for.
    for (const { key } of options.zones.all) void this.#tell(key).catch(() => undefined)
  }

  /** Hears of each look of a zone that was taught. */
  looked(zone: string, prediction: Prediction): void {
    this.#watch.looked(zone, prediction)
  }

  /** A picture of a zone that shows what it was not taught; null where there is none. */
  example(zone: string, index: number): Buffer | null {
    return this.#watch.example(zone, index)
  }

  /** Chooses the state that `capture` without one teaches. */
  async select(zone: string, state: string): Promise<void> {
    const { head } = await this.#entryOf(zone)
    const isState = head.record.states.includes(state)
    if (!isState && state !== 'none')
      throw new Refusal('invalid', `value: ${state} is none of ${[...head.record.states, 'none'].join(', ')}`)
    this.#selected.set(zone, isState ? state : null)
    await this.#tell(zone)
  }

  /**
   * Keeps the present picture of a zone for a state (null: of none), its present clip where its network takes clips, and fits as
   * soon as there are two states.
   */
  async capture(zone: string, state: string | null | undefined, signal: AbortSignal): Promise<string> {
    const entry = await this.#entryOf(zone)
    const shown = state === undefined ? this.#selectedOf(zone, entry) : state
    const { bytes, atMs } = await presentOf(this.#options, this.#zoneOf(zone).definition, signal)
    const kept = await shownAs(this.#clipOf(zone, entry), bytes)
    const { id } = await entry.head.add(shown, kept, atMs)
    this.#fitSoon(zone, entry)
    return id
  }

  #selectedOf(zone: string, { head }: Entry): string | null {
    const [first] = head.record.states
    const chosen = this.#selected.get(zone)
    const isThere = chosen === null || (chosen !== undefined && head.record.states.includes(chosen))
    if (isThere) return chosen
    if (first === undefined) throw new Refusal('invalid', 'state: is needed, since the zone has no states yet')
    return first
  }

  /** Publishes what a zone was taught; nothing for a zone that was taught nothing. */
  async #tell(zone: string): Promise<void> {
    const { publisher } = this.#options
    const entry = await this.#entryOf(zone)
    const { states, served } = entry.head.record
    if (states.length === 0 && !served) return
    if (served) this.#watch.watch(zone, served.usual, served.head)
    const needsTeaching = this.#watch.drifted(zone) !== null
    const payload = teachPayload(entry.head, this.#selectedOf(zone, entry) ?? 'none', needsTeaching)
    publisher.keep({ ...this.#topics.camera('teach', zone), payload })
  }

  async #drifted(zone: string, prediction: Prediction): Promise<void> {
    const { publisher, zones } = this.#options
    const decision = zones.find(zone)?.decision
    const drifted = this.#watch.drifted(zone)
    if (drifted && decision) {
      publisher.event(zone, 'needs_teaching', decision, prediction)
      this.#options.log.warn({ zone }, `zone ${zone} needs teaching: ${drifted.why}`)
    }
    await this.#tell(zone).catch(() => undefined)
  }

  /** Keeps pictures that were taken elsewhere. A broken one rejects; those before it are kept. */
  async add(
    zone: string,
    state: string | null,
    pictures: readonly { readonly bytes: Uint8Array; readonly atMs: number | null }[],
  ): Promise<readonly string[]> {
    const entry = await this.#entryOf(zone)
    const ids: string[] = []
    try {
      const clip = this.#clipOf(zone, entry)
      for (const { bytes, atMs } of pictures)
        ids.push((await entry.head.add(state, await shownAs(clip, bytes), atMs)).id)
    } finally {
      this.#fitSoon(zone, entry)
    }
    return ids
  }

  /** Teaches pictures that were labelled in review: those of `names`, else all of the zone and those from folders. */
  async addReviewed(zone: string, names?: readonly string[]): Promise<Handed> {
    const entry = await this.#entryOf(zone)
    if (this.#clipOf(zone, entry))
      throw new Refusal('invalid', `zone ${zone} is taught clips, and the review has single pictures`)
    try {
      return await handOver(this.#options.review, { zone, names, head: entry.head })
    } finally {
      this.#fitSoon(zone, entry)
    }
  }

  /** Changes pictures or states of a zone, and fits what is there then. Refused while a zone has rules about the state that goes. */
  async edit(zone: string, change: (head: TaughtHead) => Promise<void>, gone?: string): Promise<void> {
    const entry = await this.#entryOf(zone)
    const ruled = this.#options.settings.cameras
      .flatMap(zonesOf)
      .find(({ model, dwell }) => gone !== undefined && model === entry.head.store.name && isNamed(dwell, gone))
    if (ruled)
      throw new Refusal('invalid', `dwell or transitions of zone ${ruled.key} name ${gone}: take it out there first`)
    await change(entry.head)
    this.#fitSoon(zone, entry)
  }

  /** Takes the last change back; the head before serves. */
  async undo(zone: string): Promise<void> {
    const entry = await this.#entryOf(zone)
    await entry.fitting
    await entry.head.undo()
    entry.fault = null
    await this.#serve(zone, entry)
  }

  /** Fits whatever has changed, also where another network is there now; `head` names the one that the zone uses from now on. */
  async fit(zone: string, head?: string): Promise<void> {
    if (head !== undefined) {
      if (nameFault(head) !== null) throw new Refusal('invalid', `head: ${nameFault(head)!}`)
      const entry = await this.#opened(head)
      await entry.head.store.refresh()
      if (!entry.head.record.served) throw new Refusal('invalid', `head: there is no taught head ${head}`)
      return this.#serve(zone, entry)
    }
    const entry = await this.#entryOf(zone)
    this.#fitSoon(zone, entry, true)
    await entry.fitting
    if (entry.fault !== null) throw new Refusal('failed', entry.fault)
  }

  /** Resolves when no fit of the zone's head is under way. */
  async settled(zone: string): Promise<void> {
    await (await this.#entryOf(zone)).fitting
  }

  /** Why a zone no longer sees what it was taught, in one sentence; null: it does. */
  drifted(zone: string): string | null {
    return this.#watch.drifted(zone)?.why ?? null
  }

  async status(zone: string): Promise<TeachStatus> {
    const { definition } = this.#zoneOf(zone)
    const entry = await this.#entryOf(zone)
    const { head, fitting, fault } = entry
    await head.store.refresh()
    return statusOf(head, {
      zone,
      isZoneServed: definition.model === head.store.name,
      isFitting: fitting !== null,
      clip: this.#clipOf(zone, entry),
      fault,
      needsTeaching: this.#watch.drifted(zone),
    })
  }

  /** The head of a zone, for its files. */
  async headOf(zone: string): Promise<TaughtHead> {
    return (await this.#entryOf(zone)).head
  }

  /** The zone's head as one ONNX model. Rejects with USAGE where nothing serves yet. */
  async model(zone: string): Promise<Uint8Array> {
    const entry = await this.#entryOf(zone)
    return entry.head.exported(await this.#network.teacher(this.#clipOf(zone, entry)?.path))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const entry of this.#entries.values()) await (await entry.catch(() => null))?.fitting
    await this.#network.rest()
  }

  #zoneOf(key: string): { readonly definition: ZoneDefinition } {
    // Not from the zones at work: one that is being replaced is missing there for a moment.
    const definition = this.#options.settings.cameras.flatMap(zonesOf).find((each) => each.key === key)
    if (!definition) throw new Refusal('invalid', `zone: there is no zone ${key}`)
    return { definition }
  }

  #clipOf(zone: string, { head }: Entry): TaughtClip | null {
    return clipOf(head.record, this.#options.zones.find(zone))
  }

  /** The head that a zone uses, or the one that it will have: a bundle or a gallery may answer for it meanwhile. */
  async #entryOf(zone: string): Promise<Entry> {
    const { model } = this.#zoneOf(zone).definition
    const { config, taught } = this.#options
    const isHead = model !== undefined && !Object.hasOwn(config.models.named, model) && (await taught.has(model))
    return this.#opened(isHead ? model : headNameOf(zone))
  }

  #opened(name: string): Promise<Entry> {
    const { stateFolder } = this.#options.taught
    if (stateFolder === null) throw new Refusal('not_available', 'there is no state directory to keep pictures in')
    const known = this.#entries.get(name)
    if (known) return known
    const opening = openTaughtHead(stateFolder, name).then((head): Entry => ({ head, fitting: null, fault: null }))
    this.#entries.set(name, opening)
    // A damaged head may be removed or mended meanwhile: the next call tries again.
    opening.catch(() => this.#entries.delete(name))
    return opening
  }

  #fitSoon(zone: string, entry: Entry, isForced = false): void {
    if (this.#isClosed) return
    entry.fitting ??= this.#inTurn(() => this.#fitAll(zone, entry, isForced)).finally(() => {
      entry.fitting = null
    })
  }

  /** One fit after the other, over all heads. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => undefined)
    return done
  }

  /** Never rejects: a fault is told in the status and the log, and the head before serves. */
  async #fitAll(zone: string, entry: Entry, isForced: boolean): Promise<void> {
    const { head } = entry
    try {
      for (let isFirst = isForced; (head.needsFit || isFirst) && !this.#isClosed; isFirst = false) {
        const teacher = await this.#network.teacher(this.#clipOf(zone, entry)?.path)
        const { report } = await head.fit(teacher)
        await this.#serve(zone, entry)
        this.#options.log.info({ zone }, `zone ${zone} was taught: ${report.advice}`)
      }
      entry.fault = null
    } catch (error) {
      entry.fault = messageOf(error)
      this.#options.log.warn({ zone }, `zone ${zone} could not be taught: ${entry.fault}; what served before goes on`)
    }
  }

  /** Lets the head answer for the zone, and for the others that use it. */
  async #serve(zone: string, { head }: Entry): Promise<void> {
    const { settings, zones } = this.#options
    const { definition } = this.#zoneOf(zone)
    const { name } = head.store
    if (definition.model === name) {
      await zones.renew(name)
      return this.#tell(zone)
    }
    const camera = settings.cameras.find(({ id }) => id === definition.camera)!
    const overlay = withModel(camera, settings.overrides.zones[camera.id], { zone: definition.zone, model: name })
    if ('fault' in overlay) throw new Refusal('failed', overlay.fault)
    void settings.change({ zones: { [camera.id]: overlay.overlay } })
    await zones.apply()
    await this.#tell(zone)
  }
}
