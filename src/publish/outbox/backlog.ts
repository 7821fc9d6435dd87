/**
 * The backlog: events on disk that still have to be sent, oldest first. It reads one segment at a time and leaves out
 * what is done and what is offered elsewhere (in the live queue, being sent, or sent and not acknowledged yet).
 */
import { createItem, type Item } from './item.js'
import type { Log } from './log.js'
import type { Numbers } from './numbers.js'
import { Ranges } from './ranges.js'

export interface BacklogOptions {
  readonly numbers: Numbers
  /** Called when a read has ended: there may be something to take. */
  readonly onRead: () => void
  readonly onFault: (error: unknown) => void
  /** Pause after a failed read. */
  readonly retryMs: number
}

export class Backlog {
  readonly #options: BacklogOptions
  /** Read and not taken yet. */
  #items: Item[] = []
  readonly #offered = new Ranges()
  #isReading = false

  constructor(options: BacklogOptions) {
    this.#options = options
  }

  get isReading(): boolean {
    return this.#isReading
  }

  /** The oldest event, which stays here; `reading` while it is read from disk; null when the log has no more. */
  oldest(log: Pick<Log, 'lastSeq' | 'read'> | null): Item | 'reading' | null {
    const { done } = this.#options.numbers.ledger
    const first = this.#items.findIndex(({ seq }) => !done.has(seq) && !this.#offered.has(seq))
    if (first !== 0) this.#items = first < 0 ? [] : this.#items.slice(first)
    if (this.#items[0]) return this.#items[0]
    if (this.#isReading) return 'reading'
    const wanted = log ? this.#nextWanted() : 0
    if (!log || wanted > log.lastSeq) return null
    void this.#read(log, wanted)
    return 'reading'
  }

  /** An event on disk is offered elsewhere. */
  leaveOut(from: number, to = from): void {
    this.#offered.add(from, to)
  }

  /** Nothing is offered elsewhere any more: the disk is read again from the oldest event on. */
  restart(): void {
    this.#items = []
    this.#offered.clear()
  }

  async #read(log: Pick<Log, 'read'>, wanted: number): Promise<void> {
    const { numbers, onRead, onFault, retryMs } = this.#options
    this.#isReading = true
    try {
      this.#items = (await log.read(wanted)).map((record) => createItem(record, 'backlog'))
      // A number that is in no file would be read again and again.
      if (this.#items.length === 0 && this.#nextWanted() === wanted) numbers.ledger.lose('', wanted)
    } catch (error) {
      onFault(error)
      await new Promise((resolve) => setTimeout(resolve, retryMs).unref())
    }
    this.#isReading = false
    onRead()
  }

  /** The lowest number that is neither done nor offered elsewhere. */
  #nextWanted(): number {
    const { done } = this.#options.numbers.ledger
    for (let number = 1; ; ) {
      const next = this.#offered.nextMissing(done.nextMissing(number))
      if (next === number) return number
      number = next
    }
  }
}
