/**
 * The outbox: events are numbered, written to disk, and only then offered: live ones as they happen, all others in
 * order as a backlog. Without a disk, or while it fails, they wait in bounded memory and are offered at once; then the
 * outbox says that it is degraded, and counts what has to make room.
 *
 *   add ─▶ waiting ─▶ disk ─▶ backlog ─▶ under way ─▶ (sent ─▶) done
 *                        └─▶ live ──────────┘
 *
 * Every number up to the last is in one of these; `ledger.done` holds those that are through.
 */
import { createDisk, type Disk } from './disk.js'
import { Ledger, type OutboxGap } from './ledger.js'
import type { Log } from './log.js'
import {
  maxLive,
  maxUnacknowledged,
  memoryDefaults,
  type Outbox,
  type OutboxEntry,
  type OutboxEvent,
  type OutboxListener,
  type OutboxOptions,
} from './outbox.js'
import { Ranges } from './ranges.js'
import type { EventRecord } from './record.js'
import { createSent } from './sent.js'

/** An event on its way. */
interface Item extends OutboxEvent {
  place: 'memory' | 'writing' | 'disk'
  /** In the live lane, under way, or sent: the backlog leaves it out. */
  isOffered: boolean
  isDone: boolean
  /** Numbered before the disk could be read: its number is another event's there, and it never goes to disk. */
  isVolatile: boolean
}

/** Makes an outbox, and reads what its disk has: for five seconds at most, then it goes on by itself. Never rejects. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { outbox, opened } = createOutbox(options)
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    opened,
    new Promise((resolve) => {
      timer = setTimeout(resolve, openTimeoutMs)
    }),
  ])
  clearTimeout(timer)
  return outbox
}

/** An outbox in memory: what it holds ends with the process, and its numbers begin at 1 with each boot. */
export function createMemoryOutbox(options: Omit<OutboxOptions, 'disk'>): Outbox {
  return createOutbox(options).outbox
}

const openTimeoutMs = 5000
/** Of one write. */
const batchBytes = 256 << 10

function createOutbox(options: OutboxOptions): { readonly outbox: Outbox; readonly opened: Promise<void> } {
  const { boot, clock, ack = 'puback', memory = memoryDefaults, resendMs = 30_000 } = options
  let ledger = new Ledger()
  let lostBefore = 0
  const waiting: Item[] = []
  let waitingBytes = 0
  let live: Item[] = []
  let backlog: Item[] = []
  const underWay = new Set<OutboxEntry>()
  /** Of those on disk. */
  const offered = new Ranges()
  const sent = createSent()
  /** `base`: the last number before this start, as far as it could be read. */
  let [seq, numbered, base] = [0, 0, 0]
  let isReading = false
  let listener: OutboxListener = { onReady: () => undefined, onNumbered: () => undefined }

  const isOpen = (gap: OutboxGap): boolean => !underWay.has(gap) && !sent.gaps.has(gap)
  const disk: Disk | null = options.disk
    ? createDisk(options, options.disk, { opened, glimpsed, batch, written, unwritten, isOpen, changed })
    : null
  ledger.addBoot(boot, 1)
  const isDurable = (): boolean => disk?.log != null && disk.fault === null

  function opened(log: Log): void {
    const before = ledger
    const isOurs = log.lastSeq <= base
    if (isOurs)
      for (const [from, to] of before.done.runs) if (to > base) log.ledger.done.add(Math.max(from, base + 1), to)
    if (!isOurs) {
      for (const item of waiting) item.isVolatile = true
      if (seq > log.lastSeq) log.ledger.done.add(log.lastSeq + 1, seq)
    }
    lostBefore = log.ledger.lost
    log.ledger.gaps.push(...before.gaps)
    log.ledger.lost += before.lost
    ledger = log.ledger
    ledger.addBoot(boot, isOurs ? log.lastSeq + 1 : Math.max(seq, log.lastSeq) + 1)
    seq = Math.max(seq, log.lastSeq)
    numbered = Math.max(numbered, log.lastSeq)
  }

  /** Before the first event: numbers go on where a disk that cannot be written has them. */
  function glimpsed(lastSeq: number): void {
    if (seq > base || lastSeq <= base) return
    seq = numbered = base = lastSeq
    ledger.done.add(1, base)
    ledger.boots.length = 0
    ledger.addBoot(boot, base + 1)
  }

  function add(camera: string, topic: OutboxEvent['topic'], isLive: boolean, payload: string): void {
    const item: Item = {
      kind: 'event',
      topic,
      seq,
      camera,
      payload,
      isLive,
      place: 'memory',
      isOffered: false,
      isDone: false,
      isVolatile: false,
    }
    waiting.push(item)
    waitingBytes += sizeOf(item)
    makeRoom()
    disk?.write()
    if (!isDurable()) offerFromMemory(item)
  }

  /** The oldest make room, but for those that the broker or the disk is just getting. */
  function makeRoom(): void {
    while (waiting.length > memory.maxEvents || waitingBytes > memory.maxBytes) {
      const item = waiting.find((candidate) => candidate.place === 'memory' && !underWay.has(candidate))
      if (!item) return
      remove(item)
      if (item.isOffered) live = live.filter((other) => other !== item)
      ledger.lose(item.camera, item.seq, isOpen, !item.isVolatile)
    }
  }

  function remove(item: Item): void {
    const place = waiting.indexOf(item)
    if (place < 0) return
    waiting.splice(place, 1)
    waitingBytes -= sizeOf(item)
  }

  function offerFromMemory(item: Item): void {
    setNumbered(item)
    enterLive(item)
    listener.onReady()
  }

  function setNumbered({ seq: number, camera }: OutboxEvent): void {
    if (number <= numbered) return
    numbered = number
    listener.onNumbered(camera)
  }

  /** What cannot be sent as it happens goes to the backlog. */
  function enterLive(item: Item): void {
    if (!item.isLive || item.isOffered) return
    item.isLive = live.length < maxLive
    item.isOffered = item.isLive
    if (item.isLive) live.push(item)
  }

  function batch(): { events: Item[]; through: number } {
    const events: Item[] = []
    let bytes = 0
    for (const item of waiting) {
      if (item.isVolatile || item.place !== 'memory') continue
      if (bytes > batchBytes) break
      item.place = 'writing'
      bytes += sizeOf(item)
      events.push(item)
    }
    const rest = waiting.find((item) => !item.isVolatile && item.place === 'memory')
    return { events, through: rest ? rest.seq - 1 : seq }
  }

  function written(events: readonly EventRecord[]): void {
    for (const item of events as readonly Item[]) {
      item.place = 'disk'
      remove(item)
      if (!item.isDone) enterLive(item)
      if (item.isOffered) offered.add(item.seq)
      setNumbered(item)
    }
    listener.onReady()
  }

  function unwritten(events: readonly EventRecord[]): void {
    for (const item of events as readonly Item[]) {
      item.place = 'memory'
      if (item.isDone) remove(item)
    }
  }

  function changed(): void {
    if (disk?.fault != null) for (const item of [...waiting]) offerFromMemory(item)
    listener.onReady()
  }

  /** The least number on disk that is neither done nor offered; beyond the last when there is none. */
  function nextWanted(): number {
    for (let n = 1; ; ) {
      const next = offered.nextMissing(ledger.done.nextMissing(n))
      if (next === n) return n
      n = next
    }
  }

  /** The oldest event of the backlog, which stays there; `reading` when it is on its way from the disk. */
  function oldest(): Item | 'reading' | null {
    backlog = dropWhile(backlog, ({ seq: n }) => ledger.done.has(n) || offered.has(n))
    if (backlog[0]) return backlog[0]
    if (isReading) return 'reading'
    const log = disk?.log
    const wanted = log ? nextWanted() : 0
    if (log && wanted <= log.lastSeq) return read(log, wanted)
    return isDurable() ? null : (waiting.find((item) => !item.isOffered && !item.isLive) ?? null)
  }

  function read(log: Log, wanted: number): 'reading' {
    isReading = true
    log.read(wanted).then(
      (events) => {
        backlog = events.map(
          (event): Item => ({
            ...event,
            kind: 'event',
            topic: event.kind,
            isLive: false,
            place: 'disk',
            isOffered: false,
            isDone: false,
            isVolatile: false,
          }),
        )
        // What is in no file would be asked for again and again.
        if (backlog.length === 0 && nextWanted() === wanted) ledger.lose('', wanted, isOpen)
        isReading = false
        listener.onReady()
      },
      (error: unknown) => {
        disk?.fail(error)
        setTimeout(() => {
          isReading = false
          listener.onReady()
        }, options.disk?.retryMs ?? 1000).unref()
      },
    )
    return 'reading'
  }

  function finish(item: Item): void {
    item.isDone = true
    if (!item.isVolatile) ledger.done.add(item.seq)
    if (item.place === 'memory') remove(item)
    disk?.noteDone()
  }

  /** What is not under way, in the live lane or sent can be read from disk again. */
  function reoffer(): void {
    backlog = []
    offered.clear()
    for (const item of [...underWay, ...live])
      if (item.kind === 'event' && (item as Item).place === 'disk') offered.add(item.seq)
    for (const [from, to] of sent.runs) offered.add(from, to)
  }

  /** All is offered anew, but for what is under way or in the live lane. */
  function offerAgain(): void {
    sent.clear()
    reoffer()
    const kept = new Set<OutboxEntry>([...underWay, ...live])
    for (const item of waiting) {
      if (kept.has(item) || !item.isOffered) continue
      item.isOffered = false
      item.isLive = false
    }
  }

  const resend =
    ack === 'application'
      ? setInterval(
          () => {
            if (!sent.isOverdue(clock.now(), resendMs)) return
            offerAgain()
            listener.onReady()
          },
          Math.min(resendMs, 1000),
        ).unref()
      : null

  const outbox: Outbox = {
    boot,
    ack,
    get seq() {
      return numbered
    },
    get isBusy() {
      return isReading || (disk?.isBusy ?? false)
    },

    stats() {
      const volatile = waiting.reduce((count, item) => count + (item.isVolatile ? 1 : 0), 0)
      const state = !disk ? 'memory' : isDurable() ? 'ok' : 'degraded'
      const reason = state === 'degraded' ? { reason: disk?.fault ?? 'the disk has not been read yet' } : {}
      return {
        state,
        ...reason,
        queued: seq - ledger.done.count + volatile,
        bytes: (disk?.log?.bytes ?? 0) + waitingBytes,
        dropped: ledger.lost - lostBefore,
      }
    },

    add(camera, topic, isLive, payloadOf) {
      seq++
      add(camera, topic, isLive, payloadOf(seq))
    },

    takeLive() {
      const item = live.shift() ?? null
      if (item) underWay.add(item)
      return item
    },

    takeBacklog() {
      if (ack === 'application' && sent.backlogCount + underWay.size >= maxUnacknowledged) return null
      const item = oldest()
      if (item === 'reading') return null
      const gap = ledger.gaps.find((candidate) => isOpen(candidate)) ?? null
      const entry = gap && (!item || gap.from < item.seq) ? gap : item
      if (!entry) return null
      underWay.add(entry)
      if (entry === item) {
        item.isOffered = true
        if (item.place === 'disk') offered.add(item.seq)
      }
      return entry
    },

    confirm(entry) {
      if (!underWay.delete(entry) || (entry as Partial<Item>).isDone) return
      if (ack === 'application' && !(entry as Partial<Item>).isVolatile) sent.add(entry, clock.now())
      else if (entry.kind === 'event') finish(entry as Item)
      else removeGap(entry)
    },

    reject(entry) {
      if (!underWay.delete(entry)) return
      if (entry.kind === 'gap') return removeGap(entry)
      const item = entry as Item
      if (!item.isLive) {
        ledger.lost++
        finish(item)
        return
      }
      item.isLive = item.isOffered = false
      if (item.place === 'disk') reoffer()
    },

    acknowledge(of, through) {
      const last = ledger.lastOf(of, seq)
      if (last === null) return false
      const n = Math.min(through, last)
      const { runs, gaps } = sent.takeThrough(n, clock.now())
      for (const [from, to] of runs) ledger.done.add(from, to)
      // A consumer may be faster than the broker's own acknowledgement.
      for (const entry of underWay)
        if (entry.kind === 'event' && entry.seq <= n && !(entry as Item).isVolatile) finish(entry as Item)
      for (const item of [...waiting]) if (!item.isVolatile && ledger.done.has(item.seq)) finish(item)
      for (const gap of gaps) removeGap(gap)
      if (runs.length > 0) disk?.noteDone()
      listener.onReady()
      return true
    },

    takeBack() {
      underWay.clear()
      live = []
      offerAgain()
      for (const item of waiting) item.isLive = false
      ledger.mergeGaps()
    },

    listen(made) {
      listener = made
    },
    save: () => disk?.writeState() ?? Promise.resolve(),

    async clear() {
      const { queued } = this.stats()
      for (const item of [...waiting]) finish(item)
      ledger.done.add(1, seq)
      ledger.gaps.length = 0
      ;[live, backlog] = [[], []]
      underWay.clear()
      offerAgain()
      await disk?.writeState()
      return queued
    },

    async close(timeoutMs = 1000) {
      if (resend) clearInterval(resend)
      await disk?.close(timeoutMs)
    },
  }

  function removeGap(gap: OutboxGap): void {
    const place = ledger.gaps.indexOf(gap)
    if (place >= 0) ledger.gaps.splice(place, 1)
    disk?.noteDone()
  }

  return { outbox, opened: disk?.firstAttempt ?? Promise.resolve() }
}

function dropWhile<T>(list: T[], isDropped: (entry: T) => boolean): T[] {
  const first = list.findIndex((entry) => !isDropped(entry))
  return first === 0 ? list : first < 0 ? [] : list.slice(first)
}

function sizeOf({ payload }: OutboxEvent): number {
  return Buffer.byteLength(payload)
}
