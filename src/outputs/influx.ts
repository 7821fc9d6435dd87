/** A line of InfluxDB's line protocol for an event, and the request that writes it. */
import type { HttpRequest } from './http.js'
import type { Fields, Made } from './template.js'

/** What a line is made of without a template. */
export interface LineEvent {
  readonly node: string
  readonly place: string
  readonly event_type: string
  readonly boot: string
  readonly seq: number
  /** ISO 8601. */
  readonly ts: string
  readonly label?: string | undefined
  readonly score?: number | undefined
  /** Of a gap record. */
  readonly missing?: number | undefined
}

/** In measurement, tag keys and tag values a comma, a space and an equals sign are escaped; a line break cannot be. */
const tag = (text: string): string =>
  text
    .replaceAll(/[\r\n]/g, ' ')
    .replace(/\\$/, '\\\\')
    .replaceAll(/[,= ]/g, (character) => `\\${character}`)
/** A text field is quoted; in it quotes and backslashes are escaped. */
const field = (text: string): string => `"${text.replaceAll(/["\\]/g, (character) => `\\${character}`)}"`

/** One point; a bigint is an integer field, a number a float. */
export interface Point {
  readonly measurement: string
  readonly tags: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, number | bigint | string | boolean>>
}

/**
 *     pointOf({ node: 'dock1', place: 'cam0', event_type: 'label_changed', boot: 'b', seq: 7, ts, label: 'open', score: 0.9 })
 *     // as a line: gapcam,node=dock1,place=cam0,type=label_changed label="open",score=0.9,seq=7i,boot="b" 1767608553412000007
 */
export function pointOf({ node, place, event_type, boot, seq, label, score, missing }: LineEvent): Point {
  return {
    measurement: 'gapcam',
    tags: { node, place, type: event_type },
    fields: {
      ...(label === undefined ? {} : { label }),
      ...(score === undefined || !Number.isFinite(score) ? {} : { score }),
      ...(missing === undefined ? {} : { missing: BigInt(missing) }),
      seq: BigInt(seq),
      boot,
    },
  }
}

/** The time of a point: that of its event, and the event's number in the nanoseconds. */
export interface PointTime {
  readonly wallMs: number
  readonly seq: number
}

/** The line of a point, with its time in nanoseconds. An empty tag value is not allowed, so such a tag is left out. */
export function lineOf({ measurement, tags, fields }: Point, { wallMs, seq }: PointTime): string {
  const tagText = Object.entries(tags)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `,${tag(key)}=${tag(value)}`)
  const fieldText = Object.entries(fields).map(([key, value]) => `${tag(key)}=${valueText(value)}`)
  const nanoseconds = String(seq % 1_000_000).padStart(6, '0')
  return `${tag(measurement)}${tagText.join('')} ${fieldText.join(',')} ${wallMs}${nanoseconds}`
}

function valueText(value: number | bigint | string | boolean): string {
  if (typeof value === 'bigint') return `${value}i`
  return typeof value === 'string' ? field(value) : String(value)
}

const pointKeys: readonly string[] = ['measurement', 'tags', 'fields']

/** Throws for a template of another shape than `measurement`, `tags`, `fields`. */
export function checkPointTemplate(document: unknown): void {
  const keys = typeof document === 'object' && document !== null ? Object.keys(document) : []
  const strange = keys.find((key) => !pointKeys.includes(key))
  if (strange !== undefined) throw new Error(`the document has ${strange}; a point has ${pointKeys.join(', ')}`)
  if (!keys.includes('fields')) throw new Error('the document has no fields; a point has at least one')
}

/** The point that a template made; throws where it is none. */
export function acceptPoint(made: Made): Point {
  const { measurement = 'gapcam', tags = {}, fields = {} } = (made ?? {}) as { readonly [key: string]: Made }
  if (typeof measurement !== 'string' || measurement === '') throw new Error('measurement must be a text')
  const texts = Object.entries(tags as Fields).map(([key, value]) => [key, String(value as string)] as const)
  const values = Object.entries(fields as Fields).filter(([, value]) => value !== null)
  const strange = values.find(([, value]) => !isField(value))
  if (strange) throw new Error(`fields.${strange[0]} must be a number, a text, true or false`)
  if (values.length === 0) throw new Error('fields are all absent')
  return { measurement, tags: Object.fromEntries(texts), fields: Object.fromEntries(values) as Point['fields'] }
}

function isField(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}

/** Where lines go. */
export interface InfluxTarget {
  readonly url: string
  /** Of the interface: 1 has databases, 2 (InfluxDB 1.8 and later) organizations and buckets. */
  readonly version: 1 | 2
  readonly org: string
  /** The name of the database in version 1. */
  readonly bucket: string
}

/**
 * Writes a line. A point with the same tags and time replaces the one before: a repetition is stored once, and two events of one
 * millisecond differ by their numbers.
 */
export function influxRequest(
  { url, version, org, bucket }: InfluxTarget,
  token: string | undefined,
  point: Point,
  time: PointTime,
): HttpRequest {
  const [path, names] = version === 1 ? ['write', { db: bucket }] : ['api/v2/write', { org, bucket }]
  const query = new URLSearchParams({ ...names, precision: 'ns' })
  return {
    url: `${url.replace(/\/$/, '')}/${path}?${query}`,
    body: lineOf(point, time),
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      ...(token === undefined ? {} : { authorization: `Token ${token}` }),
    },
  }
}
