/**
 * Reads an outbox's folder, also one that a power cut left damaged: every valid record counts, at any position in its
 * file. It changes nothing.
 */
import { join } from 'node:path'
import { GapcamError } from '../../errors.js'
import type { OutboxFiles } from './files.js'
import { Ledger, type WriteTime } from './ledger.js'
import { decodeHead, decodeRecord, formatVersion, headBytes, type EventRecord } from './record.js'

export interface Segment {
  readonly index: number
  /** Number of its first event. It holds no event if `lastSeq` is lower. */
  readonly firstSeq: number
  lastSeq: number
  /** Confirmed bytes. */
  bytes: number
  /** Null where that is not known. */
  readonly begun: WriteTime | null
}

export interface Found {
  readonly segments: Segment[]
  readonly ledger: Ledger
  readonly lastSeq: number
  /** The highest number of a segment, damaged ones included. */
  readonly lastIndex: number
  /** The last segment ends with a whole record, so that writing can continue there. */
  readonly canResume: boolean
}

export const nameOf = (index: number): string => `${String(index).padStart(10, '0')}.log`
const indexOf = (name: string): number | null => (/^\d{10}\.log$/.test(name) ? Number.parseInt(name, 10) : null)

/** Enough for the head and the ledger that follows it. */
const beginningBytes = 64 << 10

interface Part {
  readonly index: number
  readonly bytes: number
  readonly beginning: Beginning | null
  /** Null where the segment was not read as a whole. */
  readonly contents: Contents | null
}

/** The ledger that a segment begins with. */
interface Beginning {
  /** The last number before the segment. */
  readonly seq: number
  readonly ledger: Ledger
  readonly writtenAt: WriteTime
}

/** What reading a whole segment found. */
interface Contents {
  readonly lastSeq: number
  /** The last one in it. */
  readonly ledger: Ledger | null
  /** Every byte belongs to a whole record. */
  readonly isClean: boolean
}

/** Rejects with OUTBOX_NEWER, or with the file system's error. */
export async function scan(folder: string, files: OutboxFiles): Promise<Found> {
  const indices = (await files.list(folder))
    .map(indexOf)
    .filter((index) => index !== null)
    .sort((a, b) => b - a)
  const parts: Part[] = []
  // From the newest to the oldest: the next segment's beginning tells where a segment ends; without it, the segment is
  // read.
  for (const index of indices) {
    const part = await readPart(join(folder, nameOf(index)), index, parts[0]?.beginning == null, files)
    if (part) parts.unshift(part)
  }
  const segments = segmentsOf(parts)
  const newest = parts.at(-1)
  const known = newest?.contents?.ledger ?? parts.findLast(({ beginning }) => beginning)?.beginning?.ledger
  return {
    segments,
    ledger: known ?? new Ledger(),
    lastSeq: segments.at(-1)?.lastSeq ?? 0,
    lastIndex: indices[0] ?? 0,
    canResume: newest?.beginning != null && newest.contents?.isClean === true && newest.index === indices[0],
  }
}

function segmentsOf(parts: readonly Part[]): Segment[] {
  let lastSeq = 0
  return parts.map(({ index, bytes, beginning, contents }, i) => {
    const firstSeq = (beginning?.seq ?? lastSeq) + 1
    lastSeq = Math.max(firstSeq - 1, parts[i + 1]?.beginning?.seq ?? contents?.lastSeq ?? 0)
    return { index, firstSeq, lastSeq, bytes, begun: beginning?.writtenAt ?? null }
  })
}

/** Null for a file without a whole record: it was begun and never confirmed. */
async function readPart(path: string, index: number, needsContents: boolean, files: OutboxFiles): Promise<Part | null> {
  const start = await files.read(path, 0, beginningBytes)
  const version = decodeHead(start)
  if (version !== null && version > formatVersion)
    throw new GapcamError(
      'OUTBOX_NEWER',
      `outbox ${path} has format ${version}, and this gapcam reads up to ${formatVersion}`,
    )
  const beginning = beginningOf(start, index)
  if (beginning && !needsContents) return { index, bytes: await files.size(path), beginning, contents: null }
  const data = await files.read(path)
  const contents = contentsOf(data, index)
  return beginning || contents.lastSeq > 0 || contents.ledger
    ? { index, bytes: data.length, beginning, contents }
    : null
}

function beginningOf(start: Buffer, index: number): Beginning | null {
  const decoded = decodeRecord(start, headBytes, index)
  if (decoded?.record.kind !== 'state' || decoded.isAfterDamage) return null
  const { seq, payload } = decoded.record
  return { seq, ...Ledger.fromJson(payload) }
}

function contentsOf(data: Buffer, index: number): Contents {
  let [lastSeq, at] = [0, headBytes]
  let ledger: Ledger | null = null
  let isWhole = decodeHead(data) !== null
  for (let decoded = decodeRecord(data, at, index); decoded; decoded = decodeRecord(data, at, index)) {
    const { record } = decoded
    if (record.kind === 'state') ({ ledger } = Ledger.fromJson(record.payload))
    lastSeq = Math.max(lastSeq, record.seq)
    isWhole &&= !decoded.isAfterDamage
    at = decoded.end
  }
  return { lastSeq, ledger, isClean: isWhole && at === data.length }
}

/** The events in a segment's bytes from `start` on, ascending; records with numbers of other segments are left out. */
export function eventsIn(
  data: Buffer,
  start: number,
  { index, firstSeq, lastSeq }: Pick<Segment, 'index' | 'firstSeq' | 'lastSeq'>,
): EventRecord[] {
  const events: EventRecord[] = []
  let before = firstSeq - 1
  for (let decoded = decodeRecord(data, start, index); decoded; decoded = decodeRecord(data, decoded.end, index)) {
    const { record } = decoded
    if (record.kind === 'state' || record.seq <= before || record.seq > lastSeq) continue
    before = record.seq
    events.push(record)
  }
  return events
}
