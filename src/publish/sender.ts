/**
 * Decides which message goes over the connection next. Of a retained topic only the last value is kept, and all of them
 * are sent again on every connection. Events come from the outbox: the live queue and the backlog take turns, so that
 * neither waits for the other to be empty. At most a window of messages is unacknowledged.
 */
import type { Clock } from '../clock.js'
import type { Logger } from '../log.js'
import type { Connection, Delivery, Message } from './mqtt.js'
import type { Outbox, OutboxEntry } from './outbox/outbox.js'
import { RetainedTopics } from './retained.js'
import { SendWindow } from './window.js'

export interface SenderOptions {
  readonly outbox: Outbox
  /** Makes the message for an event or a gap. */
  readonly messageOf: (entry: OutboxEntry) => Message
  readonly log: Pick<Logger, 'warn'>
  readonly clock: Clock
  /** Live events wait this long after a connection, for subscribers that its first messages attract; default 0. */
  readonly holdEventsMs?: number | undefined
}

export interface Sender {
  /** Sets the value of a retained topic. An earlier value that has not been sent is dropped. */
  keep(message: Message): void
  /**
   * Stops sending a retained topic. The broker keeps what it has; `keep` an empty payload before to remove it there.
   */
  forget(topic: string): void
  /** Sends every retained topic again. */
  repeat(): void
  /** Sends what may be lost: false when there is no connection, or it does not keep up. */
  tryNow(message: Message): boolean
  /** To be called when the outbox may have something to take. */
  pump(): void
  attach(connection: Connection): void
  detach(): void
  /** Resolves when everything is acknowledged, or the connection is over. */
  drained(): Promise<void>
}

/** Messages that may be lost are dropped rather than queued beyond these limits. */
const maxUnsentBytes = 256 << 10
const maxUnsent = 20

/** A sender without a connection. `attach` gives it one, `detach` takes it away; nothing is lost in between. */
export function createSender(options: SenderOptions): Sender {
  return new ConnectionSender(options)
}

class ConnectionSender implements Sender {
  readonly #options: SenderOptions
  readonly #retained = new RetainedTopics()
  readonly #window: SendWindow
  /** Topics whose refusal is in the log. */
  readonly #refused = new Set<string>()
  #connection: Connection | null = null
  #unacknowledged = 0
  /** Messages of `tryNow` that are under way. */
  #unsent = 0
  #isBacklogsTurn = false
  /** Live events wait while it runs. */
  #hold: NodeJS.Timeout | null = null
  #drained: (() => void)[] = []

  constructor(options: SenderOptions) {
    this.#options = options
    this.#window = new SendWindow(options.clock)
  }

  keep(message: Message): void {
    this.#retained.set(message)
    this.pump()
  }

  forget(topic: string): void {
    this.#retained.forget(topic)
  }

  repeat(): void {
    this.#retained.repeat()
    this.pump()
  }

  tryNow(message: Message): boolean {
    const connection = this.#connection
    if (!connection || this.#unsent >= maxUnsent || connection.unsentBytes > maxUnsentBytes) return false
    this.#unsent++
    void connection.publish(message).then((delivery) => {
      this.#unsent--
      if (delivery === 'refused') this.#explainRefusal(message.topic)
    })
    return true
  }

  pump(): void {
    while (this.#connection && this.#hasRoom(this.#connection) && this.#sendNext(this.#connection));
    if (this.#connection && (this.#unacknowledged > 0 || this.#options.outbox.isBusy)) return
    for (const resolve of this.#drained) resolve()
    this.#drained = []
  }

  attach(connection: Connection): void {
    const { holdEventsMs = 0 } = this.#options
    this.#connection = connection
    this.#window.reset()
    if (holdEventsMs > 0) this.#hold = setTimeout(() => this.#release(), holdEventsMs)
    this.repeat()
  }

  detach(): void {
    this.#connection = null
    this.#clearHold()
    this.#unacknowledged = 0
    this.#retained.lost()
    this.#options.outbox.takeBack()
    this.pump()
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained.push(resolve)
      this.#release()
    })
  }

  #hasRoom({ receiveMaximum }: Connection): boolean {
    return this.#unacknowledged < Math.min(this.#window.size, receiveMaximum)
  }

  #sendNext(connection: Connection): boolean {
    return this.#sendRetained(connection) || this.#sendEvent(connection)
  }

  #sendRetained(connection: Connection): boolean {
    const message = this.#retained.take()
    if (!message) return false
    this.#send(connection, message, (delivery) => {
      this.#retained.answered(message, delivery)
      if (delivery !== 'lost') message.onSettled?.()
    })
    return true
  }

  #sendEvent(connection: Connection): boolean {
    const { outbox, messageOf } = this.#options
    const live = (): OutboxEntry | null => (this.#hold ? null : outbox.takeLive())
    const entry = this.#isBacklogsTurn ? (outbox.takeBacklog() ?? live()) : (live() ?? outbox.takeBacklog())
    if (!entry) return false
    this.#isBacklogsTurn = !this.#isBacklogsTurn
    this.#send(connection, messageOf(entry), (delivery) => {
      if (delivery === 'sent') outbox.confirm(entry)
      else if (delivery === 'refused') outbox.reject(entry)
    })
    return true
  }

  #send(connection: Connection, message: Message, done: (delivery: Delivery) => void): void {
    this.#unacknowledged++
    const sentMs = this.#options.clock.now()
    void connection.publish(message).then((delivery) => {
      // `detach` has already taken everything back, and the next connection counts anew.
      if (connection !== this.#connection) return
      this.#unacknowledged--
      this.#window.answered(sentMs)
      // The broker would refuse it again; what is lost comes back with `detach`.
      if (delivery === 'refused') this.#explainRefusal(message.topic)
      done(delivery)
      if (delivery !== 'lost') this.pump()
    })
  }

  #release(): void {
    this.#clearHold()
    this.pump()
  }

  #clearHold(): void {
    if (this.#hold) clearTimeout(this.#hold)
    this.#hold = null
  }

  #explainRefusal(topic: string): void {
    if (this.#refused.has(topic)) return
    this.#refused.add(topic)
    this.#options.log.warn(
      { topic, code: 'BROKER_REFUSED' },
      `the broker refuses messages on ${topic}: check its access rules and its limit of message size`,
    )
  }
}
