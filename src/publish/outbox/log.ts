/**
 * The events on disk: segments in a folder, each a file that only grows and is removed as a whole. An append is
 * confirmed when the device has it. After a write or a sync that failed a file is never written again (what the kernel
 * says about its pages afterwards cannot be believed): the next append begins a new one.
 */
import { join } from 'node:path'
import type { OutboxFile, OutboxFiles } from './files.js'
import type { Ledger, OutboxGap, WriteTime } from './ledger.js'
import { encodeHead, encodeRecord, headBytes, type EventRecord } from './record.js'
import { eventsIn, nameOf, scan, type Segment } from './scan.js'

export interface LogOptions {
  readonly folder: string
  readonly files: OutboxFiles
  /** Of all segments; the oldest are dropped beyond it. */
  readonly maxBytes: number
  /** Segments older than this are dropped. */
  readonly maxAgeMs: number
  readonly stamp: () => WriteTime
  /** Whether a gap may still grow. */
  readonly isOpen?: (gap: OutboxGap) => boolean
  /** When a segment is full; default a sixteenth of the whole, between 16 KiB and 1 MiB. */
  readonly segmentBytes?: number
}

/** Up to where the newest segment was read: it grows, and only what is new is read again. */
interface Place {
  readonly index: number
  readonly offset: number
  readonly seq: number
}

export interface Log {
  readonly ledger: Ledger
  /** The last number on disk; 0 before the first. */
  readonly lastSeq: number
  readonly bytes: number
  readonly segments: number
  /**
   * Resolves when the device has these events, in this order; their numbers ascend. Rejects when it may not have them
   * all. With `through` the state is written too: all numbers up to it have been given. `isSynced` false does not wait
   * for the device: for a state alone, which costs repetitions only when it is lost with the power.
   */
  append(events: readonly EventRecord[], through: number | null, isSynced?: boolean): Promise<void>
  /** The events from this number to the end of its segment, some kilobytes to a megabyte; what is damaged becomes a gap. */
  read(seq: number): Promise<EventRecord[]>
  /** Drops what is done, and what is beyond the bounds. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/** Opens, or begins. Rejects with OUTBOX_NEWER for a later version's files, or with the file system's fault. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { folder, files, maxBytes, maxAgeMs, stamp, isOpen = () => true } = options
  const segmentBytes = options.segmentBytes ?? Math.max(16 << 10, Math.min(1 << 20, Math.floor(maxBytes / 16)))
  const startedMs = stamp().monoMs
  await files.makeFolder(folder)
  const found = await scan(folder, files)
  const { segments, ledger } = found
  let { lastSeq, lastIndex } = found
  let active: { readonly file: OutboxFile; readonly segment: Segment } | null = null
  let place: Place | null = null
  if (found.canResume) await resume()
  loseWhatIsMissing()

  /** What was written but never synced must not be believed before it is: its numbers would be given twice. */
  async function resume(): Promise<void> {
    const segment = segments.at(-1)!
    const file = await files.resume(pathOf(segment))
    await file.sync()
    await files.syncFolder(folder)
    active = { file, segment }
  }

  /** Segments that are not there any more, though nobody had their events. */
  function loseWhatIsMissing(): void {
    const first = segments[0]?.firstSeq ?? lastSeq + 1
    for (let seq = ledger.done.nextMissing(1); seq < first; seq = ledger.done.nextMissing(seq))
      ledger.lose('', seq, isOpen)
  }

  function pathOf({ index }: { readonly index: number }): string {
    return join(folder, nameOf(index))
  }

  const encode = (events: readonly EventRecord[], index: number, state: number | null): Buffer =>
    Buffer.concat([
      ...events.map((event) => encodeRecord(event, index)),
      ...(state === null ? [] : [encodeRecord({ kind: 'state', seq: state, payload: ledger.toJson(stamp()) }, index)]),
    ])

  async function append(events: readonly EventRecord[], through: number | null, isSynced = true): Promise<void> {
    const last = Math.max(lastSeq, events.at(-1)?.seq ?? 0, through ?? 0)
    if (!active || active.segment.bytes >= segmentBytes || isDue(active.segment))
      await begin(events, through === null ? null : last)
    else await write(active, encode(events, active.segment.index, through === null ? null : last), isSynced)
    segments.at(-1)!.lastSeq = lastSeq = last
  }

  /** A segment that is open for long is closed by time, so that it can grow old as a whole. */
  function isDue({ stamp: begun, bytes }: Segment): boolean {
    return bytes > 4096 && begun !== null && ageOf(begun) > maxAgeMs / 8
  }

  async function begin(events: readonly EventRecord[], state: number | null): Promise<void> {
    await abandon()
    const segment: Segment = { index: ++lastIndex, firstSeq: lastSeq + 1, lastSeq, bytes: 0, stamp: stamp() }
    const file = await files.create(pathOf(segment))
    try {
      // The state comes first: it says where the numbers stand when all older segments are gone.
      await write(
        { file, segment },
        Buffer.concat([encodeHead(), encode([], segment.index, lastSeq), encode(events, segment.index, state)]),
        true,
      )
      await files.syncFolder(folder)
    } catch (error) {
      await file.close().catch(() => undefined)
      await files.remove(pathOf(segment)).catch(() => undefined)
      throw error
    }
    segments.push(segment)
    active = { file, segment }
  }

  async function write(
    { file, segment }: { readonly file: OutboxFile; readonly segment: Segment },
    data: Buffer,
    isSynced: boolean,
  ): Promise<void> {
    try {
      await file.write(data, segment.bytes)
      if (isSynced) await file.sync()
    } catch (error) {
      await abandon()
      throw error
    }
    segment.bytes += data.length
  }

  async function abandon(): Promise<void> {
    const file = active?.file
    active = null
    await file?.close().catch(() => undefined)
  }

  /** At least so old: running time where no clock can be believed. */
  function ageOf(begun: WriteTime): number {
    const now = stamp()
    const running = now.monoMs - (begun.boot === now.boot ? begun.monoMs : startedMs)
    return begun.isClockSynced && now.isClockSynced ? Math.max(running, now.wallMs - begun.wallMs) : running
  }

  async function tidy(): Promise<void> {
    let total = bytes()
    while (segments.length > 1) {
      const [oldest, next] = segments as [Segment, Segment]
      const isDone = ledger.done.nextMissing(oldest.firstSeq) > oldest.lastSeq
      const isBeyond = total > maxBytes || (next.stamp !== null && ageOf(next.stamp) > maxAgeMs)
      if (!isDone && !isBeyond) return
      if (!isDone) {
        await loseEventsOf(oldest)
        await append([], lastSeq)
      }
      await files.remove(pathOf(oldest)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
      segments.shift()
      total -= oldest.bytes
    }
  }

  async function loseEventsOf(segment: Segment): Promise<void> {
    const data = await files.read(pathOf(segment), 0, segment.bytes).catch(() => Buffer.alloc(0))
    for (const { seq, camera } of eventsIn(data, headBytes, segment))
      if (!ledger.done.has(seq)) ledger.lose(camera, seq, isOpen)
    loseDamaged([], segment.firstSeq, segment.lastSeq)
  }

  /** Numbers follow each other: what is neither here nor done was damaged. Nobody knows its camera. */
  function loseDamaged(events: readonly EventRecord[], from: number, through: number): void {
    const here = new Set(events.map(({ seq }) => seq))
    for (let seq = ledger.done.nextMissing(from); seq <= through; seq = ledger.done.nextMissing(seq + 1))
      if (!here.has(seq)) ledger.lose('', seq, isOpen)
  }

  const bytes = (): number => segments.reduce((sum, segment) => sum + segment.bytes, 0)

  return {
    ledger,
    get lastSeq() {
      return lastSeq
    },
    get bytes() {
      return bytes()
    },
    get segments() {
      return segments.length
    },
    append,

    async read(seq) {
      const segment = segments.findLast(({ firstSeq }) => firstSeq <= seq)
      if (!segment || seq > segment.lastSeq) return []
      const { index, bytes: end, firstSeq, lastSeq: through } = segment
      const goesOn = place?.index === index && place.seq < seq
      const start = goesOn ? place!.offset : headBytes
      const data = await files.read(pathOf(segment), start, end)
      const events = eventsIn(data, 0, { index, firstSeq: goesOn ? place!.seq + 1 : firstSeq, lastSeq: through })
      loseDamaged(events, seq, through)
      place = { index, offset: end, seq: through }
      return events.filter((event) => event.seq >= seq)
    },

    tidy,

    async close() {
      await abandon()
    },
  }
}
