/** From the outbox's entries to messages, and from a consumer's acknowledgements back. */
import type { Logger } from '../log.js'
import type { Incoming, Message, Subscription } from './mqtt.js'
import { acknowledgementOf } from './outbox/acknowledgement.js'
import type { Outbox, OutboxEntry } from './outbox/outbox.js'
import { gapPayload, type Stamp } from './payloads.js'
import type { Topics } from './topics.js'

/**
 * The message of an entry, on the topic of its camera, also when that has left the configuration meanwhile. Of a gap
 * in damaged bytes nobody knows the camera: `unknownCamera` stands in.
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
  /** Takes the message if it is an acknowledgement. One that the broker kept may be of any time and is left alone. */
  take(message: Incoming): boolean
}

export function acknowledging(topics: Topics, outbox: Outbox, log: Pick<Logger, 'debug'>): Acknowledging {
  const { topic } = topics.node('ack')
  return {
    subscriptions: outbox.ack === 'application' ? [{ filter: topic, qos: 1 }] : [],
    take(message) {
      if (message.topic !== topic) return false
      const acknowledgement = message.isRetained ? null : acknowledgementOf(message.payload)
      if (!acknowledgement) log.debug({ topic }, 'an acknowledgement that is none')
      else if (!outbox.acknowledge(acknowledgement.boot, acknowledgement.through))
        log.debug({ ...acknowledgement }, 'an acknowledgement of a start that nobody knows')
      return true
    },
  }
}
