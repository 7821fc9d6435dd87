/** Turns the outbox's entries into messages, and a consumer's acknowledgements into calls of the outbox. */
import type { Logger } from '../log.js'
import type { Incoming, Message, Subscription } from './mqtt.js'
import { acknowledgementOf } from './outbox/acknowledgement.js'
import type { Outbox, OutboxEntry } from './outbox/outbox.js'
import { gapPayload, type Stamp } from './payloads.js'
import type { Topics } from './topics.js'

/**
 * The message of an entry, on the topic of its camera, even if that camera has left the configuration. The camera of a
 * gap in damaged bytes is not known: it goes to `unknownCamera`.
 */
export function entryMessages(
  topics: Topics,
  unknownCamera: string,
  stamp: () => Omit<Stamp, 'seq'>,
): (entry: OutboxEntry) => Message {
  return (entry) => {
    const camera = entry.camera === '' ? unknownCamera : entry.camera
    const { topic } = topics.camera(entry.kind === 'event' && entry.isLive ? entry.topic : 'backlog', camera)
    const { kind } = entry
    const payload =
      kind === 'event' ? entry.payload : gapPayload(stamp(), { from: entry.from, to: entry.to, missing: entry.missing })
    return { topic, payload, qos: 1, isRetained: false }
  }
}

export interface Acknowledging {
  readonly subscriptions: readonly Subscription[]
  /** True for a message on the acknowledgement topic. A retained one has no effect: it may be old. */
  take(message: Incoming): boolean
}

/** The subscription on which consumers acknowledge, and the listener that hands their numbers to the outbox. */
export function acknowledging(topics: Topics, outbox: Outbox, log: Pick<Logger, 'debug'>): Acknowledging {
  const { topic } = topics.node('ack')
  return {
    subscriptions: outbox.ack === 'application' ? [{ filter: topic, qos: 1 }] : [],
    take(message) {
      if (message.topic !== topic) return false
      const acknowledgement = message.isRetained ? null : acknowledgementOf(message.payload)
      if (!acknowledgement) log.debug({ topic }, 'this is not an acknowledgement')
      else if (!outbox.acknowledge(acknowledgement.boot, acknowledgement.through))
        log.debug({ ...acknowledgement }, 'an acknowledgement of an unknown start of the program')
      return true
    },
  }
}
