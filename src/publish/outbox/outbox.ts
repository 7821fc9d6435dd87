/** What the publisher asks of an outbox, and the options of one. queue.ts makes one. */
import type { Clock } from '../../clock.js'
import type { Logger } from '../../log.js'
import type { OutboxFiles } from './files.js'
import type { OutboxGap } from './ledger.js'
import type { EventTopic } from './record.js'

export type { OutboxGap } from './ledger.js'

/** An event that is ready to be sent. */
export interface OutboxEvent {
  readonly kind: 'event'
  readonly topic: EventTopic
  readonly seq: number
  readonly camera: string
  readonly payload: string
  /** True while it can still arrive as it happens; false once it belongs to the backlog. */
  readonly isLive: boolean
}

export type OutboxEntry = OutboxEvent | OutboxGap

/** What removes an event: the broker's acknowledgement (PUBACK), or a consumer's on `R/ack`. */
export type AckMode = 'puback' | 'application'

export interface OutboxStats {
  /** `memory`: no disk was configured. */
  readonly state: 'ok' | 'degraded' | 'memory'
  /** Why it is degraded. */
  readonly reason?: string | undefined
  /** Events that are not done. */
  readonly queued: number
  /** Of these, events that the disk does not take: the end of the program loses them. */
  readonly inMemory: number
  /** On disk and in memory. */
  readonly bytes: number
  /** Events lost since the start: they had to make room, or were damaged. */
  readonly dropped: number
}

export interface OutboxHistory {
  /** Every lower number is done. */
  readonly waitsFrom: number
  /** The starts of the program that gave the numbers from there on: each gave those from `from` to the next one's. */
  readonly boots: readonly { readonly id: string; readonly from: number }[]
}

export interface Outbox {
  /** Changes at each start of the program. */
  readonly boot: string
  readonly ack: AckMode
  /** The last number that its event keeps for certain; 0 before the first. */
  readonly seq: number
  stats(): OutboxStats
  /** What a consumer must know to tell which numbers can still come. */
  history(): OutboxHistory
  /** Numbers an event and keeps it. `payloadOf` makes the message, given its number. Returns at once. */
  add(camera: string, topic: EventTopic, isLive: boolean, payloadOf: (seq: number) => string): void
  /** Takes the next event of the live queue; null when it is empty. Answer with `confirm` or `reject`. */
  takeLive(): OutboxEvent | null
  /** Takes the oldest entry of the backlog; null when there is none, or while it is read from disk. Answer likewise. */
  takeBacklog(): OutboxEntry | null
  /** The broker has it. */
  confirm(entry: OutboxEntry): void
  /** The broker refuses it: a live event is tried again as backlog, any other entry is lost and counted. */
  reject(entry: OutboxEntry): void
  /** A consumer has all events that were sent, up to this number. False for an unknown start of the program. */
  acknowledge(boot: string, through: number): boolean
  /** The link is lost: everything unconfirmed returns to the backlog, in order. */
  takeBack(): void
  /** It is writing or reading: there may be more to take soon. */
  readonly isBusy: boolean
  /** Sets the one listener. */
  listen(listener: OutboxListener): void
  /** Writes the ledger now, for another process that reads the folder. */
  save(): Promise<void>
  /** Gives up all that waits, without counting it as lost; resolves with the number of events. */
  clear(): Promise<number>
  /** Writes what is not on disk yet, for at most `timeoutMs` (default 1,000), and closes the files. */
  close(timeoutMs?: number): Promise<void>
}

export interface OutboxListener {
  /** There may be something to take. */
  readonly onReady: () => void
  /** An event of this camera has its number for certain. */
  readonly onNumbered: (camera: string) => void
}

export interface OutboxOptions {
  readonly boot: string
  readonly clock: Clock
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly ack?: AckMode | undefined
  /** Limits of the events in memory. */
  readonly memory?: MemoryLimits | undefined
  /** Where events are kept; default: in memory only. */
  readonly disk?: DiskOptions | undefined
  /**
   * A consumer that acknowledges nothing for this time gets everything again (application acknowledgements); default
   * 30,000.
   */
  readonly resendMs?: number | undefined
}

export interface MemoryLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

export interface DiskOptions {
  readonly folder: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly files?: OutboxFiles | undefined
  /**
   * Locks the folder for this process, before anything in it is touched; resolves with the function that unlocks it.
   */
  readonly lock?: (() => Promise<() => Promise<void>>) | undefined
  /** Whether the wall clock has been set; default: it has not. */
  readonly isClockSynced?: (() => boolean) | undefined
  /** Pause before the first new attempt after a fault; default 1,000. It doubles, to 30 times. */
  readonly retryMs?: number | undefined
  /** A disk that does not answer for this time counts as failed until it does; default 2,000. */
  readonly slowMs?: number | undefined
}

export const memoryDefaults: MemoryLimits = { maxEvents: 1000, maxBytes: 1 << 20 }
