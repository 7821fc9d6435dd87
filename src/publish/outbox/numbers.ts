/**
 * The node's sequence of event numbers, with the ledger of those that are done. Numbers start at 1 and continue where
 * the disk has them, as soon as it can be read: that may be after the first events.
 */
import { Ledger } from './ledger.js'

export class Numbers {
  readonly #boot: string
  #ledger = new Ledger()
  #last = 0
  #certain = 0
  /** The last number of earlier starts, as far as it could be read. */
  #before = 0
  #lostBefore = 0

  constructor(boot: string) {
    this.#boot = boot
    this.#ledger.addBoot(boot, 1)
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  /** The last number given. */
  get last(): number {
    return this.#last
  }

  /** The last number that its event keeps for certain: it is on disk, or the event has been offered. */
  get certain(): number {
    return this.#certain
  }

  /** Events lost since this start. */
  get lostNow(): number {
    return this.#ledger.lost - this.#lostBefore
  }

  next(): number {
    return ++this.#last
  }

  /** False when this number was certain already. */
  makeCertain(number: number): boolean {
    if (number <= this.#certain) return false
    this.#certain = number
    return true
  }

  /**
   * The disk cannot be written, but its last number could be read: numbers continue behind it. No effect once a number
   * is given.
   */
  continueAfter(lastOnDisk: number): void {
    if (this.#last > this.#before || lastOnDisk <= this.#before) return
    this.#last = this.#certain = this.#before = lastOnDisk
    this.#ledger.done.add(1, lastOnDisk)
    this.#ledger.boots.length = 0
    this.#ledger.addBoot(this.#boot, lastOnDisk + 1)
  }

  /**
   * Takes over the ledger of the log that has just been opened. False when the numbers given so far belong to other
   * events on disk: these events must not be written.
   */
  adopt({ ledger, lastSeq }: { readonly ledger: Ledger; readonly lastSeq: number }): boolean {
    const earlier = this.#ledger
    const isOurs = lastSeq <= this.#before || this.#last === this.#before
    if (isOurs) {
      for (const [from, to] of earlier.done.runs)
        if (to > this.#before) ledger.done.add(Math.max(from, this.#before + 1), to)
    } else if (this.#last > lastSeq) ledger.done.add(lastSeq + 1, this.#last)
    this.#lostBefore = ledger.lost
    ledger.gaps.push(...earlier.gaps)
    ledger.lost += earlier.lost
    ledger.addBoot(this.#boot, isOurs ? lastSeq + 1 : Math.max(this.#last, lastSeq) + 1)
    this.#ledger = ledger
    this.#last = Math.max(this.#last, lastSeq)
    this.#certain = Math.max(this.#certain, lastSeq)
    return isOurs
  }
}
