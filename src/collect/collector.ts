/**
 * `gapcam collect`: takes events from a broker in a shared subscription, stores them, and then tells each node up to which
 * number all of its events are stored. What is not stored is not acknowledged, so the node sends it again.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../clock.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { createLink, type Link } from '../publish/link.js'
import type { ConnectOptions, Connection, Incoming } from '../publish/mqtt.js'
import type { Database } from './database.js'
import { collected, collectorFilters, type CollectedEvent, type CollectedGap, type Series } from './message.js'
import { save } from './store.js'

export interface CollectorOptions {
  readonly connect: ConnectOptions
  /** Base topic of the nodes. */
  readonly base: string
  /** Collectors of one group share the events among them; they must share the database too. null: it takes all events. */
  readonly group: string | null
  readonly database: Database
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  /** Called after each commit. */
  readonly onSaved?: ((added: number, repeated: number) => void) | undefined
}

export interface CollectorStats {
  /** Events stored, and events that were stored before. */
  readonly added: number
  readonly repeated: number
  /** Messages on topics of events that are none. */
  readonly invalid: number
  /** Events that found the buffer full; their nodes send them again. */
  readonly dropped: number
}

export interface Collector {
  stats(): CollectorStats
  /** Stores what is buffered, acknowledges it, and disconnects. */
  close(): Promise<void>
}

/** Events that wait for the database. */
const maxWaiting = 20_000
/** A commit takes all that came meanwhile, and at most this many. */
const maxBatch = 2000
/** Time in which events become one commit; while one is under way the next one gathers. A node's backlog waits for it. */
const gatherMs = 5
const retryMs = { first: 500, most: 30_000 }

const sharingIsUncertain =
  'the broker speaks MQTT 3.1.1, in which not every broker knows shared subscriptions; if no event arrives, use --share none'

/** Starts to collect. A database that fails later is tried again without end. */
export function startCollector(options: CollectorOptions): Collector {
  return new FleetCollector(options)
}

class FleetCollector implements Collector {
  readonly #options: CollectorOptions
  readonly #link: Link
  readonly #stopping = new AbortController()
  readonly #loop: Promise<void>
  #connection: Connection | null = null
  #events: CollectedEvent[] = []
  #gaps: CollectedGap[] = []
  readonly #series = new Map<string, Series>()
  /** Nodes that said something new of their numbers: they may be complete further. */
  readonly #told = new Set<string>()
  #wake: () => void = () => undefined
  #isFailing = false
  #stats = { added: 0, repeated: 0, invalid: 0, dropped: 0 }

  constructor(options: CollectorOptions) {
    const { connect, base, group, log } = options
    this.#options = options
    const { events, health } = collectorFilters(base)
    const clientId = `gapcam-collect-${randomUUID().slice(0, 8)}`
    this.#link = createLink({
      // The session ends with the connection: what the broker would keep for it, another collector gets at once.
      connect: { ...connect, clientId, willDelaySeconds: 0 },
      clientId,
      will: null,
      log,
      clock: systemClock,
      subscriptions: [...events.map((filter) => (group ? `$share/${group}/${filter}` : filter)), health].map(
        (filter) => ({ filter, qos: 1 as const }),
      ),
      onMessage: (message) => this.#take(message),
      onUp: (connection) => {
        this.#connection = connection
        if (group && connection.protocol !== 5) log.warn({}, sharingIsUncertain)
      },
      onDown: () => {
        this.#connection = null
      },
    })
    this.#link.start()
    this.#loop = this.#run()
  }

  stats(): CollectorStats {
    return this.#stats
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    await this.#loop
    await this.#link.close(() => Promise.resolve(), 1000)
  }

  #take({ topic, payload }: Incoming): void {
    const taken = collected(this.#options.base, topic, payload)
    if (taken === null) return
    if (taken.kind === 'invalid') {
      if (this.#stats.invalid++ === 0)
        this.#options.log.warn({ topic }, `this is not an event and is not stored: ${taken.reason}; others are counted`)
      return
    }
    if (taken.kind === 'series') {
      const { node, series } = taken
      if (JSON.stringify(this.#series.get(node)) === JSON.stringify(series)) return
      this.#series.set(node, series)
      this.#told.add(node)
    } else if (this.#events.length + this.#gaps.length >= maxWaiting) {
      this.#stats.dropped++
      return
    } else if (taken.kind === 'event') this.#events.push(taken.event)
    else this.#gaps.push(taken.gap)
    this.#wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    for (let pauseMs = retryMs.first; ; ) {
      if (this.#events.length + this.#gaps.length + this.#told.size === 0) {
        if (signal.aborted) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        await wait(gatherMs, undefined, { signal }).catch(() => undefined)
        continue
      }
      if (await this.#saveNext()) pauseMs = retryMs.first
      else if (signal.aborted) return
      else {
        await wait(pauseMs, undefined, { signal }).catch(() => undefined)
        pauseMs = Math.min(pauseMs * 2, retryMs.most)
      }
    }
  }

  /** Stores what waits; false where the database fails, and then it still waits. */
  async #saveNext(): Promise<boolean> {
    const { database, log, onSaved } = this.#options
    const [events, gaps, told] = [this.#events.slice(0, maxBatch), this.#gaps.slice(0, maxBatch), [...this.#told]]
    try {
      const { added, through } = await save(database, { events, gaps, series: this.#series, nodes: told })
      this.#events.splice(0, events.length)
      this.#gaps.splice(0, gaps.length)
      for (const node of told) this.#told.delete(node)
      const repeated = events.length - added
      this.#stats = {
        ...this.#stats,
        added: this.#stats.added + added,
        repeated: this.#stats.repeated + repeated,
      }
      for (const [node, number] of through) this.#acknowledge(node, number)
      if (this.#isFailing) log.info({}, `${database.name} stores again`)
      this.#isFailing = false
      onSaved?.(added, repeated)
      return true
    } catch (error) {
      if (!(error instanceof GapcamError)) throw error
      if (!this.#isFailing)
        log.warn({ code: error.code }, `${messageOf(error)}; the nodes keep their events until it stores again`)
      this.#isFailing = true
      return false
    }
  }

  /** The node's outbox gives up what it has sent up to this number; a lost acknowledgement costs a repetition. */
  #acknowledge(node: string, through: number): void {
    const boot = this.#series.get(node)?.boots.at(-1)?.[0]
    if (boot === undefined || through === 0) return
    void this.#connection?.publish({
      topic: `${this.#options.base}/${node}/ack`,
      payload: JSON.stringify({ boot, through }),
      qos: 1,
      isRetained: false,
    })
  }
}
