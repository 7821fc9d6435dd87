/** Reads an outbox's folder as a power cut may have left it: what is whole counts, wherever it lies. */
import { join } from 'node:path'
import { GapcamError } from '../../errors.js'
import type { OutboxFiles } from './files.js'
import { Ledger, type WriteTime } from './ledger.js'
import { decodeHead, decodeRecord, formatVersion, headBytes, type EventRecord } from './record.js'

export interface Segment {
  readonly index: number
  /** Number of its first event; it has one if `lastSeq` is not below. */
  readonly firstSeq: number
  lastSeq: number
  /** Bytes that are confirmed. */
  bytes: number
  /** When it was begun. */
  readonly stamp: WriteTime | null
}

export interface Found {
  readonly segments: Segment[]
  readonly ledger: Ledger
  readonly lastSeq: number
  /** The highest number of a segment, of damaged ones too. */
  readonly lastIndex: number
  /** Whether the last segment ends with a whole record, so that it can be gone on with. */
  readonly canResume: boolean
}

export const nameOf = (index: number): string => `${String(index).padStart(10, '0')}.log`
const indexOf = (name: string): number | null => (/^\d{10}\.log$/.test(name) ? Number.parseInt(name, 10) : null)

/** Enough for a head and the state behind it. */
const beginningBytes = 64 << 10

/** The state that a segment begins with, and what a walk through all of it finds where that was needed. */
interface Part {
  readonly index: number
  readonly bytes: number
  readonly state: State | null
  readonly contents: Contents | null
}

interface State {
  /** The last number before the segment. */
  readonly seq: number
  readonly ledger: Ledger
  readonly stamp: WriteTime
}

/** What reading a whole segment found. */
interface Contents {
  readonly lastSeq: number
  /** Of the last state in it. */
  readonly ledger: Ledger | null
  readonly isClean: boolean
}

/** Rejects with OUTBOX_NEWER, or with a fault of the file system. */
export async function scan(folder: string, files: OutboxFiles): Promise<Found> {
  const indices = (await files.list(folder))
    .map(indexOf)
    .filter((index) => index !== null)
    .sort((a, b) => b - a)
  const parts: Part[] = []
  // From the newest back: where a segment ends is said by the state of the next one, or by a walk through it.
  for (const index of indices) {
    const part = await readPart(join(folder, nameOf(index)), index, parts[0]?.state == null, files)
    if (part) parts.unshift(part)
  }
  let lastSeq = 0
  const segments = parts.map(({ index, bytes, state, contents }, i): Segment => {
    const firstSeq = (state?.seq ?? lastSeq) + 1
    lastSeq = Math.max(firstSeq - 1, parts[i + 1]?.state?.seq ?? contents?.lastSeq ?? 0)
    return { index, firstSeq, lastSeq, bytes, stamp: state?.stamp ?? null }
  })
  const newest = parts.at(-1)
  const ledger = newest?.contents?.ledger ?? parts.findLast(({ state }) => state)?.state?.ledger ?? new Ledger()
  return {
    segments,
    ledger,
    lastSeq,
    lastIndex: indices[0] ?? 0,
    canResume: newest?.state != null && newest.contents?.isClean === true && newest.index === indices[0],
  }
}

/** Null for a file in which nothing is whole: it was begun and never confirmed. */
async function readPart(path: string, index: number, needsContents: boolean, files: OutboxFiles): Promise<Part | null> {
  const beginning = await files.read(path, 0, beginningBytes)
  const version = decodeHead(beginning)
  if (version !== null && version > formatVersion)
    throw new GapcamError('OUTBOX_NEWER', `outbox ${path} is of format ${version}; this gapcam knows ${formatVersion}`)
  const state = stateIn(beginning, index)
  if (state && !needsContents) return { index, bytes: await files.size(path), state, contents: null }
  const data = await files.read(path)
  const contents = contentsOf(data, index)
  return state || contents.lastSeq > 0 || contents.ledger ? { index, bytes: data.length, state, contents } : null
}

function stateIn(beginning: Buffer, index: number): State | null {
  const decoded = decodeRecord(beginning, headBytes, index)
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

/** The events of a segment's bytes whose numbers are the segment's, ascending. */
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
