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
import type { Publisher, PublisherOptions, PublisherStats } from './publisher-options.js'
import { createSender, type Sender } from './sender.js'
import { createTopics, type Topics } from './topics.js'
import type { ZoneTopics } from './zone-topics.js'

export type { Publisher } from './publisher-options.js'

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
    addZone: (key) => publisher.addZone(key),
    removeZone: (key) => publisher.removeZone(key),
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
    delivered: (signal) => publisher.delivered(signal),
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
  readonly #zones = new Map<string, { readonly camera: CameraTopics; readonly topics: ZoneTopics }>()
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
      onNumbered: (zone) => this.#zones.get(zone)?.topics.publishState(),
    })
    for (const message of options.first ?? []) this.#sender.keep(message)
    this.#cameras = new Map(cameras.map((camera) => [camera, this.#createCamera(camera)]))
    for (const zone of options.zones ?? cameras) this.addZone(zone)
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

  settled(zone: string, decision: Decision, prediction: Prediction | null): void {
    if (!this.#link) return
    const { camera, topics } = this.#zoneOf(zone)
    const hasChanged = camera.note(topics, decision, prediction)
    if (hasChanged || topics.isStateDue(this.#stateEveryMs)) topics.publishState()
  }

  event(zone: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void {
    if (!this.#link) return
    const { camera, topics } = this.#zoneOf(zone)
    camera.note(topics, decision, prediction)
    const { fields } = topics
    // The state carries the number of the last event: it is published when that number is certain.
    this.#outbox.add(zone, 'event', this.#link.isConnected, (seq) =>
      eventPayload({ ...this.#stamp(), seq }, fields, type),
    )
  }

  result(zone: string, prediction: Prediction): void {
    const link = this.#link
    if (!link || this.#resultEveryMs < 0 || !this.#zoneOf(zone).topics.takeResultTurn(this.#resultEveryMs)) return
    if (this.#options.durableResults) {
      this.#outbox.add(zone, 'result', link.isConnected, (seq) => resultPayload({ ...this.#stamp(), seq }, prediction))
      return
    }
    const isSent =
      link.isConnected &&
      this.#sender.tryNow({
        ...this.#topics.camera('result', zone),
        payload: resultPayload(this.#stamp(), prediction),
        expirySeconds: resultExpirySeconds,
      })
    if (!isSent) this.#droppedResults++
  }

  addZone(key: string): void {
    const camera = this.#cameraOf(key.split('/')[0]!)
    this.#zones.set(key, { camera, topics: camera.add(key) })
  }

  removeZone(key: string): void {
    this.#zones.get(key)?.camera.remove(key)
    this.#zones.delete(key)
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

  async delivered(signal: AbortSignal): Promise<boolean> {
    const link = this.#link
    if (!link) return false
    const ending = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    while (!signal.aborted) {
      if (!link.isConnected) await Promise.race([ending, new Promise<void>((resolve) => this.onRepeat(resolve))])
      await Promise.race([ending, this.#sender.drained()])
      if (link.isConnected && !signal.aborted) return true
    }
    return false
  }

  async close(): Promise<void> {
    const farewell = async (): Promise<void> => {
      await this.#sender.drained()
      if (this.#options.once) return
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
      once: this.#options.once,
    })
  }

  #cameraOf(camera: string): CameraTopics {
    const topics = this.#cameras.get(camera)
    if (!topics) throw expected(`one of ${[...this.#cameras.keys()].join(', ')}`, 'camera', camera)
    return topics
  }

  #zoneOf(key: string): { readonly camera: CameraTopics; readonly topics: ZoneTopics } {
    const zone = this.#zones.get(key)
    if (!zone) throw expected(`one of ${[...this.#zones.keys()].join(', ')}`, 'zone', key)
    return zone
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
      ...this.#history(),
    }
  }

  /** A consumer that acknowledges needs it to know what can still come. */
  #history(): Pick<MqttHealth, 'waits_from' | 'boots'> {
    if (this.#outbox.ack !== 'application') return {}
    const { waitsFrom, boots } = this.#outbox.history()
    return { waits_from: waitsFrom, boots: boots.map(({ id, from }) => [id, from]) }
  }
}
