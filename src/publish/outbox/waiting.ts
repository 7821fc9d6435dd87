/**
 * The events in memory: all that are not on disk yet, in the order of their numbers and within a bound. The disk takes
 * them in batches; without a disk they stay here until they are done.
 */
import { isSending, type Item } from './item.js'
import type { MemoryLimits } from './outbox.js'

/** One write takes at most one event more than this. */
const batchBytes = 256 << 10

export class Waiting {
  readonly #limits: MemoryLimits
  readonly #items: Item[] = []
  /** Handed out by `nextBatch`: they stay here until the disk has answered. */
  readonly #writing = new Set<Item>()
  readonly #memoryOnly = new Set<Item>()
  #bytes = 0

  constructor(limits: MemoryLimits) {
    this.#limits = limits
  }

  get items(): readonly Item[] {
    return this.#items
  }

  /** Payload bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many events never go to disk. */
  get memoryOnlyCount(): number {
    return this.#memoryOnly.size
  }

  /** How many events are here and not done. */
  get undone(): number {
    return this.#items.filter(({ state }) => state !== 'done').length
  }

  add(item: Item): void {
    this.#items.push(item)
    this.#bytes += sizeOf(item)
  }

  has(item: Item): boolean {
    return this.#items.includes(item)
  }

  /** True for an event whose number belongs to another event on disk. */
  isMemoryOnly(item: Item): boolean {
    return this.#memoryOnly.has(item)
  }

  /** The events that are here now got their numbers before the disk could be read: the disk has given these already. */
  makeMemoryOnly(): void {
    for (const item of this.#items) this.#memoryOnly.add(item)
  }

  /**
   * The oldest event that must make room; null within the bound, or when the disk or the broker is using all of them.
   */
  excess(): Item | null {
    const { maxEvents, maxBytes } = this.#limits
    if (this.#items.length <= maxEvents && this.#bytes <= maxBytes) return null
    return this.#items.find((item) => !this.#writing.has(item) && !isSending(item)) ?? null
  }

  /** The next events to write, oldest first; empty when there are none. Answer with `written` or `unwritten`. */
  nextBatch(): readonly Item[] {
    const batch: Item[] = []
    let bytes = 0
    for (const item of this.#items) {
      if (bytes > batchBytes) break
      if (!this.#isWritable(item)) continue
      this.#writing.add(item)
      batch.push(item)
      bytes += sizeOf(item)
    }
    return batch
  }

  /** The oldest event that no batch has taken. */
  firstUnwritten(): Item | undefined {
    return this.#items.find((item) => this.#isWritable(item))
  }

  /** The disk has these events: they leave the memory. */
  written(batch: readonly Item[]): void {
    for (const item of batch) this.remove(item)
  }

  /** The disk does not have these events. */
  unwritten(batch: readonly Item[]): void {
    for (const item of batch) {
      this.#writing.delete(item)
      if (item.state === 'done') this.remove(item)
    }
  }

  /** An event is done. One that is being written stays until the disk has answered. */
  settle(item: Item): void {
    item.state = 'done'
    if (!this.#writing.has(item)) this.remove(item)
  }

  remove(item: Item): void {
    const place = this.#items.indexOf(item)
    if (place < 0) return
    this.#items.splice(place, 1)
    this.#bytes -= sizeOf(item)
    this.#writing.delete(item)
    this.#memoryOnly.delete(item)
  }

  #isWritable(item: Item): boolean {
    return !this.#writing.has(item) && !this.#memoryOnly.has(item)
  }
}

function sizeOf({ payload }: Item): number {
  return Buffer.byteLength(payload)
}
