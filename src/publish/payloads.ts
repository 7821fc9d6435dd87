/**
 * What each message says: one function a message, plain values in, text out. Wall time appears here and nowhere
 * before. Every field that a consumer's template reads is always there and never null.
 */
import type { Decision, PolicyEvent } from '../decision/decision.js'
import { GapcamError } from '../errors.js'
import type { Prediction, ScoredLabel } from '../decision/prediction.js'

export type NodeStatus = 'online' | 'offline'
export type CameraStatus = 'online' | 'offline' | 'disabled'

/** What a state, an event and a result have in common. */
export interface Stamp {
  /** Wall time of the message, milliseconds. */
  readonly wallMs: number
  /** Changes at each start of the program. */
  readonly boot: string
  /** Number of the last event of the node. */
  readonly seq: number
  readonly isClockSynced: boolean
}

export interface StateFields {
  readonly decision: Decision
  /** Wall time when the label settled, milliseconds. */
  readonly sinceWallMs: number
  /** The newest prediction; null before the first. */
  readonly prediction: Prediction | null
}

/** A label is at most this long on the bare topic: Home Assistant takes no longer text as a state. */
const maxLabelLength = 255

/** Bare text for Node-RED and PLCs. */
export function labelPayload(label: string): string {
  return label.length > maxLabelLength ? label.slice(0, maxLabelLength) : label
}

export function statePayload(stamp: Stamp, fields: StateFields): string {
  return JSON.stringify(stateObject(stamp, fields))
}

/** An event is the state at that moment, with its type and an id of its own. */
export function eventPayload(stamp: Stamp, fields: StateFields, type: PolicyEvent): string {
  return JSON.stringify({ ...stateObject(stamp, fields), event_type: type, id: `${stamp.boot}-${stamp.seq}` })
}

/** Stands in the backlog for `missing` events (numbers `from` to `to`) that the bounded outbox could not keep. */
export function gapPayload(
  stamp: Omit<Stamp, 'seq'>,
  gap: { readonly from: number; readonly to: number; readonly missing: number },
): string {
  const { wallMs, boot, isClockSynced } = stamp
  return JSON.stringify({
    v: 1,
    ts: iso(wallMs),
    boot,
    seq: gap.to,
    event_type: 'gap',
    ...gap,
    clockSynced: isClockSynced,
  })
}

/** A result has a number only where results are kept like events. */
export function resultPayload(stamp: Omit<Stamp, 'seq'> & Partial<Pick<Stamp, 'seq'>>, prediction: Prediction): string {
  const { wallMs, boot, seq, isClockSynced } = stamp
  return JSON.stringify({
    v: 1,
    ts: iso(wallMs),
    boot,
    ...(seq === undefined ? {} : { seq }),
    frame: prediction.frameSeq,
    label: prediction.top[0]?.label ?? '',
    score: round(prediction.top[0]?.score ?? 0),
    top: rounded(prediction.top),
    ...predictionFields(prediction),
    clockSynced: isClockSynced,
  })
}

/** What the node is: versions, cameras, model, engine and why. The runtime knows; times are added here. */
export type InfoFields = Readonly<Record<string, unknown>>

export function infoPayload(stamp: Omit<Stamp, 'seq'>, fields: InfoFields): string {
  return JSON.stringify({ v: 1, ts: iso(stamp.wallMs), boot: stamp.boot, ...fields, clockSynced: stamp.isClockSynced })
}

/** How the node is; the runtime measures, the publisher adds `mqtt`. */
export interface HealthFields {
  readonly uptime_s: number
  readonly fps: number
  readonly dropped: number
  readonly infer_ms: { readonly p50: number; readonly p95: number; readonly p99: number }
  readonly rss_mb: number
  readonly [more: string]: unknown
}

export interface MqttHealth {
  readonly connected: boolean
  readonly queued: number
  readonly spooled_bytes: number
  readonly dropped: number
  readonly reconnects: number
  /** `ok`, `degraded` with a reason, or `memory` where no disk is used. */
  readonly outbox: string
  readonly outbox_reason?: string
  /** The broker's certificate is not checked. */
  readonly insecure?: boolean
}

export function healthPayload(stamp: Omit<Stamp, 'seq'>, fields: HealthFields, mqtt: MqttHealth): string {
  return JSON.stringify({ ts: iso(stamp.wallMs), ...fields, mqtt, clockSynced: stamp.isClockSynced })
}

function stateObject(stamp: Stamp, { decision, sinceWallMs, prediction }: StateFields): Record<string, unknown> {
  return {
    v: 1,
    ts: iso(stamp.wallMs),
    boot: stamp.boot,
    seq: stamp.seq,
    frame: prediction?.frameSeq ?? 0,
    label: decision.label,
    score: round(decision.score),
    prev: decision.prev,
    since: iso(sinceWallMs),
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    top: rounded(decision.top),
    ...(prediction ? predictionFields(prediction) : {}),
    ...viewFields(prediction),
    clockSynced: stamp.isClockSynced,
  }
}

/** Where the label's evidence lies, and what is wrong with the view. `problem` is always there, since a template reads it. */
function viewFields(prediction: Prediction | null): Record<string, unknown> {
  const { focus, isElsewhere, problem } = prediction ?? {}
  return {
    ...(focus
      ? { focus: { x: round(focus.x), y: round(focus.y), w: round(focus.width), h: round(focus.height) } }
      : {}),
    ...(isElsewhere ? { looking_elsewhere: true } : {}),
    problem: problem ?? 'none',
  }
}

function predictionFields({ timings, modelId, modelSha256, engine, target }: Prediction): Record<string, unknown> {
  const { capture, preprocess, infer, total } = timings
  return {
    ms: { capture: tenths(capture), preprocess: tenths(preprocess), infer: tenths(infer), total: tenths(total) },
    model: modelSha256 === undefined ? { id: modelId } : { id: modelId, sha256: modelSha256 },
    engine: `${engine}-${target}`,
  }
}

function rounded(top: readonly ScoredLabel[]): { label: string; score: number }[] {
  return top.map(({ label, score }) => ({ label, score: round(score) }))
}

/** Four places: a percentage with two; more is noise and bytes. */
function round(score: number): number {
  return Math.round(score * 1e4) / 1e4
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString()
}

/**
 * The installed model for an update entity. Home Assistant drops the message for a null or an empty text, and shows any
 * difference of the two versions as an update: there is none until models can be installed from afar.
 */
export function modelPayload({ id, version }: { readonly id: string; readonly version: string }): string {
  return JSON.stringify({ installed_version: version, latest_version: version, title: id })
}

/** A whole JPEG, or a throw: Home Assistant serves whatever it is given, and answers an empty picture with an error. */
export function imagePayload(jpeg: Buffer): Buffer {
  const isWhole = jpeg.length > 4 && jpeg.readUInt16BE(0) === 0xffd8 && jpeg.readUInt16BE(jpeg.length - 2) === 0xffd9
  if (!isWhole) throw new GapcamError('PICTURE_INVALID', `a picture of ${jpeg.length} bytes is not a whole JPEG`)
  return jpeg
}
