/**
 * An event on its way through the outbox. It is in exactly one state:
 *
 *     add: a connection is up            add: no connection
 *               │                              │
 *               ▼        live queue full       ▼
 *              new ───────────────────────▶ backlog ◀── the link is lost, the broker refuses it,
 *               │ on disk, or degraded         │        or the consumer stays silent
 *               ▼                              ▼
 *             live                      sending-backlog ─┐
 *               │                                        ├──▶ sent ──▶ done
 *               └────────────▶ sending-live ─────────────┘
 *
 * With `puback` an event goes from `sending-…` to `done`; `sent` exists only with application acknowledgements. Where
 * the bytes are is not part of the state: waiting.ts holds the events that are not on disk yet, in any state.
 */
import type { OutboxEvent } from './outbox.js'
import type { EventRecord } from './record.js'

export type ItemState =
  /** May still go out live; waits until the disk has it or is given up for now. */
  | 'new'
  /** In the live queue. */
  | 'live'
  | 'sending-live'
  /** Goes out in order, on the backlog topic. */
  | 'backlog'
  | 'sending-backlog'
  /** The broker has it; a consumer has not acknowledged it yet. */
  | 'sent'
  | 'done'

export interface Item extends OutboxEvent {
  state: ItemState
}

/** An item of a record, in its first state. */
export function createItem({ kind: topic, seq, camera, payload }: EventRecord, state: ItemState): Item {
  return {
    kind: 'event',
    topic,
    seq,
    camera,
    payload,
    state,
    get isLive() {
      return this.state === 'new' || this.state === 'live' || this.state === 'sending-live'
    },
  }
}

/** What the disk keeps of an item. */
export function recordOf({ topic: kind, seq, camera, payload }: Item): EventRecord {
  return { kind, seq, camera, payload }
}

/** Whether the item was handed to the connection and the broker has not answered yet. */
export function isSending({ state }: Item): boolean {
  return state === 'sending-live' || state === 'sending-backlog'
}
