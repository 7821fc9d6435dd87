/**
 * What the rest of the program tells the world: settled labels, events, results, health. It never throws because of
 * the broker and never waits for it; what cannot be sent is kept in bounded memory or counted.
 */
import type { Decision, PolicyEvent } from '../policy.js'
import type { Prediction } from '../prediction.js'
import type { CameraStatus, HealthFields, InfoFields } from './payloads.js'
import type { ConnectOptions } from './mqtt.js'
import type { Outbox } from './outbox.js'

/** A logger of pino's shape. */
export interface PublishLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  debug(fields: object, message: string): void
}

export interface PublisherOptions {
  /** Where and how to connect; null publishes nothing (`--broker none`). */
  readonly broker: ConnectOptions | null
  /** Id of this node, `[a-z0-9-]+`. */
  readonly node: string
  /** Ids of all cameras, `[a-z0-9-]+`. */
  readonly cameras: readonly string[]
  /** First part of every topic; default `gapcam`. */
  readonly baseTopic?: string
  /** Refreshes the state of a camera that keeps its label; default 10,000. 0: only changes. */
  readonly stateEveryMs?: number
  /** Publishes results, at most one a camera in this time; 0 publishes every one. Default: none. */
  readonly resultEveryMs?: number
  /** Bound of `close()`; default 2,000. */
  readonly closeTimeoutMs?: number
  readonly log: PublishLog
  /** Monotonic and wall milliseconds; default the process's own. */
  readonly clock?: { monotonicMs(): number; wallMs(): number }
  /** Default: in memory, bounded. */
  readonly outbox?: Outbox
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
  /** Results that nobody could take. */
  readonly droppedResults: number
  readonly reconnects: number
  readonly lastError?: string
}

export interface Publisher {
  /** Begins to connect and resolves at once, whether there is a broker or not. */
  start(): Promise<void>
  /**
   * To be called with the policy's decision after every frame (and with null for the prediction when the camera was
   * lost): publishes label and state when label or reason changed, else the state now and then.
   */
  settled(camera: string, decision: Decision, prediction: Prediction | null): void
  /** An event of the policy, with the decision it came with. */
  event(camera: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  /** Every inference; published when results are on, dropped and counted while there is no connection. */
  result(camera: string, prediction: Prediction): void
  /** A camera that is not online has the label `unknown`, whatever was settled before. */
  cameraStatus(camera: string, status: CameraStatus): void
  info(fields: InfoFields): void
  health(fields: HealthFields): void
  stats(): PublisherStats
  /** Sends what is left and a retained `offline`, within `closeTimeoutMs`, and disconnects. */
  close(): Promise<void>
}
