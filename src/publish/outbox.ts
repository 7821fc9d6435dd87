/**
 * Where events wait until a broker has them. The publisher asks nothing else of it, so that an outbox on disk takes
 * this one's place. Bounded: the oldest events make room, and a marker says how many were lost.
 */

/** An event, ready to be sent. */
export interface OutboxEvent {
  readonly kind: 'event'
  readonly seq: number
  readonly camera: string
  readonly payload: string
  /** True while it can still arrive as it happens; false once it goes to the backlog. */
  isLive: boolean
}

/** A hole in a camera's events, in place of those that were dropped. */
export interface OutboxGap {
  readonly kind: 'gap'
  readonly camera: string
  readonly from: number
  to: number
  missing: number
}

export type OutboxEntry = OutboxEvent | OutboxGap

export interface Outbox {
  /** The number of the last event that was added; 0 before the first. An outbox that lasts goes on where it was. */
  readonly seq: number
  /** Entries that wait, and those that are under way. */
  readonly size: number
  readonly bytes: number
  /** Events that had to make room, since the start. */
  readonly dropped: number
  /** Numbers an event and keeps it. `payloadOf` writes the message around its number. */
  add(camera: string, isLive: boolean, payloadOf: (seq: number) => string): OutboxEvent
  /** The oldest entry that is not under way, which then is; null when there is none. */
  take(): OutboxEntry | null
  /** The broker has it. */
  confirm(entry: OutboxEntry): void
  /** The link is gone: all that is unconfirmed waits again, in order, and is no longer live. */
  takeBack(): void
}

export interface OutboxLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

export const outboxDefaults: OutboxLimits = { maxEvents: 1000, maxBytes: 1 << 20 }

/** An outbox in memory: what it holds ends with the process. `seq` starts at 1 with each boot, which has an id of its own. */
export function createMemoryOutbox(limits: OutboxLimits = outboxDefaults): Outbox {
  const waiting: OutboxEntry[] = []
  const underWay = new Set<OutboxEntry>()
  let seq = 0
  let bytes = 0
  let dropped = 0

  /** Gives up the oldest waiting event, and lengthens or opens its camera's gap in that very place. */
  function dropOldest(): boolean {
    const place = waiting.findIndex(({ kind }) => kind === 'event')
    const event = waiting[place]
    if (event?.kind !== 'event') return false
    bytes -= sizeOf(event)
    dropped++
    const gap = waiting.slice(0, place).find((entry) => entry.kind === 'gap' && entry.camera === event.camera)
    if (gap?.kind === 'gap') {
      gap.to = event.seq
      gap.missing++
      waiting.splice(place, 1)
    } else {
      waiting[place] = { kind: 'gap', camera: event.camera, from: event.seq, to: event.seq, missing: 1 }
    }
    return true
  }

  return {
    get seq() { return seq },
    get size() { return waiting.length + underWay.size },
    get bytes() { return bytes },
    get dropped() { return dropped },

    add(camera, isLive, payloadOf) {
      seq++
      const event: OutboxEvent = { kind: 'event', seq, camera, payload: payloadOf(seq), isLive }
      bytes += sizeOf(event)
      waiting.push(event)
      while ((waiting.length > limits.maxEvents || bytes > limits.maxBytes) && dropOldest());
      return event
    },

    take() {
      const entry = waiting.shift() ?? null
      if (entry) underWay.add(entry)
      return entry
    },

    confirm(entry) {
      if (underWay.delete(entry) && entry.kind === 'event') bytes -= sizeOf(entry)
    },

    takeBack() {
      waiting.unshift(...underWay)
      underWay.clear()
      mergeLeadingGaps(waiting)
      for (const entry of waiting) if (entry.kind === 'event') entry.isLive = false
    },
  }
}

/** Links that come and go without a confirmation would otherwise leave a gap of the same camera each time. */
function mergeLeadingGaps(waiting: OutboxEntry[]): void {
  const first = new Map<string, OutboxGap>()
  while (waiting[0]?.kind === 'gap') {
    const gap = waiting.shift() as OutboxGap
    const known = first.get(gap.camera)
    if (!known) first.set(gap.camera, gap)
    else {
      known.to = gap.to
      known.missing += gap.missing
    }
  }
  waiting.unshift(...first.values())
}

function sizeOf({ payload }: OutboxEvent): number {
  return Buffer.byteLength(payload)
}
