/** The fields of an event that a template may name. */
import type { Clock } from '../clock.js'
import type { OutboxEntry } from '../publish/outbox/outbox.js'
import { gapPayload } from '../publish/payloads.js'
import type { LineEvent } from './influx.js'
import type { Fields } from './template.js'

/** Of an event: those of `C/event`, `node` and `place`, and `from`, `to`, `missing` of a gap record. */
export const eventFieldNames: readonly string[] = [
  ...['node', 'place', 'event_type', 'label', 'score', 'prev', 'reason', 'detail', 'problem', 'top', 'ts', 'since'],
  ...['seq', 'boot', 'id', 'v', 'frame', 'next', 'in_state_s', 'hour', 'day', 'focus', 'looking_elsewhere', 'ms'],
  ...['model', 'engine', 'trigger', 'novelty', 'task', 'shares', 'count', 'boxes', 'visit', 'clockSynced'],
  ...['from', 'to', 'missing'],
]

/** Makes the fields of an entry, with node and place: a receiver has no topic to read them from. */
export function entryFields(node: string, boot: string, clock: Clock, isClockSynced: () => boolean) {
  return (entry: OutboxEntry): LineEvent & Fields => {
    const stamp = { wallMs: clock.wall(), boot, isClockSynced: isClockSynced() }
    const text = entry.kind === 'event' ? entry.payload : gapPayload(stamp, entry)
    return { node, place: entry.camera, ...(JSON.parse(text) as Omit<LineEvent, 'node' | 'place'>) }
  }
}
