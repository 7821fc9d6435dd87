/**
 * Writes the waiting events to the log, in the background: one write at a time, with all events that have arrived since
 * the last one (a group commit). After a fault it tries again without end (attempts.ts). The ledger is written together
 * with events, or some seconds after the last change.
 */
import { Attempts } from './attempts.js'
import { realFiles } from './files.js'
import { recordOf, type Item } from './item.js'
import type { WriteTime } from './ledger.js'
import { openLog, type Log } from './log.js'
import type { Numbers } from './numbers.js'
import type { DiskOptions, OutboxOptions } from './outbox.js'
import { peek } from './peek.js'
import type { Waiting } from './waiting.js'

export interface DiskUser {
  readonly waiting: Waiting
  readonly numbers: Numbers
  /** These events are on disk; they are no longer in `waiting`. */
  readonly onWritten: (events: readonly Item[]) => void
  /** A fault has begun or ended. */
  readonly onChange: () => void
}

/** Least time between two writes of the ledger. */
const ledgerEveryMs = 1000
/** A ledger that no event follows is written after this time. */
const idleLedgerMs = 5000

export class Disk {
  readonly #options: OutboxOptions
  readonly #disk: DiskOptions
  readonly #user: DiskUser
  readonly #attempts: Attempts
  #log: Log | null = null
  #unlock: (() => Promise<void>) | null = null
  #isLedgerDue = true
  /** The next ledger waits for the device. */
  #mustSync = false
  #ledgerMs = -Infinity
  #idle: NodeJS.Timeout | null = null
  /** Resolves after the first attempt to open the log. */
  readonly firstAttempt: Promise<void>

  constructor(options: OutboxOptions, disk: DiskOptions, user: DiskUser) {
    this.#options = options
    this.#disk = disk
    this.#user = user
    this.#attempts = new Attempts({
      work: () => this.#work(),
      onChange: user.onChange,
      log: options.log,
      folder: disk.folder,
      retryMs: disk.retryMs ?? 1000,
      slowMs: disk.slowMs ?? 2000,
    })
    this.firstAttempt = this.#attempts.run()
  }

  /** Null until it has been opened. */
  get log(): Log | null {
    return this.#log
  }

  /** Why events are not written, in words; null: they are. */
  get fault(): string | null {
    return this.#attempts.fault
  }

  get isBusy(): boolean {
    return this.#attempts.isRunning
  }

  /** To be called after an event was added. */
  write(): void {
    this.#attempts.start()
  }

  /** To be called after the ledger changed. */
  noteDone(): void {
    this.#isLedgerDue = true
    this.#idle ??= setTimeout(() => {
      this.#idle = null
      this.#ledgerMs = -Infinity
      this.#attempts.start()
    }, idleLedgerMs).unref()
  }

  /** Reading the log has failed. */
  fail(error: unknown): void {
    this.#attempts.fail(error)
  }

  /** Writes events and ledger now, and waits for the device. */
  async save(): Promise<void> {
    this.#demandLedger()
    await this.#attempts.runAnew()
  }

  async close(timeoutMs: number): Promise<void> {
    if (this.#attempts.isEnded) return
    if (this.#isLedgerDue) this.#demandLedger()
    const isIdle = await this.#attempts.end(timeoutMs)
    if (this.#idle) clearTimeout(this.#idle)
    if (isIdle) await this.#log?.close()
    await this.#unlock?.()
    this.#unlock = null
  }

  async #work(): Promise<void> {
    const { waiting, onWritten } = this.#user
    this.#log ??= await this.#open()
    for (let batch = waiting.nextBatch(); batch.length > 0 || this.#isLedgerWanted(); batch = waiting.nextBatch()) {
      await this.#append(this.#log, batch)
      waiting.written(batch)
      onWritten(batch)
      await this.#attempts.watch(this.#log.tidy())
      this.#attempts.succeed()
    }
  }

  async #open(): Promise<Log> {
    const { folder, files = realFiles, lock, maxBytes, maxAgeMs } = this.#disk
    const { waiting, numbers } = this.#user
    try {
      this.#unlock ??= lock ? await lock() : null
      const log = await this.#attempts.watch(
        openLog({ folder, files, maxBytes, maxAgeMs, writeTime: () => this.#writeTime() }),
      )
      if (!numbers.adopt(log)) waiting.makeMemoryOnly()
      return log
    } catch (error) {
      // A disk that can only be read still says which numbers are taken.
      const glance = await peek(folder, files).catch(() => null)
      if (glance) numbers.continueAfter(glance.seq)
      throw error
    }
  }

  async #append(log: Log, batch: readonly Item[]): Promise<void> {
    const { waiting, numbers } = this.#user
    const rest = waiting.firstUnwritten()
    const through = this.#isLedgerWanted() ? (rest ? rest.seq - 1 : numbers.last) : null
    const isSynced = batch.length > 0 || this.fault !== null || this.#mustSync
    try {
      await this.#attempts.watch(log.append(batch.map(recordOf), through, isSynced))
    } catch (error) {
      waiting.unwritten(batch)
      throw error
    }
    if (through === null) return
    this.#isLedgerDue = this.#mustSync = false
    this.#ledgerMs = this.#options.clock.now()
  }

  /** While there is a fault, writing the ledger shows whether it is over. */
  #isLedgerWanted(): boolean {
    return this.fault !== null || (this.#isLedgerDue && this.#options.clock.now() - this.#ledgerMs >= ledgerEveryMs)
  }

  #demandLedger(): void {
    this.#isLedgerDue = this.#mustSync = true
    this.#ledgerMs = -Infinity
  }

  #writeTime(): WriteTime {
    const { boot, clock } = this.#options
    const isClockSynced = this.#disk.isClockSynced?.() ?? false
    return { boot, monoMs: clock.now(), wallMs: clock.wall(), isClockSynced }
  }
}
