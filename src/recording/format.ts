/**
 * The file format: one record about what computed, then one for each frame with its pixels and what was made of them.
 * Each record has a checksum, so a recording that was cut or damaged can be read up to that point.
 *
 *   file    "GCREC" 0x01 CR LF · record · record · …
 *   record  kind u32 (1 about, 2 frame) · JSON bytes u32 · data bytes u32 · checksum u32 · JSON · data
 *   data    of a frame: its pixels as the camera delivered them, zeros up to a multiple of 4, logits float32
 */
import { z } from 'zod'
import { noveltyCauses } from '../decision/novelty.js'
import { GapcamError } from '../errors.js'
import { frameBytes, rowBytes } from '../frame.js'
import { checksumOf } from './digest.js'

const magic = Buffer.from('GCREC\u0001\r\n', 'latin1')
const headBytes = 16
const kinds = { about: 1, frame: 2 } as const
/** Limits of a reader: JSON of a megabyte; pixels and logits of 256 MB, enough for 8192 by 8192 RGB. */
const [mostJson, mostData] = [2 ** 20, 2 ** 28]

const triple = z.tuple([z.number(), z.number(), z.number()])
const share = z.number().min(0).max(1)
const size = z.int().min(1).max(8192)
const text = z.string().max(4096)

const specSchema = z.strictObject({
  width: size,
  height: size,
  layout: z.enum(['nchw', 'nhwc']),
  type: z.enum(['float32', 'uint8']),
  order: z.enum(['rgb', 'bgr']),
  mean: triple,
  std: triple.refine((std) => std.every((v) => v !== 0)),
  resize: z.enum(['cover', 'stretch', 'contain']),
  roi: z.strictObject({ x: share, y: share, width: share, height: share }).optional(),
  rotate: z.union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)]).optional(),
  flipX: z.boolean().optional(),
  flipY: z.boolean().optional(),
  fill: triple.optional(),
  mask: z
    .strictObject({
      polygon: z
        .array(z.tuple([z.number(), z.number()]))
        .min(3)
        .max(256),
      fill: triple,
    })
    .optional(),
})

/** What computed the frames. */
export const aboutSchema = z.strictObject({
  version: text,
  node: text,
  platform: text,
  camera: text,
  startedMs: z.number(),
  model: z.strictObject({
    id: text,
    sha256: text,
    file: text,
    classes: z
      .int()
      .min(1)
      .max(2 ** 24),
  }),
  engine: text,
  target: text,
  threads: z.int(),
  pixelPath: text,
  /** Digest of the model's tuning file; null without one. */
  tuning: text.nullable(),
  spec: specSchema,
  topK: z
    .int()
    .min(1)
    .max(2 ** 16),
  /** Why it was written. */
  reason: text,
})
export type About = z.infer<typeof aboutSchema>

const index = z
  .int()
  .min(0)
  .max(2 ** 24)
const scored = z.strictObject({ index, label: text, score: z.number() })
const decisionSchema = z.strictObject({
  label: text,
  index: index.nullable(),
  score: z.number(),
  prev: text,
  sinceMs: z.number(),
  reason: text.optional(),
  top: z.array(scored).max(2 ** 10),
})
const policySchema = z.strictObject({
  smoothingMs: z.number().min(0),
  threshold: share,
  hysteresis: share,
  consecutive: z.int().min(1),
  margin: share,
  staleAfterMs: z.number(),
})
/** The policy's state; the smoothed scores in base64. */
const stateSchema = z.strictObject({
  decision: decisionSchema,
  modelId: text.nullable(),
  smoothed: z.string().nullable(),
  lastFrameMs: z.number().nullable(),
  candidate: index.nullable(),
  run: z.int().min(0),
})

export const frameSchema = z.strictObject({
  seq: z.int().min(0),
  wallTime: z.number(),
  nowMs: z.number(),
  width: z.int().min(1).max(32768),
  height: z.int().min(1).max(32768),
  format: z.enum(['yuyv', 'uyvy', 'nv12', 'i420', 'rgb24', 'bgr24', 'grey']),
  stride: z
    .int()
    .min(1)
    .max(2 ** 20),
  file: text.optional(),
  pixelBytes: z.int().min(1).max(mostData),
  /** Of the pixels, of the network's input and of its outputs; the last is null where the outputs could not be used. */
  digests: z.strictObject({ pixels: text, input: text, logits: text.nullable() }),
  /** Some values of the network's input at equal distances, to measure how far another machine's input differs. */
  samples: z.array(z.number()).max(256),
  top: z.array(scored).max(2 ** 16),
  /** Of taught models: how far the frame was from what was taught. */
  novelty: z
    .strictObject({ distance: z.number(), limit: z.number(), cause: z.enum(noveltyCauses).nullable() })
    .optional(),
  decision: decisionSchema,
  policy: policySchema,
  /** The policy's state before this frame, where it is not the state after the frame before. */
  before: stateSchema.optional(),
})
export type FrameFacts = z.infer<typeof frameSchema>

/** A frame as it was read. */
export interface RecordedFrame extends FrameFacts {
  readonly pixels: Uint8Array
  /** Empty where the outputs could not be used. */
  readonly logits: Float32Array
}

/** The beginning of a file: the magic and the record about what computed. */
export function encodeStart(about: About): Buffer[] {
  return [magic, ...encodeRecord('about', about, Buffer.alloc(0))]
}

/** The record of one frame. */
export function encodeFrame(facts: FrameFacts, pixels: Uint8Array, logits: Float32Array): Buffer[] {
  const padding = Buffer.alloc(paddingOf(pixels.length))
  return encodeRecord('frame', facts, Buffer.concat([bytesOf(pixels), padding, bytesOf(logits)]))
}

const paddingOf = (bytes: number): number => (4 - (bytes % 4)) % 4

function encodeRecord(kind: keyof typeof kinds, facts: unknown, data: Buffer): Buffer[] {
  const json = Buffer.from(JSON.stringify(facts))
  const head = Buffer.alloc(headBytes)
  head.writeUInt32LE(kinds[kind], 0)
  head.writeUInt32LE(json.length, 4)
  head.writeUInt32LE(data.length, 8)
  head.writeUInt32LE(checksumOfAll([head.subarray(0, 12), json, data]), 12)
  return [head, json, data]
}

const checksumOfAll = (parts: readonly Buffer[]): number => checksumOf(Uint32Array.from(parts, checksumOf))

const bytesOf = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength)

/** A recording as it was read. */
export interface Recording {
  readonly about: About
  readonly frames: readonly RecordedFrame[]
  /** Where and why reading ended before the end of the file; null where all of it was read. */
  readonly cut: string | null
}

/** Whether bytes begin like a recording. */
export function isRecording(bytes: Uint8Array): boolean {
  return magic.equals(bytes.subarray(0, magic.length))
}

/**
 * Reads a recording, up to the first damaged record. Throws RECORDING_INVALID where its beginning cannot be read.
 *
 *     const { about, frames, cut } = readRecording(await readFile('door.gcrec'))
 */
export function readRecording(bytes: Buffer): Recording {
  if (!isRecording(bytes)) throw invalid('it does not begin like a recording')
  const first = readRecord(bytes, magic.length)
  if ('why' in first) throw invalid(first.why)
  const about = aboutSchema.safeParse(first.json)
  if (first.kind !== kinds.about || !about.success)
    throw invalid('its first record does not say what computed the frames')
  const frames: RecordedFrame[] = []
  let at = first.end
  while (at < bytes.length) {
    const record = readRecord(bytes, at)
    const frame = 'why' in record ? record : frameOf(record, about.data)
    if ('why' in frame) return { about: about.data, frames, cut: `byte ${at} of ${bytes.length}: ${frame.why}` }
    frames.push(frame)
    at = (record as Read).end
  }
  return { about: about.data, frames, cut: null }
}

interface Read {
  readonly kind: number
  readonly json: unknown
  readonly data: Buffer
  readonly end: number
}

interface Unreadable {
  readonly why: string
}

function readRecord(bytes: Buffer, at: number): Read | Unreadable {
  if (bytes.length - at < headBytes) return { why: 'the recording ends within a record' }
  const [kind, jsonBytes, dataBytes, checksum] = [0, 4, 8, 12].map((offset) => bytes.readUInt32LE(at + offset)) as [
    number,
    number,
    number,
    number,
  ]
  if (jsonBytes > mostJson || dataBytes > mostData) return { why: 'a record claims to be larger than the limit' }
  const [jsonAt, dataAt] = [at + headBytes, at + headBytes + jsonBytes]
  const end = dataAt + dataBytes
  if (end > bytes.length) return { why: 'the recording ends within a record' }
  const [json, data] = [bytes.subarray(jsonAt, dataAt), bytes.subarray(dataAt, end)]
  if (checksumOfAll([bytes.subarray(at, at + 12), json, data]) !== checksum)
    return { why: 'a record is damaged: its checksum does not fit' }
  try {
    return { kind, json: JSON.parse(json.toString('utf8')), data, end }
  } catch {
    return { why: 'a record holds no JSON' }
  }
}

/** A frame with as many pixels and logits as it claims. The pixels are a view of the file's bytes, the logits a copy. */
function frameOf({ kind, json, data }: Read, about: About): RecordedFrame | Unreadable {
  const parsed = frameSchema.safeParse(json)
  if (kind !== kinds.frame || !parsed.success) return { why: 'a record is not a frame' }
  const facts = parsed.data
  const { format, width, height, stride, pixelBytes } = facts
  if (stride < rowBytes(format, width) || pixelBytes < frameBytes(format, stride, height))
    return { why: 'a frame has fewer pixels than its size needs' }
  const logitsAt = pixelBytes + paddingOf(pixelBytes)
  const classes = facts.digests.logits === null ? 0 : about.model.classes
  if (data.length !== logitsAt + 4 * classes) return { why: 'a frame has not as many pixels and logits as it claims' }
  const logits = new Float32Array(new Uint8Array(data.subarray(logitsAt)).buffer)
  return { ...facts, pixels: data.subarray(0, pixelBytes), logits }
}

function invalid(why: string): GapcamError {
  return new GapcamError('RECORDING_INVALID', why)
}
