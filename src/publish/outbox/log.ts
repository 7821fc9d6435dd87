/**
 * The events on disk: a folder of segments. A segment is a file that only grows and is removed as a whole. An append is
 * confirmed when the device has it. After a failed write or sync the file is never written again (the kernel may report
 * its lost pages as clean): the next append begins a new segment.
 */
import { join } from 'node:path'
import type { OutboxFile, OutboxFiles } from './files.js'
import type { Ledger, WriteTime } from './ledger.js'
import { encodeHead, encodeRecord, headBytes, type EventRecord } from './record.js'
import { eventsIn, nameOf, scan, type Found, type Segment } from './scan.js'

export interface LogOptions {
  readonly folder: string
  readonly files: OutboxFiles
  /** Limit of all segments together; beyond it the oldest are dropped. */
  readonly maxBytes: number
  /** Segments older than this are dropped. */
  readonly maxAgeMs: number
  readonly writeTime: () => WriteTime
  /** Size at which a segment is full; default a sixteenth of `maxBytes`, between 16 KiB and 1 MiB. */
  readonly segmentBytes?: number | undefined
}

export interface Log {
  readonly ledger: Ledger
  /** The last number on disk; 0 before the first. */
  readonly lastSeq: number
  readonly bytes: number
  readonly segments: number
  /**
   * Writes events, whose numbers ascend. Resolves when the device has all of them; rejects when it may not. With
   * `through` the ledger is written too: every number up to it has been given. With `isSynced` false it does not wait
   * for the device: right for the ledger alone, since losing that costs only repetitions.
   */
  append(events: readonly EventRecord[], through: number | null, isSynced?: boolean): Promise<void>
  /** The events from this number to the end of its segment (kilobytes to a megabyte). Damaged ones become a gap. */
  read(seq: number): Promise<EventRecord[]>
  /** Removes segments that are done or beyond the bounds. */
  tidy(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the log, or begins one. Rejects with OUTBOX_NEWER for files of a later version, or with the file system's
 * error.
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const { folder, files } = options
  await files.makeFolder(folder)
  const found = await scan(folder, files)
  const log = new SegmentLog(options, found)
  if (found.canResume) await log.resume()
  return log
}

/** The segment that is written to. */
interface Active {
  readonly file: OutboxFile
  readonly segment: Segment
}

/** How far the newest segment has been read: it grows, and only its new part is read again. */
interface ReadPosition {
  readonly index: number
  readonly offset: number
  readonly seq: number
}

class SegmentLog implements Log {
  readonly ledger: Ledger
  readonly #options: LogOptions
  readonly #segmentBytes: number
  readonly #segments: Segment[]
  readonly #startedMs: number
  #lastSeq: number
  #lastIndex: number
  #active: Active | null = null
  #readTo: ReadPosition | null = null

  constructor(options: LogOptions, { segments, ledger, lastSeq, lastIndex }: Found) {
    const { maxBytes, segmentBytes, writeTime } = options
    this.#options = options
    this.#segmentBytes = segmentBytes ?? Math.max(16 << 10, Math.min(1 << 20, Math.floor(maxBytes / 16)))
    this.#startedMs = writeTime().monoMs
    this.#segments = segments
    this.ledger = ledger
    this.#lastSeq = lastSeq
    this.#lastIndex = lastIndex
    this.#loseMissingSegments()
  }

  get lastSeq(): number {
    return this.#lastSeq
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get segments(): number {
    return this.#segments.length
  }

  /**
   * Continues the newest segment. It is synced first: what was written but never synced could vanish, and its numbers
   * would be given twice.
   */
  async resume(): Promise<void> {
    const { files, folder } = this.#options
    const segment = this.#segments.at(-1)!
    const file = await files.resume(this.#pathOf(segment))
    await file.sync()
    await files.syncFolder(folder)
    this.#active = { file, segment }
  }

  async append(events: readonly EventRecord[], through: number | null, isSynced = true): Promise<void> {
    const last = Math.max(this.#lastSeq, events.at(-1)?.seq ?? 0, through ?? 0)
    const ledgerSeq = through === null ? null : last
    const active = this.#active
    if (!active || active.segment.bytes >= this.#segmentBytes || this.#isDue(active.segment))
      await this.#begin(events, ledgerSeq)
    else await this.#write(active, this.#encode(events, active.segment.index, ledgerSeq), isSynced)
    this.#segments.at(-1)!.lastSeq = this.#lastSeq = last
  }

  async read(seq: number): Promise<EventRecord[]> {
    const segment = this.#segments.findLast(({ firstSeq }) => firstSeq <= seq)
    if (!segment || seq > segment.lastSeq) return []
    const { index, bytes: end, firstSeq, lastSeq } = segment
    const before = this.#readTo?.index === index && this.#readTo.seq < seq ? this.#readTo : null
    const data = await this.#options.files.read(this.#pathOf(segment), before?.offset ?? headBytes, end)
    const events = eventsIn(data, 0, { index, firstSeq: before ? before.seq + 1 : firstSeq, lastSeq })
    this.#loseDamaged(events, seq, lastSeq)
    this.#readTo = { index, offset: end, seq: lastSeq }
    return events.filter((event) => event.seq >= seq)
  }

  async tidy(): Promise<void> {
    const { files, maxBytes, maxAgeMs } = this.#options
    let total = this.bytes
    while (this.#segments.length > 1) {
      const [oldest, next] = this.#segments as [Segment, Segment]
      const isDone = this.ledger.done.nextMissing(oldest.firstSeq) > oldest.lastSeq
      const isBeyond = total > maxBytes || (next.begun !== null && this.#ageOf(next.begun) > maxAgeMs)
      if (!isDone && !isBeyond) return
      if (!isDone) {
        await this.#loseEventsOf(oldest)
        await this.append([], this.#lastSeq)
      }
      await files.remove(this.#pathOf(oldest)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
      this.#segments.shift()
      total -= oldest.bytes
    }
  }

  async close(): Promise<void> {
    await this.#abandon()
  }

  #pathOf({ index }: { readonly index: number }): string {
    return join(this.#options.folder, nameOf(index))
  }

  /** A segment that stays small is closed after a while, so that its age can be judged as a whole. */
  #isDue({ begun, bytes }: Segment): boolean {
    return bytes > 4096 && begun !== null && this.#ageOf(begun) > this.#options.maxAgeMs / 8
  }

  /** The least age it can have: running time, and wall time where the clock was set both then and now. */
  #ageOf(begun: WriteTime): number {
    const now = this.#options.writeTime()
    const running = now.monoMs - (begun.boot === now.boot ? begun.monoMs : this.#startedMs)
    return begun.isClockSynced && now.isClockSynced ? Math.max(running, now.wallMs - begun.wallMs) : running
  }

  #encode(events: readonly EventRecord[], index: number, ledgerSeq: number | null): Buffer {
    const records = events.map((event) => encodeRecord(event, index))
    if (ledgerSeq !== null) {
      const payload = this.ledger.toJson(this.#options.writeTime())
      records.push(encodeRecord({ kind: 'state', seq: ledgerSeq, payload }, index))
    }
    return Buffer.concat(records)
  }

  async #begin(events: readonly EventRecord[], ledgerSeq: number | null): Promise<void> {
    const { files, folder, writeTime } = this.#options
    await this.#abandon()
    const firstSeq = this.#lastSeq + 1
    const segment: Segment = {
      index: ++this.#lastIndex,
      firstSeq,
      lastSeq: this.#lastSeq,
      bytes: 0,
      begun: writeTime(),
    }
    const file = await files.create(this.#pathOf(segment))
    try {
      // The ledger comes first: it tells the last number when all older segments are gone.
      const before = this.#encode([], segment.index, this.#lastSeq)
      const data = Buffer.concat([encodeHead(), before, this.#encode(events, segment.index, ledgerSeq)])
      await this.#write({ file, segment }, data, true)
      await files.syncFolder(folder)
    } catch (error) {
      await file.close().catch(() => undefined)
      await files.remove(this.#pathOf(segment)).catch(() => undefined)
      throw error
    }
    this.#segments.push(segment)
    this.#active = { file, segment }
  }

  async #write({ file, segment }: Active, data: Buffer, isSynced: boolean): Promise<void> {
    try {
      await file.write(data, segment.bytes)
      if (isSynced) await file.sync()
    } catch (error) {
      await this.#abandon()
      throw error
    }
    segment.bytes += data.length
  }

  async #abandon(): Promise<void> {
    const file = this.#active?.file
    this.#active = null
    await file?.close().catch(() => undefined)
  }

  /** Segments that have disappeared before their events were sent. */
  #loseMissingSegments(): void {
    const { done } = this.ledger
    const first = this.#segments[0]?.firstSeq ?? this.#lastSeq + 1
    for (let seq = done.nextMissing(1); seq < first; seq = done.nextMissing(seq)) this.ledger.lose('', seq)
  }

  async #loseEventsOf(segment: Segment): Promise<void> {
    const data = await this.#options.files.read(this.#pathOf(segment), 0, segment.bytes).catch(() => Buffer.alloc(0))
    for (const { seq, camera } of eventsIn(data, headBytes, segment))
      if (!this.ledger.done.has(seq)) this.ledger.lose(camera, seq)
    this.#loseDamaged([], segment.firstSeq, segment.lastSeq)
  }

  /** Numbers have no holes: one that is neither in `events` nor done was damaged. Its camera is not known. */
  #loseDamaged(events: readonly EventRecord[], from: number, through: number): void {
    const { done } = this.ledger
    const present = new Set(events.map(({ seq }) => seq))
    for (let seq = done.nextMissing(from); seq <= through; seq = done.nextMissing(seq + 1))
      if (!present.has(seq)) this.ledger.lose('', seq)
  }
}
