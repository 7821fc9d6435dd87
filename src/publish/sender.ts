/**
 * Decides what goes over the connection next. Retained topics keep their last value only, and all of them are said
 * again on every connection; events come from the outbox, live ones and the backlog's by turns, so that neither waits
 * for the other's end. At most a window of messages is unacknowledged.
 */
import type { Clock } from '../clock.js'
import type { Logger } from '../log.js'
import type { Connection, Delivery, Message } from './mqtt.js'
import type { Outbox, OutboxEntry } from './outbox/outbox.js'

export interface SenderOptions {
  readonly outbox: Outbox
  /** The message for an event or a gap, by whether it is still live. */
  readonly messageOf: (entry: OutboxEntry) => Message
  readonly log: Pick<Logger, 'warn'>
  readonly clock: Clock
  /** Events wait so long after a connection was made, for those who subscribe because of what it announced; default 0. */
  readonly holdEventsMs?: number
}

export interface Sender {
  /** Sets the value of a retained topic; what it was before need not arrive any more. */
  keep(message: Message): void
  /** Forgets a retained topic: it is not said again. What the broker has of it stays; empty it by `keep` before. */
  forget(topic: string): void
  /** Says every retained topic again. */
  repeat(): void
  /** Sends what can be lost: false when there is no connection, or it does not keep up. */
  tryNow(message: Message): boolean
  /** To be called after the outbox grew. */
  pump(): void
  attach(connection: Connection): void
  detach(): void
  /** Resolves when all is acknowledged, or the connection is over. */
  drained(): Promise<void>
}

/**
 * The window grows while acknowledgements are quick and shrinks while they are slow, so that a link of a kilobyte a
 * second is not filled for a minute ahead, and one of 600 ms still carries 80 messages a second.
 */
const window = { first: 10, least: 4, most: 50, quickMs: 1_000, slowMs: 4_000 }
/** What can be lost is, before a slow link's queue grows beyond this. */
const maxUnsentBytes = 256 << 10
const maxUnsent = 20

export function createSender({ outbox, messageOf, log, clock, holdEventsMs = 0 }: SenderOptions): Sender {
  const retained = new Map<string, Message>()
  const dirty = new Set<string>()
  const underWay = new Set<string>()
  const refused = new Set<string>()
  let connection: Connection | null = null
  let unacknowledged = 0
  let unsent = 0
  let size = window.first
  let isBacklogsTurn = false
  let shrunkMs = -Infinity
  let waiters: (() => void)[] = []
  let hold: NodeJS.Timeout | null = null

  function pump(): void {
    while (
      connection &&
      unacknowledged < Math.min(size, connection.receiveMaximum) &&
      (sendRetained(connection) || sendEvent(connection))
    );
    if (connection && (unacknowledged > 0 || outbox.isBusy)) return
    for (const resolve of waiters) resolve()
    waiters = []
  }

  /** A topic has one message under way at most, so that its newest value is also the last to arrive. */
  function sendRetained(link: Connection): boolean {
    for (const topic of dirty) {
      const message = retained.get(topic)
      if (!message || underWay.has(topic)) continue
      dirty.delete(topic)
      underWay.add(topic)
      send(link, message, (delivery) => {
        underWay.delete(topic)
        if (delivery === 'lost') return void dirty.add(topic)
        // Taken back for good: an empty message again would only tell everybody so again.
        if (message.payload === '' && retained.get(topic) === message) retained.delete(topic)
        message.onSettled?.()
      })
      return true
    }
    return false
  }

  function release(): void {
    if (hold) clearTimeout(hold)
    hold = null
    pump()
  }

  /** In the order in which they were first said: what announces a label goes before the label. */
  function sayAll(): void {
    dirty.clear()
    for (const topic of retained.keys()) dirty.add(topic)
    pump()
  }

  function sendEvent(link: Connection): boolean {
    // News that came while nobody could listen yet waits; what is old already does not.
    const live = (): OutboxEntry | null => (hold ? null : outbox.takeLive())
    const entry = isBacklogsTurn ? (outbox.takeBacklog() ?? live()) : (live() ?? outbox.takeBacklog())
    if (!entry) return false
    isBacklogsTurn = !isBacklogsTurn
    send(link, messageOf(entry), (delivery) => {
      if (delivery === 'sent') outbox.confirm(entry)
      else if (delivery === 'refused') outbox.reject(entry)
    })
    return true
  }

  function send(link: Connection, message: Message, done: (delivery: Delivery) => void): void {
    unacknowledged++
    const sentMs = clock.now()
    void link.publish(message).then((delivery) => {
      // `detach` has taken everything back already, and another connection may count anew.
      if (link !== connection) return
      unacknowledged--
      adapt(sentMs)
      if (delivery === 'refused') explainRefusal(message.topic)
      // What a broker refuses it would refuse again; what is lost comes back with `detach`.
      done(delivery)
      if (delivery !== 'lost') pump()
    })
  }

  function adapt(sentMs: number): void {
    const nowMs = clock.now()
    const tookMs = nowMs - sentMs
    if (tookMs < window.quickMs) size = Math.min(window.most, size + 1)
    // Those that were sent before the last shrinking say nothing about it.
    else if (tookMs > window.slowMs && sentMs >= shrunkMs) [size, shrunkMs] = [Math.max(window.least, size >> 1), nowMs]
  }

  function explainRefusal(topic: string): void {
    if (refused.has(topic)) return
    refused.add(topic)
    log.warn(
      { topic, code: 'BROKER_REFUSED' },
      `the broker refuses messages on ${topic}: check its access rules and its limit of size`,
    )
  }

  return {
    keep(message) {
      retained.set(message.topic, message)
      dirty.add(message.topic)
      pump()
    },
    forget(topic) {
      retained.delete(topic)
      dirty.delete(topic)
    },
    repeat: sayAll,
    tryNow(message) {
      if (!connection || unsent >= maxUnsent || connection.unsentBytes > maxUnsentBytes) return false
      unsent++
      void connection.publish(message).then((delivery) => {
        unsent--
        if (delivery === 'refused') explainRefusal(message.topic)
      })
      return true
    },
    pump,
    attach(made) {
      connection = made
      size = window.first
      if (holdEventsMs > 0) hold = setTimeout(release, holdEventsMs)
      sayAll()
    },
    detach() {
      connection = null
      if (hold) clearTimeout(hold)
      hold = null
      unacknowledged = 0
      underWay.clear()
      outbox.takeBack()
      pump()
    },
    drained() {
      return new Promise((resolve) => {
        waiters.push(resolve)
        release()
      })
    },
  }
}
