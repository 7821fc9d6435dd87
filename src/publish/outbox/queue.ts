/**
 * The outbox: events are numbered, written to disk, and then offered: live ones as they happen, all others in order as
 * a backlog. Without a disk, or while it fails, they stay in bounded memory and are offered at once; the outbox then
 * says that it is degraded, and counts the events that had to make room.
 *
 *   add ─▶ waiting ─▶ disk ─▶ backlog ─▶ being sent ─▶ (sent ─▶) done
 *                        └─▶ live queue ────┘
 *
 * Every number up to the last one is in one of these places; `ledger.done` holds the numbers that are done. item.ts has
 * the states of one event.
 */
import { Backlog } from './backlog.js'
import { Disk } from './disk.js'
import { createItem, isSending, type Item } from './item.js'
import type { OutboxGap } from './ledger.js'
import { LiveQueue } from './live.js'
import { Numbers } from './numbers.js'
import {
  memoryDefaults,
  type AckMode,
  type Outbox,
  type OutboxEntry,
  type OutboxEvent,
  type OutboxHistory,
  type OutboxListener,
  type OutboxOptions,
  type OutboxStats,
} from './outbox.js'
import { Sent } from './sent.js'
import { Waiting } from './waiting.js'

const openTimeoutMs = 5000
/** Limit of the backlog entries that a consumer has not acknowledged. */
const maxUnacknowledged = 50

/** Makes an outbox and reads its disk. After five seconds it resolves anyway and the reading goes on. Never rejects. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const outbox = new EventOutbox(options)
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, openTimeoutMs)
  })
  await Promise.race([outbox.opened, timeout])
  clearTimeout(timer)
  return outbox
}

/** An outbox in memory: its events are lost with the process, and its numbers begin at 1 with each boot. */
export function createMemoryOutbox(options: Omit<OutboxOptions, 'disk'>): Outbox {
  return new EventOutbox(options)
}

class EventOutbox implements Outbox {
  readonly boot: string
  readonly ack: AckMode
  readonly opened: Promise<void>
  readonly #options: OutboxOptions
  readonly #numbers: Numbers
  readonly #waiting: Waiting
  readonly #live = new LiveQueue()
  readonly #backlog: Backlog
  readonly #disk: Disk | null
  /** Taken and not answered for. */
  readonly #taken = new Set<OutboxEntry>()
  readonly #sent = new Sent()
  readonly #resend: NodeJS.Timeout | null
  #listener: OutboxListener = { onReady: () => undefined, onNumbered: () => undefined }

  constructor(options: OutboxOptions) {
    const { boot, ack = 'puback', memory = memoryDefaults, disk } = options
    this.boot = boot
    this.ack = ack
    this.#options = options
    const numbers = new Numbers(boot)
    const waiting = new Waiting(memory)
    this.#numbers = numbers
    this.#waiting = waiting
    this.#backlog = new Backlog({
      numbers,
      onRead: () => this.#listener.onReady(),
      onFault: (error) => this.#disk?.fail(error),
      retryMs: disk?.retryMs ?? 1000,
    })
    this.#disk = disk
      ? new Disk(options, disk, {
          waiting,
          numbers,
          onWritten: (events) => this.#written(events),
          onChange: () => this.#diskChanged(),
        })
      : null
    this.opened = this.#disk?.firstAttempt ?? Promise.resolve()
    this.#resend = ack === 'application' ? this.#startResending(options.resendMs ?? 30_000) : null
  }

  get seq(): number {
    return this.#numbers.certain
  }

  get isBusy(): boolean {
    return this.#backlog.isReading || (this.#disk?.isBusy ?? false)
  }

  listen(listener: OutboxListener): void {
    this.#listener = listener
  }

  stats(): OutboxStats {
    const { last, ledger, lostNow } = this.#numbers
    const disk = this.#disk
    const state = !disk ? 'memory' : this.#isDurable() ? 'ok' : 'degraded'
    return {
      state,
      reason: state === 'degraded' ? (disk?.fault ?? 'the disk has not been read yet') : undefined,
      queued: last - ledger.done.count + this.#waiting.memoryOnlyCount,
      inMemory: state === 'ok' ? 0 : this.#waiting.undone,
      bytes: (disk?.log?.bytes ?? 0) + this.#waiting.bytes,
      dropped: lostNow,
    }
  }

  history(): OutboxHistory {
    const { done, boots } = this.#numbers.ledger
    return { waitsFrom: done.nextMissing(1), boots: boots.map(({ id, from }) => ({ id, from })) }
  }

  add(camera: string, topic: OutboxEvent['topic'], isLive: boolean, payloadOf: (seq: number) => string): void {
    const seq = this.#numbers.next()
    const item = createItem({ kind: topic, seq, camera, payload: payloadOf(seq) }, isLive ? 'new' : 'backlog')
    this.#waiting.add(item)
    this.#makeRoom()
    this.#disk?.write()
    if (!this.#isDurable()) this.#offerFromMemory(item)
  }

  takeLive(): OutboxEvent | null {
    const item = this.#live.shift()
    if (!item) return null
    item.state = 'sending-live'
    this.#taken.add(item)
    return item
  }

  takeBacklog(): OutboxEntry | null {
    if (this.ack === 'application' && this.#sent.backlogCount + this.#taken.size >= maxUnacknowledged) return null
    const item = this.#oldest()
    if (item === 'reading') return null
    const gap = this.#numbers.ledger.gaps.find(({ isOffered }) => !isOffered)
    if (gap && (!item || gap.from < item.seq)) {
      gap.isOffered = true
      this.#taken.add(gap)
      return gap
    }
    if (!item) return null
    item.state = 'sending-backlog'
    this.#taken.add(item)
    if (!this.#waiting.has(item)) this.#backlog.leaveOut(item.seq)
    return item
  }

  confirm(entry: OutboxEntry): void {
    if (!this.#taken.delete(entry) || (entry as Partial<Item>).state === 'done') return
    const isNumbered = entry.kind === 'gap' || !this.#waiting.isMemoryOnly(entry as Item)
    if (this.ack === 'application' && isNumbered) this.#markSent(entry)
    else if (entry.kind === 'event') this.#finish(entry as Item)
    else this.#removeGap(entry)
  }

  reject(entry: OutboxEntry): void {
    if (!this.#taken.delete(entry)) return
    if (entry.kind === 'gap') return this.#removeGap(entry)
    const item = entry as Item
    if (item.state === 'sending-live') {
      item.state = 'backlog'
      this.#restartBacklog()
    } else {
      this.#numbers.ledger.lost++
      this.#finish(item)
    }
  }

  acknowledge(boot: string, through: number): boolean {
    const { ledger, last } = this.#numbers
    const lastOfBoot = ledger.lastOf(boot, last)
    if (lastOfBoot === null) return false
    const upTo = Math.min(through, lastOfBoot)
    const { runs, gaps } = this.#sent.takeThrough(upTo, this.#options.clock.now())
    for (const [from, to] of runs) ledger.done.add(from, to)
    // A consumer may be faster than the broker's PUBACK.
    for (const entry of this.#taken)
      if (entry.kind === 'event' && entry.seq <= upTo && !this.#waiting.isMemoryOnly(entry as Item))
        this.#finish(entry as Item)
    for (const item of [...this.#waiting.items])
      if (!this.#waiting.isMemoryOnly(item) && ledger.done.has(item.seq)) this.#finish(item)
    for (const gap of gaps) this.#removeGap(gap)
    if (runs.length > 0) this.#disk?.noteDone()
    this.#listener.onReady()
    return true
  }

  takeBack(): void {
    this.#taken.clear()
    this.#live.toBacklog()
    this.#offerAgain()
    for (const item of this.#waiting.items) if (item.state !== 'done') item.state = 'backlog'
    this.#numbers.ledger.mergeGaps()
  }

  save(): Promise<void> {
    return this.#disk?.save() ?? Promise.resolve()
  }

  async clear(): Promise<number> {
    const { queued } = this.stats()
    for (const item of [...this.#waiting.items]) this.#finish(item)
    const { ledger, last } = this.#numbers
    ledger.done.add(1, last)
    ledger.gaps.length = 0
    this.#live.toBacklog()
    this.#taken.clear()
    this.#offerAgain()
    await this.#disk?.save()
    return queued
  }

  async close(timeoutMs = 1000): Promise<void> {
    if (this.#resend) clearInterval(this.#resend)
    await this.#disk?.close(timeoutMs)
  }

  /** An event is safe once it is added. */
  #isDurable(): boolean {
    return this.#disk?.log != null && this.#disk.fault === null
  }

  #makeRoom(): void {
    for (let item = this.#waiting.excess(); item; item = this.#waiting.excess()) {
      this.#numbers.ledger.lose(item.camera, item.seq, !this.#waiting.isMemoryOnly(item))
      if (item.state === 'live') this.#live.remove(item)
      this.#waiting.settle(item)
    }
  }

  #offerFromMemory(item: Item): void {
    this.#makeCertain(item)
    if (item.state === 'new') this.#live.enter(item)
    this.#listener.onReady()
  }

  #makeCertain({ seq, camera }: Item): void {
    if (this.#numbers.makeCertain(seq)) this.#listener.onNumbered(camera)
  }

  #written(events: readonly Item[]): void {
    for (const item of events) {
      if (item.state === 'new') this.#live.enter(item)
      if (item.state === 'live' || item.state === 'sent' || isSending(item)) this.#backlog.leaveOut(item.seq)
      this.#makeCertain(item)
    }
    this.#listener.onReady()
  }

  #diskChanged(): void {
    if (this.#disk?.fault != null) for (const item of [...this.#waiting.items]) this.#offerFromMemory(item)
    this.#listener.onReady()
  }

  /** The oldest event of the backlog: on disk, else in memory if it will not be written or the disk cannot be used. */
  #oldest(): Item | 'reading' | null {
    const onDisk = this.#backlog.oldest(this.#disk?.log ?? null)
    if (onDisk !== null) return onDisk
    const isDurable = this.#isDurable()
    const isTurn = (item: Item): boolean => item.state === 'backlog' && (!isDurable || this.#waiting.isMemoryOnly(item))
    return this.#waiting.items.find(isTurn) ?? null
  }

  #markSent(entry: OutboxEntry): void {
    this.#sent.add(entry, this.#options.clock.now())
    if (entry.kind === 'event') (entry as Item).state = 'sent'
  }

  #finish(item: Item): void {
    if (!this.#waiting.isMemoryOnly(item)) this.#numbers.ledger.done.add(item.seq)
    this.#waiting.settle(item)
    this.#disk?.noteDone()
  }

  #removeGap(gap: OutboxGap): void {
    this.#numbers.ledger.removeGap(gap)
    this.#disk?.noteDone()
  }

  /** Reads the disk again from its oldest event on, without those that are in the live queue, being sent or sent. */
  #restartBacklog(): void {
    this.#backlog.restart()
    for (const item of [...this.#taken, ...this.#live.items])
      if (item.kind === 'event' && !this.#waiting.has(item as Item)) this.#backlog.leaveOut(item.seq)
    for (const [from, to] of this.#sent.runs) this.#backlog.leaveOut(from, to)
  }

  /** Everything sent and not acknowledged is offered again. */
  #offerAgain(): void {
    this.#sent.clear()
    this.#restartBacklog()
    for (const gap of this.#numbers.ledger.gaps) gap.isOffered = this.#taken.has(gap)
    for (const item of this.#waiting.items) if (item.state === 'sent') item.state = 'backlog'
  }

  #startResending(resendMs: number): NodeJS.Timeout {
    const look = (): void => {
      if (!this.#sent.isOverdue(this.#options.clock.now(), resendMs)) return
      this.#offerAgain()
      this.#listener.onReady()
    }
    return setInterval(look, Math.min(resendMs, 1000)).unref()
  }
}
