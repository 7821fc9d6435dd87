/**
 * Publishes what the rest of the program finds: settled labels, events, results, health. It never throws because of the
 * broker and never waits for it: what cannot be sent is kept within bounds, or dropped and counted.
 */
import { randomUUID } from 'node:crypto'
import { systemClock, type Clock } from '../clock.js'
import type { Decision, PolicyEvent } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import { expected } from '../errors.js'
import { CameraTopics } from './camera-topics.js'
import { acknowledging, entryMessages, type Acknowledging } from './entries.js'
import { createLink, type Link } from './link.js'
import type { ConnectOptions, Message } from './mqtt.js'
import type { Outbox } from './outbox/outbox.js'
import { createMemoryOutbox } from './outbox/queue.js'
import {
  eventPayload,
  healthPayload,
  infoPayload,
  resultPayload,
  type CameraStatus,
  type HealthFields,
  type InfoFields,
  type MqttHealth,
  type NodeStatus,
  type Stamp,
} from './payloads.js'
import type { PublisherOptions, PublisherStats } from './publisher-options.js'
import { createSender, type Sender } from './sender.js'
import { createTopics, type Topics } from './topics.js'

export interface Publisher {
  /** The topics' common part, `<base>/<node>`. */
  readonly root: string
  /** Begins to connect and resolves at once, also when the broker cannot be reached. */
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
  /** Sends what is left and a retained `offline`, within `closeTimeoutMs`, and disconnects. */
  close(): Promise<void>
}

/**
 * Makes a publisher. Throws CONFIG_INVALID for an address, a base topic or an id that cannot be used.
 *
 *     const publisher = createPublisher({ broker: { url: 'mqtt://broker' }, node: 'dock1', cameras: ['cam0'], log })
 *     await publisher.start()
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const publisher = new NodePublisher(options)
  return {
    root: publisher.root,
    start: () => publisher.start(),
    settled: (camera, decision, prediction) => publisher.settled(camera, decision, prediction),
    event: (camera, type, decision, prediction) => publisher.event(camera, type, decision, prediction),
    result: (camera, prediction) => publisher.result(camera, prediction),
    cameraStatus: (camera, status) => publisher.cameraStatus(camera, status),
    info: (fields) => publisher.info(fields),
    keep: (message) => publisher.keep(message),
    forget: (topic) => publisher.forget(topic),
    sendNow: (message) => publisher.sendNow(message),
    repeat: () => publisher.repeat(),
    onRepeat: (listener) => publisher.onRepeat(listener),
    pace: (pace) => publisher.pace(pace),
    health: (fields) => publisher.health(fields),
    stats: () => publisher.stats(),
    close: () => publisher.close(),
  }
}

const usualStateEveryMs = 10_000
const usualCloseTimeoutMs = 2_000
/** An older result is of no use to a subscriber. */
const resultExpirySeconds = 10

class NodePublisher implements Publisher {
  readonly #options: PublisherOptions
  readonly #clock: Clock
  readonly #topics: Topics
  readonly #outbox: Outbox
  readonly #sender: Sender
  readonly #acknowledging: Acknowledging
  /** Null publishes nothing. */
  readonly #link: Link | null
  readonly #cameras: ReadonlyMap<string, CameraTopics>
  readonly #isInsecure: boolean
  #stateEveryMs: number
  #resultEveryMs: number
  readonly #repeatListeners: (() => void)[] = []
  #droppedResults = 0

  constructor(options: PublisherOptions) {
    const { broker, node, cameras, log, clock = systemClock, holdEventsMs } = options
    this.#options = options
    this.#clock = clock
    this.#stateEveryMs = options.stateEveryMs ?? usualStateEveryMs
    this.#resultEveryMs = options.resultEveryMs ?? -1
    this.#isInsecure = broker?.tls?.insecure === true
    this.#outbox = options.outbox ?? createMemoryOutbox({ boot: randomUUID(), clock, log })
    this.#topics = createTopics(options.baseTopic ?? 'gapcam', node)
    this.#acknowledging = acknowledging(this.#topics, this.#outbox, log)
    const messageOf = entryMessages(this.#topics, cameras[0] ?? 'cam0', () => this.#stamp())
    this.#sender = createSender({ outbox: this.#outbox, log, clock, messageOf, holdEventsMs })
    this.#link = broker && this.#createLink(broker)
    this.#outbox.listen({
      onReady: () => this.#sender.pump(),
      onNumbered: (camera) => this.#cameras.get(camera)?.publishState(),
    })
    for (const message of options.first ?? []) this.#sender.keep(message)
    this.#cameras = new Map(cameras.map((camera) => [camera, this.#createCamera(camera)]))
    // Last: when the node comes online, its devices and states are there, and none of an earlier model's.
    this.#sender.keep(this.#nodeStatus('online'))
  }

  get root(): string {
    return this.#topics.root
  }

  start(): Promise<void> {
    if (this.#link && this.#isInsecure)
      this.#options.log.warn(
        { broker: this.#link.url },
        `broker ${this.#link.url}: its certificate is not checked (mqtt.insecure): a third party on the network can read and change what is sent`,
      )
    this.#link?.start()
    return Promise.resolve()
  }

  settled(camera: string, decision: Decision, prediction: Prediction | null): void {
    if (!this.#link) return
    const topics = this.#cameraOf(camera)
    const hasChanged = topics.note(decision, prediction)
    if (hasChanged || topics.isStateDue(this.#stateEveryMs)) topics.publishState()
  }

  event(camera: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void {
    if (!this.#link) return
    const topics = this.#cameraOf(camera)
    topics.note(decision, prediction)
    const { fields } = topics
    // The state carries the number of the last event: it is published when that number is certain.
    this.#outbox.add(camera, 'event', this.#link.isConnected, (seq) =>
      eventPayload({ ...this.#stamp(), seq }, fields, type),
    )
  }

  result(camera: string, prediction: Prediction): void {
    const link = this.#link
    if (!link || this.#resultEveryMs < 0 || !this.#cameraOf(camera).takeResultTurn(this.#resultEveryMs)) return
    if (this.#options.durableResults) {
      this.#outbox.add(camera, 'result', link.isConnected, (seq) =>
        resultPayload({ ...this.#stamp(), seq }, prediction),
      )
      return
    }
    const isSent =
      link.isConnected &&
      this.#sender.tryNow({
        ...this.#topics.camera('result', camera),
        payload: resultPayload(this.#stamp(), prediction),
        expirySeconds: resultExpirySeconds,
      })
    if (!isSent) this.#droppedResults++
  }

  cameraStatus(camera: string, status: CameraStatus): void {
    const topics = this.#cameraOf(camera)
    if (this.#link) topics.setStatus(status)
  }

  info(fields: InfoFields): void {
    this.keep({ ...this.#topics.node('info'), payload: infoPayload(this.#stamp(), fields) })
  }

  keep(message: Message): void {
    if (this.#link) this.#sender.keep(message)
  }

  forget(topic: string): void {
    this.#sender.forget(topic)
  }

  sendNow(message: Message): boolean {
    return this.#link !== null && this.#sender.tryNow(message)
  }

  repeat(): void {
    this.#sender.repeat()
    for (const listener of this.#repeatListeners) listener()
  }

  onRepeat(listener: () => void): void {
    this.#repeatListeners.push(listener)
  }

  pace({ stateEveryMs, resultEveryMs }: { readonly stateEveryMs: number; readonly resultEveryMs: number }): void {
    this.#stateEveryMs = stateEveryMs
    this.#resultEveryMs = resultEveryMs
  }

  health(fields: HealthFields): void {
    this.keep({ ...this.#topics.node('health'), payload: healthPayload(this.#stamp(), fields, this.#mqttHealth()) })
  }

  stats(): PublisherStats {
    const { isConnected = false, url = null, protocol = '5', reconnects = 0, lastError } = this.#link ?? {}
    const outbox = this.#outbox.stats()
    return {
      connected: isConnected,
      url,
      protocol,
      queued: outbox.queued,
      dropped: outbox.dropped,
      droppedResults: this.#droppedResults,
      reconnects,
      insecure: this.#isInsecure,
      outbox,
      lastError,
    }
  }

  async close(): Promise<void> {
    const farewell = async (): Promise<void> => {
      await this.#sender.drained()
      this.#sender.keep(this.#nodeStatus('offline'))
      await this.#sender.drained()
    }
    await this.#link?.close(farewell, this.#options.closeTimeoutMs ?? usualCloseTimeoutMs)
    await this.#outbox.close()
  }

  #createLink(broker: ConnectOptions): Link {
    const { node, log, isClockSynced, backoffMs, subscriptions = [], onMessage } = this.#options
    return createLink({
      connect: broker,
      clientId: broker.clientId ?? `gapcam-${node}`,
      will: this.#nodeStatus('offline'),
      log,
      clock: this.#clock,
      onUp: (connection) => {
        this.#sender.attach(connection)
        for (const listener of this.#repeatListeners) listener()
      },
      onDown: () => this.#sender.detach(),
      onMessage: (message) => {
        if (!this.#acknowledging.take(message)) onMessage?.(message)
      },
      isClockSynced: isClockSynced ?? (() => false),
      subscriptions: [...this.#acknowledging.subscriptions, ...subscriptions],
      backoffMs,
    })
  }

  #createCamera(camera: string): CameraTopics {
    return new CameraTopics({
      camera,
      topics: this.#topics,
      clock: this.#clock,
      keep: (message) => this.#sender.keep(message),
      stamp: () => ({ ...this.#stamp(), seq: this.#outbox.seq }),
    })
  }

  #cameraOf(camera: string): CameraTopics {
    const topics = this.#cameras.get(camera)
    if (!topics) throw expected(`one of ${[...this.#cameras.keys()].join(', ')}`, 'camera', camera)
    return topics
  }

  #nodeStatus(status: NodeStatus): Message {
    return { ...this.#topics.node('nodeStatus'), payload: status }
  }

  #stamp(): Omit<Stamp, 'seq'> {
    const { isClockSynced } = this.#options
    return { wallMs: this.#clock.wall(), boot: this.#outbox.boot, isClockSynced: isClockSynced?.() ?? false }
  }

  #mqttHealth(): MqttHealth {
    const { queued, bytes, dropped, state, reason } = this.#outbox.stats()
    return {
      connected: this.#link?.isConnected ?? false,
      reconnects: this.#link?.reconnects ?? 0,
      queued,
      spooled_bytes: bytes,
      dropped,
      outbox: state,
      ...(reason === undefined ? {} : { outbox_reason: reason }),
      ...(this.#isInsecure ? { insecure: true } : {}),
    }
  }
}
