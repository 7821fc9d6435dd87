/**
 * The outbox's writer: one write at a time, with all that has come meanwhile (a group commit), off everybody's way. A
 * fault is told once and tried again for ever; a disk that does not answer counts as one until it does.
 */
import { messageOf } from '../../errors.js'
import { realFiles } from './files.js'
import type { OutboxGap, WriteTime } from './ledger.js'
import { openLog, type Log } from './log.js'
import type { DiskOptions, OutboxOptions } from './outbox.js'
import { peek } from './peek.js'
import type { EventRecord } from './record.js'

export interface DiskHooks {
  /** The log is there for the first time: its numbers and ledger are taken over. */
  opened(log: Log): void
  /** The folder cannot be had, but its last number can be read. */
  glimpsed(lastSeq: number): void
  /** What is to be written next, and up to which number all is then written or done. */
  batch(): { readonly events: readonly EventRecord[]; readonly through: number }
  written(events: readonly EventRecord[]): void
  /** What was under way to the disk is not there. */
  unwritten(events: readonly EventRecord[]): void
  /** A fault has come or gone. */
  changed(): void
  /** Whether a gap may still grow. */
  isOpen(gap: OutboxGap): boolean
}

export interface Disk {
  readonly log: Log | null
  /** Why events are not written, in words; null: they are. */
  readonly fault: string | null
  readonly isBusy: boolean
  /** To be called when there is something to write. */
  write(): void
  /** What is done has changed: written with the next events, or after a while. */
  noteDone(): void
  /** A fault of reading. */
  fail(error: unknown): void
  /** Writes what is done now, and waits for the device. */
  writeState(): Promise<void>
  /** Resolves after the first attempt to open. */
  readonly firstAttempt: Promise<void>
  close(timeoutMs: number): Promise<void>
}

/** What is done is written at most so often beside events, and so long after the last of them. */
const stateEveryMs = 1000
const idleStateMs = 5000

export function createDisk({ clock, log: logger, boot }: OutboxOptions, options: DiskOptions, hooks: DiskHooks): Disk {
  const {
    folder,
    maxBytes,
    maxAgeMs,
    files = realFiles,
    lock,
    isClockSynced = () => false,
    retryMs = 1000,
    slowMs = 2000,
  } = options
  const stamp = (): WriteTime => ({ boot, monoMs: clock.now(), wallMs: clock.wall(), isClockSynced: isClockSynced() })
  let log: Log | null = null
  let unlock: (() => Promise<void>) | null = null
  let fault: string | null = null
  let running: Promise<void> | null = null
  let retry: NodeJS.Timeout | null = null
  let idle: NodeJS.Timeout | null = null
  let pauseMs = retryMs
  let isClosed = false
  let isStateDue = true
  let mustSync = false
  let stateMs = -Infinity

  function run(): Promise<void> {
    if (running) return running
    running = work()
      .catch(setFault)
      .finally(() => {
        running = null
      })
    return running
  }

  async function work(): Promise<void> {
    log ??= await open()
    for (;;) {
      const { events, through } = hooks.batch()
      const withState = isStateDue && (fault !== null || clock.now() - stateMs >= stateEveryMs)
      if (events.length === 0 && !withState) break
      try {
        await watched(log.append(events, withState ? through : null, events.length > 0 || fault !== null || mustSync))
      } catch (error) {
        hooks.unwritten(events)
        throw error
      }
      if (withState) [isStateDue, mustSync, stateMs] = [false, false, clock.now()]
      hooks.written(events)
      await watched(log.tidy())
      clearFault()
    }
    if (fault !== null) clearFault()
  }

  async function open(): Promise<Log> {
    try {
      unlock ??= lock ? await lock() : null
      const opened = await watched(openLog({ folder, files, maxBytes, maxAgeMs, stamp, isOpen: hooks.isOpen }))
      hooks.opened(opened)
      return opened
    } catch (error) {
      // A disk that can only be read still says where the numbers stand.
      const glance = await peek(folder, files).catch(() => null)
      if (glance) hooks.glimpsed(glance.seq)
      throw error
    }
  }

  /** A disk that hangs holds nobody else up. */
  async function watched<T>(operation: Promise<T>): Promise<T> {
    const timer = setTimeout(() => setReason(`the disk has not answered for ${slowMs} ms`), slowMs).unref()
    try {
      return await operation
    } finally {
      clearTimeout(timer)
    }
  }

  function setFault(error: unknown): void {
    setReason(messageOf(error))
    // A lock or a file system that comes back is tried again; the log itself goes on with a new file.
    if (!isClosed)
      retry ??= setTimeout(() => {
        retry = null
        void run()
      }, pauseMs).unref()
    pauseMs = Math.min(pauseMs * 2, retryMs * 30)
  }

  function setReason(reason: string): void {
    if (fault === null)
      logger.warn({ folder }, `outbox degraded: ${reason}; events wait in memory until it can be written`)
    isStateDue = true
    fault = reason
    hooks.changed()
  }

  function clearFault(): void {
    pauseMs = retryMs
    if (fault === null) return
    fault = null
    logger.info({ folder }, 'outbox: events are written to disk again')
    hooks.changed()
  }

  function demandState(): void {
    ;[isStateDue, mustSync, stateMs] = [true, true, -Infinity]
  }

  const firstAttempt = run()
  return {
    get log() {
      return log
    },
    get fault() {
      return fault
    },
    get isBusy() {
      return running !== null
    },
    write() {
      // While a fault lasts the next attempt has its time.
      if (!isClosed && !retry) void run()
    },
    noteDone() {
      isStateDue = true
      idle ??= setTimeout(() => {
        idle = null
        stateMs = -Infinity
        if (!retry) void run()
      }, idleStateMs).unref()
    },
    fail: setFault,
    async writeState() {
      demandState()
      if (running) await running
      await run()
    },
    firstAttempt,
    async close(timeoutMs) {
      if (isClosed) return
      if (retry) clearTimeout(retry)
      retry = null
      if (isStateDue) demandState()
      let timer: NodeJS.Timeout | undefined
      await Promise.race([
        (running ?? Promise.resolve()).then(run),
        new Promise((resolve) => {
          timer = setTimeout(resolve, timeoutMs)
        }),
      ])
      clearTimeout(timer)
      isClosed = true
      if (idle) clearTimeout(idle)
      if (retry) clearTimeout(retry)
      if (!running) await log?.close()
      await unlock?.()
    },
  }
}
