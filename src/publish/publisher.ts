/**
 * What the rest of the program tells the world: settled labels, events, results, health. It never throws because of
 * the broker and never waits for it; what cannot be sent is kept in bounded memory or counted.
 */
import { randomUUID } from 'node:crypto'
import { systemClock, type Clock } from '../clock.js'
import {
  isWithoutCamera,
  undecided,
  unknownLabel,
  type Decision,
  type PolicyEvent,
  type UnknownReason,
} from '../decision/decision.js'
import { expected } from '../errors.js'
import type { Logger } from '../log.js'
import type { Prediction } from '../decision/prediction.js'
import { createLink, type Link, type LinkOptions } from './link.js'
import type { ConnectOptions, Incoming, Message, Subscription } from './mqtt.js'
import { acknowledging, entryMessages } from './entries.js'
import type { Outbox, OutboxStats } from './outbox/outbox.js'
import { createMemoryOutbox } from './outbox/queue.js'
import {
  eventPayload,
  healthPayload,
  infoPayload,
  labelPayload,
  resultPayload,
  statePayload,
  type CameraStatus,
  type HealthFields,
  type InfoFields,
  type NodeStatus,
  type Stamp,
  type StateFields,
} from './payloads.js'
import { createSender } from './sender.js'
import { createTopics, type Topic } from './topics.js'

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
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly clock?: Clock
  /** Whether the wall clock has been set; default: it has not. */
  readonly isClockSynced?: () => boolean
  /** Default: in memory, bounded. The publisher closes it. */
  readonly outbox?: Outbox
  /** Results go through the outbox too, numbered like events and acknowledged; default false. */
  readonly durableResults?: boolean
  readonly backoffMs?: LinkOptions['backoffMs']
  /** Retained messages that go before every state, in this order, on every connection. */
  readonly first?: readonly Message[]
  /** Events wait so long after a connection was made, for those who subscribe because of `first`; default 0. */
  readonly holdEventsMs?: number
  /** What to listen to on every connection. */
  readonly subscriptions?: readonly Subscription[]
  /** Called for each message that a subscription brings; must not throw. */
  readonly onMessage?: (message: Incoming) => void
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
  /** Results that nobody could take. */
  readonly droppedResults: number
  readonly reconnects: number
  readonly lastError?: string
}

export interface Publisher {
  /** The topics' common part, `<base>/<node>`. */
  readonly root: string
  /** Begins to connect and resolves at once, whether there is a broker or not. */
  start(): Promise<void>
  /**
   * To be called with the policy's decision after every frame (and with null for the prediction when the camera was
   * lost): publishes label and state when label or reason changed, else the state now and then.
   */
  settled(camera: string, decision: Decision, prediction: Prediction | null): void
  /** An event of the policy, with the decision it came with; before or after `settled`. */
  event(camera: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  /** Every inference; published when results are on, dropped and counted while there is no connection. */
  result(camera: string, prediction: Prediction): void
  /**
   * For what `settled` does not tell: a camera that has opened, or was never there. One that is not online has the
   * label `unknown`, whatever was settled before.
   */
  cameraStatus(camera: string, status: CameraStatus): void
  info(fields: InfoFields): void
  /** The value of a retained topic that is not the publisher's own: sent, and said again on every connection. */
  keep(message: Message): void
  /** Says such a topic no more; `keep` an empty payload before to take it from the broker. */
  forget(topic: string): void
  /** Sends what is of use only now (a response, a picture): false when there is no connection, or it does not keep up. */
  sendNow(message: Message): boolean
  /** Says every retained topic again, for somebody who has just come. */
  repeat(): void
  /** How often states are refreshed and results published, in milliseconds; below 0: no results. */
  pace(pace: { readonly stateEveryMs: number; readonly resultEveryMs: number }): void
  health(fields: HealthFields): void
  stats(): PublisherStats
  /** Sends what is left and a retained `offline`, within `closeTimeoutMs`, and disconnects. */
  close(): Promise<void>
}

/** What the publisher knows of a camera. */
interface CameraRecord {
  status: CameraStatus
  decision: Decision
  /** The label that was last handed to the sender. */
  saidLabel: string | null
  sinceWallMs: number
  prediction: Prediction | null
  stateMs: number
  resultMs: number
}

const closeTimeoutMs = 2_000
const usualStateEveryMs = 10_000
/** A result is of no use to anybody who was away for longer. */
const resultExpirySeconds = 10

/** Makes a publisher. Throws CONFIG_INVALID for an address, a base topic or an id that cannot be. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { broker, node, cameras, log, clock = systemClock, isClockSynced = () => false } = options
  const outbox = options.outbox ?? createMemoryOutbox({ boot: randomUUID(), clock, log })
  const { boot } = outbox
  const topics = createTopics(options.baseTopic ?? 'gapcam', node)
  const records = new Map<string, CameraRecord>()
  let droppedResults = 0
  let { stateEveryMs = usualStateEveryMs, resultEveryMs = -1 } = options

  const sender = createSender({
    outbox,
    log,
    clock,
    messageOf: entryMessages(topics, cameras[0] ?? 'cam0', stamp),
    ...(options.holdEventsMs === undefined ? {} : { holdEventsMs: options.holdEventsMs }),
  })
  const isInsecure = broker?.tls?.insecure === true
  const acks = acknowledging(topics, outbox, log)
  const nodeStatus = (status: NodeStatus): Message => ({ ...topics.node('nodeStatus'), payload: status })
  const link: Link | null =
    broker &&
    createLink({
      connect: broker,
      clientId: broker.clientId ?? `gapcam-${node}`,
      will: nodeStatus('offline'),
      log,
      clock,
      onUp: sender.attach,
      onDown: sender.detach,
      onMessage: take,
      isClockSynced,
      subscriptions: [...acks.subscriptions, ...(options.subscriptions ?? [])],
      ...(options.backoffMs ? { backoffMs: options.backoffMs } : {}),
    })

  outbox.listen({
    onReady: sender.pump,
    onNumbered: (camera) => {
      if (records.has(camera)) sayState(camera)
    },
  })
  for (const message of options.first ?? []) sender.keep(message)
  for (const camera of cameras) {
    // What a broker kept from the last run is no answer of this one.
    records.set(camera, {
      status: 'offline',
      decision: undecided(clock.now()),
      saidLabel: null,
      sinceWallMs: clock.wall(),
      prediction: null,
      stateMs: -Infinity,
      resultMs: -Infinity,
    })
    say(camera, 'cameraStatus', 'offline')
    sayState(camera)
  }
  // Last: whoever sees the node come back finds its devices and states said, and none of an earlier model's.
  sender.keep(nodeStatus('online'))

  function take(message: Incoming): void {
    if (!acks.take(message)) options.onMessage?.(message)
  }

  function stamp(): Omit<Stamp, 'seq'> {
    return { wallMs: clock.wall(), boot, isClockSynced: isClockSynced() }
  }

  function recordOf(camera: string): CameraRecord {
    const record = records.get(camera)
    if (!record) throw expected(`one of ${[...records.keys()].join(', ')}`, 'camera', camera)
    return record
  }

  function say(camera: string, name: 'cameraStatus' | 'label' | 'state', payload: string): void {
    sender.keep({ ...topics.camera(name, camera), payload })
  }

  function fieldsOf({ decision, sinceWallMs, prediction }: CameraRecord): StateFields {
    return { decision, sinceWallMs, prediction }
  }

  function sayState(camera: string): void {
    const record = recordOf(camera)
    const { label } = record.decision
    record.stateMs = clock.now()
    if (label !== record.saidLabel) say(camera, 'label', labelPayload(label))
    record.saidLabel = label
    say(camera, 'state', statePayload({ ...stamp(), seq: outbox.seq }, fieldsOf(record)))
  }

  /** Takes a decision over. Wall time is read when it changes, so that `since` stays what it was when the clock is set. */
  function note(
    camera: string,
    decision: Decision,
    prediction: Prediction | null,
  ): { record: CameraRecord; hasChanged: boolean } {
    const record = recordOf(camera)
    const { decision: before } = record
    if (decision.sinceMs !== before.sinceMs)
      record.sinceWallMs = clock.wall() - Math.max(0, clock.now() - decision.sinceMs)
    record.decision = decision
    record.prediction = prediction ?? record.prediction
    if (isWithoutCamera(decision)) sayStatus(camera, decision.reason === 'camera_disabled' ? 'disabled' : 'offline')
    else if (prediction) sayStatus(camera, 'online')
    return { record, hasChanged: decision.label !== before.label || decision.reason !== before.reason }
  }

  function sayStatus(camera: string, status: CameraStatus): void {
    const record = recordOf(camera)
    if (record.status === status) return
    record.status = status
    say(camera, 'cameraStatus', status)
  }

  function withdraw(camera: string, reason: UnknownReason): void {
    const { decision } = recordOf(camera)
    if (decision.label === unknownLabel && decision.reason === reason) return
    const since = decision.label === unknownLabel ? {} : { prev: decision.label, sinceMs: clock.now() }
    note(camera, { ...decision, ...since, label: unknownLabel, index: null, score: 0, top: [], reason }, null)
    sayState(camera)
  }

  return {
    root: topics.root,

    start() {
      if (!link) return Promise.resolve()
      if (isInsecure)
        log.warn(
          { broker: link.url },
          `broker ${link.url}: its certificate is not checked (mqtt.insecure): anybody in between can read and change what is sent`,
        )
      link.start()
      return Promise.resolve()
    },

    settled(camera, decision, prediction) {
      if (!link) return
      const { record, hasChanged } = note(camera, decision, prediction)
      if (hasChanged || (stateEveryMs > 0 && clock.now() - record.stateMs >= stateEveryMs)) sayState(camera)
    },

    event(camera, type, decision, prediction) {
      if (!link) return
      const { record } = note(camera, decision, prediction)
      // The state carries the number of the last event; it is said when the number is certain.
      outbox.add(camera, 'event', link.isConnected, (seq) => eventPayload({ ...stamp(), seq }, fieldsOf(record), type))
    },

    result(camera, prediction) {
      if (!link || resultEveryMs < 0) return
      const record = recordOf(camera)
      const nowMs = clock.now()
      if (nowMs - record.resultMs < resultEveryMs) return
      record.resultMs = nowMs
      if (options.durableResults)
        return outbox.add(camera, 'result', link.isConnected, (seq) => resultPayload({ ...stamp(), seq }, prediction))
      const topic: Topic = topics.camera('result', camera)
      const isTaken =
        link.isConnected &&
        sender.tryNow({ ...topic, payload: resultPayload(stamp(), prediction), expirySeconds: resultExpirySeconds })
      if (!isTaken) droppedResults++
    },

    cameraStatus(camera, status) {
      const { decision } = recordOf(camera)
      if (!link) return
      if (status !== 'online') withdraw(camera, status === 'disabled' ? 'camera_disabled' : withoutCamera(decision))
      sayStatus(camera, status)
    },

    info(fields) {
      if (link) sender.keep({ ...topics.node('info'), payload: infoPayload(stamp(), fields) })
    },

    keep(message) {
      if (link) sender.keep(message)
    },

    forget: sender.forget,
    sendNow: (message) => link !== null && sender.tryNow(message),
    repeat: sender.repeat,

    pace(pace) {
      ;({ stateEveryMs, resultEveryMs } = pace)
    },

    health(fields) {
      if (!link) return
      const { isConnected: connected, reconnects } = link
      const { queued, bytes, dropped, state, reason } = outbox.stats()
      const mqtt = {
        connected,
        reconnects,
        queued,
        spooled_bytes: bytes,
        dropped,
        outbox: state,
        ...(reason === undefined ? {} : { outbox_reason: reason }),
        ...(isInsecure ? { insecure: true } : {}),
      }
      sender.keep({ ...topics.node('health'), payload: healthPayload(stamp(), fields, mqtt) })
    },

    stats() {
      const { isConnected = false, url = null, protocol = '5', reconnects = 0, lastError } = link ?? {}
      const stats = outbox.stats()
      const counts = { queued: stats.queued, dropped: stats.dropped, droppedResults, reconnects, insecure: isInsecure }
      return {
        connected: isConnected,
        url,
        protocol,
        ...counts,
        outbox: stats,
        ...(lastError === undefined ? {} : { lastError }),
      }
    },

    async close() {
      await link?.close(async () => {
        await sender.drained()
        sender.keep(nodeStatus('offline'))
        await sender.drained()
      }, options.closeTimeoutMs ?? closeTimeoutMs)
      await outbox.close()
    },
  }
}

/** A camera that is stale or was never there keeps that reason; any other has been lost. */
function withoutCamera({ reason }: Decision): UnknownReason {
  return reason === 'camera_stale' || reason === 'starting' ? reason : 'camera_lost'
}
