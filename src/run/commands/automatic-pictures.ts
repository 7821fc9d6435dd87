/**
 * Publishes pictures without a command, so that a dashboard has one from the start: of each zone when its first
 * decision settles and when its label changes, at most once in `mqtt.imageEveryMs`, and the last ones again on each
 * connection and when Home Assistant has started; then once more for a subscriber that needs longer.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { messageOf } from '../../errors.js'
import { isWithoutCamera, type Decision } from '../../decision/decision.js'
import type { Logger } from '../../log.js'
import type { Publisher } from '../../publish/publisher.js'
import type { Pictures } from './pictures.js'

export interface AutomaticPicturesOptions {
  readonly pictures: Pick<Pictures, 'hasHeat' | 'snapshot' | 'heat' | 'sendAgain'>
  readonly publisher: Pick<Publisher, 'onRepeat'>
  /** Least time between two pictures of a zone; below 0: no pictures. */
  readonly everyMs: number
  readonly log: Pick<Logger, 'debug'>
  /** A new subscriber needs this long after a connection before it gets pictures. */
  readonly subscribeMs: number
  /** A slow one needs this long: then it gets them too; default 30,000. */
  readonly slowSubscribeMs?: number | undefined
}

/** Home Assistant on a small or busy board. */
const slowestSubscribeMs = 30_000

export class AutomaticPictures {
  readonly #options: AutomaticPicturesOptions
  readonly #zones = new Map<string, ZoneTurn>()
  readonly #closing = new AbortController()
  /** Ends the sending again of the last connection, which a newer one replaces. */
  #sending = new AbortController()
  /** Resolves when a new subscriber has had its time. */
  #subscribed: Promise<void> = Promise.resolve()

  constructor(options: AutomaticPicturesOptions) {
    this.#options = options
    // Each zone waits for its picture with one listener.
    setMaxListeners(0, this.#closing.signal)
    options.publisher.onRepeat(() => this.#sendAgainSoon())
  }

  /** To be called with each decision that a zone settles. */
  settled(zone: string, decision: Decision): void {
    const { everyMs } = this.#options
    if (everyMs < 0 || this.#closing.signal.aborted) return
    let turn = this.#zones.get(zone)
    if (!turn) {
      turn = new ZoneTurn(everyMs, () => this.#publish(zone))
      this.#zones.set(zone, turn)
    }
    turn.settled(decision)
  }

  /** Forgets zones other than these. */
  keep(zones: readonly string[]): void {
    for (const [key, turn] of this.#zones) {
      if (zones.includes(key)) continue
      turn.close()
      this.#zones.delete(key)
    }
  }

  close(): void {
    this.#closing.abort()
    this.#sending.abort()
    for (const turn of this.#zones.values()) turn.close()
  }

  /** Never rejects: without a further frame there is no picture. */
  async #publish(zone: string): Promise<void> {
    const { pictures, log } = this.#options
    const { signal } = this.#closing
    const report = (error: unknown): void => {
      log.debug({ camera: zone }, `the picture was not published: ${messageOf(error)}`)
    }
    // A picture that a new subscriber would miss waits, instead of going out twice.
    let awaited: Promise<void>
    do {
      awaited = this.#subscribed
      await awaited
    } while (awaited !== this.#subscribed)
    await pictures.snapshot(zone, signal).catch(report)
    if (pictures.hasHeat(zone)) await pictures.heat(zone, undefined, signal).catch(report)
  }

  #sendAgainSoon(): void {
    const { pictures, subscribeMs, slowSubscribeMs = slowestSubscribeMs } = this.#options
    if (this.#closing.signal.aborted) return
    this.#sending.abort()
    this.#sending = new AbortController()
    const { signal } = this.#sending
    setMaxListeners(0, signal)
    const sendAfter = (ms: number): Promise<void> =>
      wait(ms, undefined, { signal, ref: false }).then(
        () => void pictures.sendAgain(signal),
        () => undefined,
      )
    this.#subscribed = sendAfter(subscribeMs)
    void sendAfter(slowSubscribeMs)
  }
}

/** When a zone publishes: at once, or as soon as the least time since the last picture is over. */
class ZoneTurn {
  readonly #everyMs: number
  readonly #publish: () => Promise<void>
  /** The label of the last picture; null before the first. */
  #label: string | null = null
  #lastMs = -Infinity
  #isBusy = false
  #timer: NodeJS.Timeout | null = null

  constructor(everyMs: number, publish: () => Promise<void>) {
    this.#everyMs = everyMs
    this.#publish = publish
  }

  settled(decision: Decision): void {
    // Without a camera there is no picture, and a label that is not settled yet is none.
    if (isWithoutCamera(decision) || decision.reason === 'starting' || decision.reason === 'settling') return
    if (decision.label === this.#label) return
    this.#label = decision.label
    this.#schedule()
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#timer || this.#isBusy) return
    const leftMs = this.#lastMs + this.#everyMs - performance.now()
    if (leftMs <= 0) void this.#take()
    else
      this.#timer = setTimeout(() => {
        this.#timer = null
        void this.#take()
      }, leftMs).unref()
  }

  async #take(): Promise<void> {
    const label = this.#label
    this.#isBusy = true
    this.#lastMs = performance.now()
    await this.#publish()
    this.#isBusy = false
    if (this.#label !== label) this.#schedule()
  }
}
