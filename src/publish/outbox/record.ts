/**
 * The outbox's file format, version 1, little-endian. A segment is a head, followed by records:
 *
 *   head    0 'GAPCAMOB'   8 u32 version   12 u32 crc of 0..12
 *   record  0 u16 0x0b5e   2 u8 kind   3 u8 bytes of the camera's name   4 u32 bytes of the payload
 *           8 u32 crc of all else, begun with the segment's number   12 f64 seq   20 name   payload
 *
 * The checksum starts with the segment's number, because a torn file may contain bytes of other files. Bytes that do
 * not form a valid record are skipped, up to the next valid record.
 */
import { crc32 } from '../../crc32.js'

export type EventTopic = 'event' | 'result'

export interface EventRecord {
  readonly kind: EventTopic
  readonly seq: number
  readonly camera: string
  readonly payload: string
}

/** The ledger at that moment, as JSON. The last valid one counts. */
export interface StateRecord {
  readonly kind: 'state'
  /** The last number that had been given. */
  readonly seq: number
  readonly payload: string
}

export type LogRecord = EventRecord | StateRecord

export const formatVersion = 1
export const headBytes = 16
/** Larger than any event: a greater length is damage. */
export const maxPayloadBytes = 1 << 20

const magic = 0x0b5e
const magicBytes = Buffer.of(0x5e, 0x0b)
const fixedBytes = 20
const signature = Buffer.from('GAPCAMOB')
const kinds = ['event', 'result', 'state'] as const

/** The 16 bytes at the start of a segment. */
export function encodeHead(version = formatVersion): Buffer {
  const head = Buffer.alloc(headBytes)
  signature.copy(head)
  head.writeUInt32LE(version, 8)
  head.writeUInt32LE(crc32(head.subarray(0, 12)), 12)
  return head
}

/** The version in a head; null if it is damaged. */
export function decodeHead(data: Buffer): number | null {
  if (
    data.length < headBytes ||
    !data.subarray(0, 8).equals(signature) ||
    data.readUInt32LE(12) !== crc32(data.subarray(0, 12))
  )
    return null
  return data.readUInt32LE(8)
}

/**
 * A record as bytes. Its checksum begins with the number of its segment, so a record of another segment does not pass.
 */
export function encodeRecord(record: LogRecord, segment: number): Buffer {
  const camera = Buffer.from(record.kind === 'state' ? '' : record.camera)
  const payload = Buffer.from(record.payload)
  if (camera.length > 255 || payload.length > maxPayloadBytes)
    throw new RangeError(`an event of ${payload.length} bytes is too large for the outbox`)
  const data = Buffer.allocUnsafe(fixedBytes + camera.length + payload.length)
  data.writeUInt16LE(magic, 0)
  data.writeUInt8(kinds.indexOf(record.kind), 2)
  data.writeUInt8(camera.length, 3)
  data.writeUInt32LE(payload.length, 4)
  data.writeDoubleLE(record.seq, 12)
  camera.copy(data, fixedBytes)
  payload.copy(data, fixedBytes + camera.length)
  data.writeUInt32LE(checksum(data, segment), 8)
  return data
}

function checksum(data: Buffer, segment: number): number {
  return crc32(data.subarray(12), crc32(data.subarray(0, 8), segment))
}

export interface Decoded {
  readonly record: LogRecord
  /** The position of the next record. */
  readonly end: number
  /** Bytes were skipped before it. */
  readonly isAfterDamage: boolean
}

/** The first valid record at `start` or later; null when there is none. */
export function decodeRecord(data: Buffer, start: number, segment: number): Decoded | null {
  for (let at = start; at >= 0 && at + fixedBytes <= data.length; at = data.indexOf(magicBytes, at + 1)) {
    const found = decodeAt(data, at, segment)
    if (found) return { ...found, isAfterDamage: at !== start }
  }
  return null
}

function decodeAt(data: Buffer, at: number, segment: number): Omit<Decoded, 'isAfterDamage'> | null {
  if (data.readUInt16LE(at) !== magic) return null
  const kind = kinds[data.readUInt8(at + 2)]
  const cameraEnd = at + fixedBytes + data.readUInt8(at + 3)
  const length = data.readUInt32LE(at + 4)
  const end = cameraEnd + length
  const seq = data.readDoubleLE(at + 12)
  if (!kind || length > maxPayloadBytes || end > data.length || !Number.isSafeInteger(seq)) return null
  if (data.readUInt32LE(at + 8) !== checksum(data.subarray(at, end), segment)) return null
  const payload = data.toString('utf8', cameraEnd, end)
  return {
    record:
      kind === 'state'
        ? { kind, seq, payload }
        : { kind, seq, payload, camera: data.toString('utf8', at + fixedBytes, cameraEnd) },
    end,
  }
}
