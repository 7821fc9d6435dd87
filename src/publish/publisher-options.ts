/** What a publisher is made with, and what it tells about itself. */
import type { Clock } from '../clock.js'
import type { Logger } from '../log.js'
import type { LinkOptions } from './link.js'
import type { ConnectOptions, Incoming, Message, Subscription } from './mqtt.js'
import type { Outbox, OutboxStats } from './outbox/outbox.js'

export interface PublisherOptions {
  /** Where and how to connect; null publishes nothing (`--broker none`). */
  readonly broker: ConnectOptions | null
  /** Id of this node, `[a-z0-9-]+`. */
  readonly node: string
  /** Ids of all cameras, `[a-z0-9-]+`. */
  readonly cameras: readonly string[]
  /** First part of every topic; default `gapcam`. */
  readonly baseTopic?: string | undefined
  /** Refreshes the state of a camera that keeps its label; default 10,000. 0: only changes. */
  readonly stateEveryMs?: number | undefined
  /** Publishes results, at most one a camera in this time; 0 publishes every one. Default: none. */
  readonly resultEveryMs?: number | undefined
  /** Limit of `close()`; default 2,000. */
  readonly closeTimeoutMs?: number | undefined
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly clock?: Clock | undefined
  /** Whether the wall clock has been set; default: it has not. */
  readonly isClockSynced?: (() => boolean) | undefined
  /** Default: in memory, bounded. The publisher closes it. */
  readonly outbox?: Outbox | undefined
  /** Results go through the outbox too, numbered like events and acknowledged; default false. */
  readonly durableResults?: boolean | undefined
  readonly backoffMs?: LinkOptions['backoffMs']
  /** Retained messages that go before every state, in this order, on every connection. */
  readonly first?: readonly Message[] | undefined
  /** Live events wait this long after a connection, for subscribers that `first` attracts; default 0. */
  readonly holdEventsMs?: number | undefined
  /** What to listen to on every connection. */
  readonly subscriptions?: readonly Subscription[] | undefined
  /** Called for each message that a subscription brings; must not throw. */
  readonly onMessage?: ((message: Incoming) => void) | undefined
}

export interface PublisherStats {
  readonly connected: boolean
  /** The broker's address without user and password; null without a broker. */
  readonly url: string | null
  /** The protocol of the connection, or of the last attempt. */
  readonly protocol: '5' | '3.1.1'
  /** Events that wait or are unacknowledged. */
  readonly queued: number
  /** Events lost because the outbox was full. */
  readonly dropped: number
  /** The broker's certificate is not checked. */
  readonly insecure: boolean
  readonly outbox: OutboxStats
  /** Results that could not be sent. */
  readonly droppedResults: number
  readonly reconnects: number
  readonly lastError?: string | undefined
}
