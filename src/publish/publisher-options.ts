/** A publisher as others see it: what it is made with, what it does, and what it tells about itself. */
import type { Clock } from '../clock.js'
import type { Decision, PolicyEvent } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Logger } from '../log.js'
import type { LinkOptions } from './link.js'
import type { ConnectOptions, Incoming, Message, Subscription } from './mqtt.js'
import type { Outbox, OutboxStats } from './outbox/outbox.js'
import type { CameraStatus, HealthFields, InfoFields } from './payloads.js'
import type { Once } from './zone-topics.js'

export interface PublisherOptions {
  /** Where and how to connect; null publishes nothing (`--broker none`). */
  readonly broker: ConnectOptions | null
  /** Id of this node, `[a-z0-9-]+`. */
  readonly node: string
  /** Ids of all cameras, `[a-z0-9-]+`. */
  readonly cameras: readonly string[]
  /** Keys of all zones, the cameras' own included; default: each camera has only its own. */
  readonly zones?: readonly string[] | undefined
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
  /** For `gapcam once`: what was published the last time stays until it changes, also after the end. Default: none. */
  readonly once?: Once | undefined
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

/** Publishes what the rest of the program finds. Its functions need no `this`. */
export interface Publisher {
  /** The topics' common part, `<base>/<node>`. */
  readonly root: string
  /** Begins to connect and resolves at once, also when the broker cannot be reached. */
  start(): Promise<void>
  /**
   * To be called with the policy's decision after every frame (and with null for the prediction when the camera was
   * lost): publishes label and state when label or reason changed, else the state now and then. A zone is named by its key.
   */
  settled(zone: string, decision: Decision, prediction: Prediction | null): void
  /** An event of the policy, with the decision it came with; before or after `settled`. */
  event(zone: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  /** Every inference; published when results are on, dropped and counted while there is no connection. */
  result(zone: string, prediction: Prediction): void
  /** Gives a zone its topics; without effect for a zone that has them. */
  addZone(key: string): void
  /** Publishes nothing more for a zone. What it had retained is removed by the announcement. */
  removeZone(key: string): void
  /**
   * For what `settled` does not tell: a camera that has opened, or was never there. A camera that is not online has the
   * label `unknown`, also when another label had settled before.
   */
  cameraStatus(camera: string, status: CameraStatus): void
  info(fields: InfoFields): void
  /** Sets the value of a retained topic that is not the publisher's own; it is sent again on every connection. */
  keep(message: Message): void
  /** Stops sending a topic; `keep` an empty payload before to remove it from the broker. */
  forget(topic: string): void
  /**
   * Sends what is of use only now (a response, a picture): false when there is no connection, or it does not keep up.
   */
  sendNow(message: Message): boolean
  /** Sends every retained topic again. */
  repeat(): void
  /**
   * Calls back after each connection and each `repeat`: what is not retained can be sent again then. Must not throw.
   */
  onRepeat(listener: () => void): void
  /** How often states are refreshed and results published, in milliseconds; below 0: no results. */
  pace(pace: { readonly stateEveryMs: number; readonly resultEveryMs: number }): void
  health(fields: HealthFields): void
  stats(): PublisherStats
  /** Resolves with true when the broker has acknowledged everything, and with false when `signal` comes before. */
  delivered(signal: AbortSignal): Promise<boolean>
  /** Sends what is left and a retained `offline` (not after `gapcam once`), within `closeTimeoutMs`, and disconnects. */
  close(): Promise<void>
}
