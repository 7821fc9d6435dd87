/**
 * What a collector takes from the messages of nodes: events (and numbered results) from their topics, gap records, and from
 * `R/health` which numbers can still come. Anything else is not for it.
 */
import { z } from 'zod'

/** An event as it is stored. Times are as the node wrote them, ISO 8601. */
export interface CollectedEvent {
  readonly node: string
  readonly boot: string
  readonly seq: number
  /** `camera`, or `camera/zone`. */
  readonly place: string
  /** `result` for a numbered result. */
  readonly type: string
  readonly ts: string
  readonly label: string
  readonly score: number | null
  /** It had waited in the node's outbox. */
  readonly isBacklog: boolean
  /** The message as JSON. */
  readonly payload: string
}

/** Numbers of a node that its outbox could not keep. */
export interface CollectedGap {
  readonly node: string
  readonly boot: string
  readonly place: string
  readonly from: number
  readonly to: number
  readonly missing: number
}

/** What a node says about the numbers that it gave. */
export interface Series {
  /** Every lower number is done: it never comes again. */
  readonly waitsFrom: number
  /** The starts of the program that gave the others, each with its first number; ascending. */
  readonly boots: readonly (readonly [boot: string, from: number])[]
}

export type Collected =
  | { readonly kind: 'event'; readonly event: CollectedEvent }
  | { readonly kind: 'gap'; readonly gap: CollectedGap }
  | { readonly kind: 'series'; readonly node: string; readonly series: Series }
  /** On a topic of events, but not one. */
  | { readonly kind: 'invalid'; readonly reason: string }

const seq = z.int().min(1)
const boot = z.string().min(1).max(100)
const eventSchema = z.looseObject({
  boot,
  seq,
  ts: z.iso.datetime(),
  label: z.string().max(1000).default(''),
  score: z.number().optional(),
  event_type: z.string().min(1).max(64).optional(),
})
const gapSchema = z.looseObject({ event_type: z.literal('gap'), boot, from: seq, to: seq, missing: z.int().min(1) })
const healthSchema = z.looseObject({
  mqtt: z.looseObject({
    waits_from: seq,
    boots: z
      .array(z.tuple([boot, seq]))
      .min(1)
      .max(1000),
  }),
})

/** Topic filters below a base topic, of events and of health. A collector's group shares the first kind. */
export function collectorFilters(base: string): { readonly events: readonly string[]; readonly health: string } {
  const places = ['+', '+/+']
  return {
    events: places.flatMap((place) => ['event', 'backlog', 'result'].map((name) => `${base}/+/${place}/${name}`)),
    health: `${base}/+/health`,
  }
}

/** Reads a message; null for one that does not concern a collector, such as a result without a number. */
export function collected(base: string, topic: string, payload: Buffer): Collected | null {
  if (!topic.startsWith(`${base}/`)) return null
  const levels = topic.slice(base.length + 1).split('/')
  const [node = '', ...rest] = levels
  const name = rest.pop()
  const value = parsed(payload)
  if (name === 'health' && rest.length === 0) return healthOf(node, value)
  if (name === 'result' && (value as { seq?: unknown } | null)?.seq === undefined) return null
  const gap = gapSchema.safeParse(value)
  const place = rest.join('/')
  if (gap.success) {
    const { boot: by, from, to, missing } = gap.data
    if (from > to) return { kind: 'invalid', reason: `${topic}: a gap from ${from} to ${to}` }
    return { kind: 'gap', gap: { node, boot: by, place, from, to, missing } }
  }
  const event = eventSchema.safeParse(value)
  if (!event.success)
    return { kind: 'invalid', reason: `${topic}: ${event.error.issues[0]?.message ?? 'not an event'}` }
  const { event_type: type = name ?? '', score = null, label, ts, ...own } = event.data
  return {
    kind: 'event',
    event: {
      ...{ node, place, ts, score, boot: own.boot, seq: own.seq },
      type: storable(type),
      label: storable(label),
      isBacklog: name === 'backlog',
      payload: JSON.stringify(value),
    },
  }
}

/** A node without application acknowledgements says nothing of its numbers. */
function healthOf(node: string, value: unknown): Collected | null {
  const health = healthSchema.safeParse(value)
  if (!health.success) return null
  const { waits_from: waitsFrom, boots } = health.data.mqtt
  return { kind: 'series', node, series: { waitsFrom, boots: boots.toSorted(([, a], [, b]) => a - b) } }
}

/** PostgreSQL stores neither NUL nor half of a character in a text. */
const storable = (text: string): string => Buffer.from(text.replaceAll('\0', '\uFFFD')).toString()

function parsed(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString()) as unknown
  } catch {
    return null
  }
}
