/** What the publisher asks of an outbox, and what an outbox is made with. queue.ts makes one. */
import type { Clock } from '../../clock.js'
import type { Logger } from '../../log.js'
import type { OutboxFiles } from './files.js'
import type { OutboxGap } from './ledger.js'
import type { EventTopic } from './record.js'

export type { OutboxGap } from './ledger.js'

/** An event, ready to be sent. */
export interface OutboxEvent {
  readonly kind: 'event'
  readonly topic: EventTopic
  readonly seq: number
  readonly camera: string
  readonly payload: string
  /** True while it can still arrive as it happens; false once it goes to the backlog. */
  isLive: boolean
}

export type OutboxEntry = OutboxEvent | OutboxGap

/** Whose word removes an event: the broker's (PUBACK), or a consumer's on `R/ack`. */
export type AckMode = 'puback' | 'application'

export interface OutboxStats {
  /** `memory`: no disk was wanted. */
  readonly state: 'ok' | 'degraded' | 'memory'
  /** Why it is degraded. */
  readonly reason?: string
  /** Events that nobody has yet. */
  readonly queued: number
  /** On disk and in memory. */
  readonly bytes: number
  /** Events lost since the start: they had to make room, or were damaged. */
  readonly dropped: number
}

export interface Outbox {
  /** Changes at each start of the program. */
  readonly boot: string
  readonly ack: AckMode
  /** The number of the last event that keeps it whatever happens; 0 before the first. */
  readonly seq: number
  stats(): OutboxStats
  /** Numbers an event and keeps it. `payloadOf` writes the message around its number. Returns at once. */
  add(camera: string, topic: EventTopic, isLive: boolean, payloadOf: (seq: number) => string): void
  /** The next event that can still arrive as it happens; null when there is none. It is under way then. */
  takeLive(): OutboxEvent | null
  /** The oldest entry of the backlog that is not under way; null when there is none, or it is still being read. */
  takeBacklog(): OutboxEntry | null
  /** The broker has it. */
  confirm(entry: OutboxEntry): void
  /** The broker will not have it: a live event is tried as backlog, others are lost, and counted. */
  reject(entry: OutboxEntry): void
  /** A consumer has all events that were sent, up to this one. False for a start of the program that nobody knows. */
  acknowledge(boot: string, through: number): boolean
  /** The link is gone: all that is unconfirmed waits again, in order, and is no longer live. */
  takeBack(): void
  /** Whether it writes or reads: there may be more to take soon. */
  readonly isBusy: boolean
  /** Called when there may be something to take, and when an event has its number for good. */
  listen(listener: OutboxListener): void
  /** Writes what is done now, for somebody who looks into the folder. */
  save(): Promise<void>
  /** Gives up all that waits, without counting it as lost; resolves with their number. */
  clear(): Promise<number>
  /** Writes what is not on disk yet, within this time, and lets go of the files. */
  close(timeoutMs?: number): Promise<void>
}

export interface OutboxListener {
  readonly onReady: () => void
  readonly onNumbered: (camera: string) => void
}

export interface OutboxOptions {
  readonly boot: string
  readonly clock: Clock
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly ack?: AckMode
  /** What memory may hold of events that are on no disk. */
  readonly memory?: MemoryLimits
  /** Where events are kept; none: in memory. */
  readonly disk?: DiskOptions
  /** A consumer that says nothing for so long gets all again (application acknowledgements); default 30,000. */
  readonly resendMs?: number
}

export interface MemoryLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

export interface DiskOptions {
  readonly folder: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly files?: OutboxFiles
  /** Takes the folder for this process, before anything in it is touched; resolves with what gives it back. */
  readonly lock?: () => Promise<() => Promise<void>>
  readonly isClockSynced?: () => boolean
  /** Pause before the first new attempt after a fault; default 1,000. It doubles, to 30 times. */
  readonly retryMs?: number
  /** A disk that does not answer for so long is as good as none until it does; default 2,000. */
  readonly slowMs?: number
}

export const memoryDefaults: MemoryLimits = { maxEvents: 1000, maxBytes: 1 << 20 }
/** More that is live than this does not get through as it happens: it goes to the backlog. */
export const maxLive = 50
/** Backlog entries that a consumer has not acknowledged. */
export const maxUnacknowledged = 50
