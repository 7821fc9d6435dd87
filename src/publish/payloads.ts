/**
 * The payload of each message: one function for each, from plain values to text. Times become wall time only here. A
 * field that a consumer's template reads is always present and never null.
 */
import type { Decision, PolicyEvent, StateTimes } from '../decision/decision.js'
import type { Novelty } from '../decision/novelty.js'
import { GapcamError } from '../errors.js'
import { halvesOf } from '../half.js'
import type { Found, PublishedVisit, ScoredLabel } from '../decision/task.js'
import type { Prediction } from '../decision/prediction.js'

export type NodeStatus = 'online' | 'offline'
export type CameraStatus = 'online' | 'offline' | 'disabled'

/** The fields that every message carries. */
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
  /** Wall time when the next state is expected, milliseconds; absent while gapcam goes on. */
  readonly nextWallMs?: number | undefined
}

/** Limit of the label on its own topic: Home Assistant accepts no longer text as a state. */
const maxLabelLength = 255

const maxDetailLength = 500

/** Plain text, for Node-RED and PLCs. */
export function labelPayload(label: string): string {
  return label.length > maxLabelLength ? label.slice(0, maxLabelLength) : label
}

/** `C/state`: the decision with its scores, the prediction behind it and the stage times, as JSON. */
export function statePayload(stamp: Stamp, fields: StateFields): string {
  return JSON.stringify(stateObject(stamp, fields))
}

/** An event is the state at that moment, with its type and a unique id. */
export function eventPayload(stamp: Stamp, fields: StateFields, type: PolicyEvent): string {
  return JSON.stringify({
    ...stateObject(stamp, fields),
    ...embeddingFields(fields.prediction),
    event_type: type,
    id: `${stamp.boot}-${stamp.seq}`,
  })
}

/** Replaces `missing` events (numbers `from` to `to`) that the outbox could not keep. */
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

/** A result has a number only when results are kept like events. */
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
    ...embeddingFields(prediction),
    clockSynced: isClockSynced,
  })
}

/** What the node is: versions, cameras, model, engine and why that one. The stamp is added here. */
export type InfoFields = Readonly<Record<string, unknown>>

/** `R/info`: what the node is, as JSON. */
export function infoPayload(stamp: Omit<Stamp, 'seq'>, fields: InfoFields): string {
  return JSON.stringify({ v: 1, ts: iso(stamp.wallMs), boot: stamp.boot, ...fields, clockSynced: stamp.isClockSynced })
}

/** How the node is; run/guard/health.ts measures, the publisher adds `mqtt`. */
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
  /** `ok`, `degraded` with a reason, or `memory` when no disk is used. */
  readonly outbox: string
  readonly outbox_reason?: string
  /** The broker's certificate is not checked. */
  readonly insecure?: boolean
  /** With application acknowledgements: every event with a lower number is done. */
  readonly waits_from?: number
  /** With application acknowledgements: the starts of the program that gave the numbers since then, with their first. */
  readonly boots?: readonly (readonly [boot: string, from: number])[]
}

/** `R/health`: how the node is, as JSON, with the publisher's own figures. */
export function healthPayload(stamp: Omit<Stamp, 'seq'>, fields: HealthFields, mqtt: MqttHealth): string {
  return JSON.stringify({ ts: iso(stamp.wallMs), boot: stamp.boot, ...fields, mqtt, clockSynced: stamp.isClockSynced })
}

function stateObject(
  stamp: Stamp,
  { decision, sinceWallMs, prediction, nextWallMs }: StateFields,
): Record<string, unknown> {
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
    ...(nextWallMs === undefined ? {} : { next: iso(nextWallMs) }),
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    ...timeFields(decision),
    ...(decision.detail === undefined ? {} : { detail: decision.detail.slice(0, maxDetailLength) }),
    top: rounded(decision.top),
    ...(prediction ? predictionFields(prediction) : {}),
    ...viewFields(prediction),
    clockSynced: stamp.isClockSynced,
  }
}

function timeFields({ times }: Decision): Record<string, unknown> {
  if (!times) return {}
  const tallies = (states: StateTimes['hour']): unknown =>
    Object.fromEntries(
      Object.entries(states).map(([label, { ms, entries }]) => [label, { s: seconds(ms), n: entries }]),
    )
  return { in_state_s: seconds(times.inStateMs), hour: tallies(times.hour), day: tallies(times.day) }
}

const seconds = (ms: number): number => Math.round(ms / 1000)

/**
 * Where the evidence for the label lies, and what is wrong with the view. `problem` is always present, since a template
 * reads it.
 */
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

/** A template reads `cause`, so it is never null. */
function noveltyFields({ distance, limit, cause }: Novelty): Record<string, unknown> {
  return { distance: round(distance), limit: round(limit), cause: cause ?? 'none' }
}

function predictionFields({
  timings,
  modelId,
  modelSha256,
  engine,
  target,
  trigger,
  novelty,
  found,
}: Prediction): Record<string, unknown> {
  const { capture, preprocess, infer, total } = timings
  return {
    ms: { capture: tenths(capture), preprocess: tenths(preprocess), infer: tenths(infer), total: tenths(total) },
    model: modelSha256 === undefined ? { id: modelId } : { id: modelId, sha256: modelSha256 },
    engine: `${engine}-${target}`,
    ...(trigger === undefined ? {} : { trigger }),
    ...(novelty ? { novelty: noveltyFields(novelty) } : {}),
    ...(found ? foundFields(found) : {}),
  }
}

/** The embedding as MQTT and JSON have it: base64 of 16-bit floats, the low byte first. Nothing where there is none. */
export function embeddingFields(prediction: Pick<Prediction, 'embedding'> | null): Record<string, unknown> {
  const { embedding } = prediction ?? {}
  if (!embedding) return {}
  const halves = Buffer.from(halvesOf(embedding).buffer)
  return { embedding: { length: embedding.length, float16: halves.toString('base64') } }
}

function visitFields({ track, label, score, beginWallMs, endWallMs, looks }: PublishedVisit): Record<string, unknown> {
  return { track, label, score: round(score), begin: iso(beginWallMs), end: iso(endWallMs), looks }
}

/** What a task finds, as `gapcam classify --json` prints it and MQTT has it: rectangles in shares of the frame, or shares by label. */
export function foundFields(found: Found): Record<string, unknown> {
  if (found.task === 'segment')
    return {
      task: found.task,
      shares: Object.fromEntries(found.shares.map(({ label, share }) => [label, round(share)])),
    }
  if (found.task === 'video')
    return { task: found.task, clip: { frames: found.frames, s: tenths(found.spanMs / 1000) } }
  const { task, boxes, visit } = found
  return {
    task,
    count: boxes.length,
    boxes: boxes.map(({ label, score, x, y, width, height, track, which }) => ({
      label,
      score: round(score),
      box: { x: round(x), y: round(y), w: round(width), h: round(height) },
      ...(track === undefined ? {} : { track }),
      ...(which === undefined ? {} : { which: { label: which.label, score: round(which.score) } }),
    })),
    ...(visit ? { visit: visitFields(visit) } : {}),
  }
}

function rounded(top: readonly ScoredLabel[]): { label: string; score: number }[] {
  return top.map(({ label, score }) => ({ label, score: round(score) }))
}

/** Four decimal places: a percentage with two. More are noise. */
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
 * The installed model for an update entity, and the version that a source offers. Home Assistant drops the message for a null
 * or an empty text, and shows any difference between the two versions as an update; without an offer they are equal.
 */
export function modelPayload(
  { id, version }: { readonly id: string; readonly version: string },
  offered: string | null = null,
): string {
  return JSON.stringify({ installed_version: version, latest_version: offered ?? version, title: id })
}

/** What is installed, and how a candidate compares; `run/bundles/service.ts` makes the fields. */
export function bundlePayload(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ v: 1, ...fields })
}

/**
 * Returns a whole JPEG or PNG; throws PICTURE_INVALID for anything else, because Home Assistant passes on what it is given.
 */
export function imagePayload(picture: Buffer): Buffer {
  const hex = picture.toString('hex', 0, 8)
  const end = picture.subarray(-8).toString('hex')
  const isWhole = hex.startsWith('ffd8') ? end.endsWith('ffd9') : hex === pngSignature && end === pngEnd
  if (!isWhole || picture.length <= 8)
    throw new GapcamError('PICTURE_INVALID', `a picture of ${picture.length} bytes is not a whole JPEG or PNG`)
  return picture
}

const pngSignature = '89504e470d0a1a0a'
/** The name and the check sum of the last chunk, IEND. */
const pngEnd = '49454e44ae426082'
