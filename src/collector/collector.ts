/**
 * Keeps pictures of running zones that are worth a label. A frame costs a decision; the picture is drawn, encoded and written
 * beside the frames, one at a time, and what comes meanwhile is left out. It is off until it is switched on.
 */
import { z } from 'zod'
import { join } from 'node:path'
import type { Clock } from '../clock.js'
import type { Config } from '../config/schema.js'
import { unknownLabel, type Decision } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import { messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { openStateFile, type StateFile } from '../state-file.js'
import { Pace } from './pace.js'
import type { PictureStore } from './store.js'
import { Worth, type Reason } from './worth.js'

/** A picture of a zone as it is kept: its region of a frame, with what was said of that frame. */
export interface TakenPicture {
  readonly jpeg: Uint8Array
  readonly atMs: number
  readonly said: string
  readonly score: number
}

/** What the collector needs. */
export interface CollectorOptions {
  readonly config: Pick<Config, 'collector'>
  readonly store: PictureStore
  /** The folder in which the switch is remembered; null: nowhere. */
  readonly stateFolder: string | null
  /** The next picture of a zone. Rejects where there is none. */
  readonly take: (zone: string) => Promise<TakenPicture>
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn' | 'info'>
  /** Uniform in 0 up to 1; default Math.random. */
  readonly random?: (() => number) | undefined
}

/** What the collector has done since the start. */
export interface Collected {
  readonly kept: number
  /** Worth a label, but left out: too many at once, or in a minute or a day. */
  readonly left: number
  /** Why the last picture could not be kept; null: it was kept. */
  readonly fault: string | null
}

const switchSchema = z.strictObject({ enabled: z.boolean().nullable() })

/** Watches the zones of a node. */
export class Collector {
  readonly #options: CollectorOptions
  readonly #switch: StateFile<z.output<typeof switchSchema>>
  readonly #worths = new Map<string, Worth>()
  /** Null until the folder was read. */
  #pace: Pace | null = null
  #isBusy = false
  #isOn = false
  #taking: Promise<void> = Promise.resolve()
  #reading: Promise<void> = Promise.resolve()
  #kept = 0
  #left = 0
  #fault: string | null = null

  constructor(options: CollectorOptions) {
    this.#options = options
    const { config, stateFolder, log } = options
    const path = stateFolder === null ? null : join(stateFolder, 'collector.json')
    this.#switch = openStateFile({ path, schema: switchSchema, empty: { enabled: null }, log })
    this.#turn(this.#switch.value.enabled ?? config.collector.enabled)
  }

  get isOn(): boolean {
    return this.#isOn
  }

  get collected(): Collected {
    return { kept: this.#kept, left: this.#left, fault: this.#fault }
  }

  /** Resolves when the pictures that were kept before are counted; until then none is taken. */
  get ready(): Promise<void> {
    return this.#reading
  }

  /** Resolves when no picture is under way. */
  get done(): Promise<void> {
    return this.#taking
  }

  /** Switches it on or off; null: as configured. Remembered over restarts. */
  async set(enabled: boolean | null): Promise<void> {
    this.#turn(enabled ?? this.#options.config.collector.enabled)
    await this.#reading
    await this.#switch.replace({ enabled })
  }

  /** To be called with each prediction and the decision after it. */
  saw(zone: string, prediction: Prediction, decision: Decision): void {
    if (!this.#isOn || this.#pace === null) return
    let worth = this.#worths.get(zone)
    if (!worth) {
      const { config, random } = this.#options
      worth = new Worth({ auditEveryMs: config.collector.auditMinutes * 60_000, random })
      this.#worths.set(zone, worth)
    }
    const { clock } = this.#options
    const reason = worth.judge(prediction, decision, clock.now())
    if (reason === null) return
    if (this.#isBusy || !this.#pace.isFree(clock.wall())) {
      this.#left++
      return
    }
    this.#isBusy = true
    this.#pace.take(clock.wall())
    this.#taking = this.#keep(zone, reason)
  }

  /** Resolves when the picture under way is on disk. */
  async close(): Promise<void> {
    this.#isOn = false
    await this.#reading
    await this.#taking
    await this.#switch.close()
  }

  #turn(isOn: boolean): void {
    this.#isOn = isOn
    if (isOn && this.#pace === null) this.#reading = this.#readPace()
  }

  /** Pictures that were kept before count too. Never rejects. */
  async #readPace(): Promise<void> {
    const { config, store } = this.#options
    const kept = (await store.list()).filter(({ about }) => about.why !== 'imported' && about.why !== 'reported')
    this.#pace = new Pace(
      config.collector,
      kept.map(({ about }) => about.atMs),
    )
  }

  /** Never rejects. */
  async #keep(zone: string, why: Reason): Promise<void> {
    const { store, take, log } = this.#options
    try {
      const { jpeg, atMs, said, score } = await take(zone)
      await store.keep(jpeg, { zone, atMs, why, said, score })
      this.#kept++
      this.#fault = null
    } catch (error) {
      const fault = messageOf(error)
      if (fault !== this.#fault) log.warn({ zone }, `a picture for review was not kept: ${fault}`)
      this.#fault = fault
    } finally {
      this.#isBusy = false
    }
  }
}

/** What a decision says, as it is kept: '' for nothing. */
export const saidOf = ({ label }: Pick<Decision, 'label'>): string => (label === unknownLabel ? '' : label)
