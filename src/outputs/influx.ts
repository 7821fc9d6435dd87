/** A line of InfluxDB's line protocol for an event, and the request that writes it (API of versions 2 and 3). */
import type { HttpRequest } from './http.js'

/** What a line is made of. */
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

/**
 *     lineOf({ node: 'dock1', place: 'cam0', event_type: 'label_changed', boot: 'b', seq: 7, ts, label: 'open', score: 0.9 })
 *     // gapcam,node=dock1,place=cam0,type=label_changed label="open",score=0.9,seq=7i,boot="b" 1767608553412
 */
export function lineOf({ node, place, event_type, boot, seq, ts, label, score, missing }: LineEvent): string {
  // An empty tag value is not allowed.
  const tags = Object.entries({ node, place, type: event_type }).filter(([, value]) => value !== '')
  const fields = [
    ...(label === undefined ? [] : [`label=${field(label)}`]),
    ...(score === undefined || !Number.isFinite(score) ? [] : [`score=${score}`]),
    ...(missing === undefined ? [] : [`missing=${missing}i`]),
    `seq=${seq}i`,
    `boot=${field(boot)}`,
  ]
  return `gapcam${tags.map(([key, value]) => `,${key}=${tag(value)}`).join('')} ${fields.join(',')} ${Date.parse(ts)}`
}

/** Writes a line. A point with the same tags and time replaces itself, so a repetition is stored once. */
export function influxRequest(
  { url, org, bucket }: { readonly url: string; readonly org: string; readonly bucket: string },
  token: string | undefined,
  event: LineEvent,
): HttpRequest {
  const query = new URLSearchParams({ org, bucket, precision: 'ms' })
  return {
    url: `${url.replace(/\/$/, '')}/api/v2/write?${query}`,
    body: lineOf(event),
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      ...(token === undefined ? {} : { authorization: `Token ${token}` }),
    },
  }
}
