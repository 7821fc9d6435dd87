/**
 * Runs the disk's work, one run at a time, and again after a fault, without end: the pause doubles, to 30 times the
 * first. A call that does not return in time counts as a fault until it does. The log has one line when a fault begins
 * and one when it is over.
 */
import { writeFaultOf } from '../../errors.js'
import type { Logger } from '../../log.js'

export interface AttemptsOptions {
  readonly work: () => Promise<void>
  /** Called when a fault begins, changes or ends. */
  readonly onChange: () => void
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly folder: string
  readonly retryMs: number
  readonly slowMs: number
}

export class Attempts {
  readonly #options: AttemptsOptions
  #fault: string | null = null
  #running: Promise<void> | null = null
  #retry: NodeJS.Timeout | null = null
  #pauseMs: number
  #isEnded = false

  constructor(options: AttemptsOptions) {
    this.#options = options
    this.#pauseMs = options.retryMs
  }

  /** What is wrong with the disk, in words; null: nothing. */
  get fault(): string | null {
    return this.#fault
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  /** No further run starts. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Starts a run, unless one is under way or planned. */
  start(): void {
    if (!this.#isEnded && !this.#retry) void this.run()
  }

  /** Resolves at the end of the run that is under way, else of a new one. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#options
      .work()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#running = null
      })
    return this.#running
  }

  /** Resolves after a run that began after this call. */
  async runAnew(): Promise<void> {
    await this.#running
    await this.run()
  }

  /** Passes the result on. While the operation takes longer than `slowMs` there is a fault. */
  async watch<T>(operation: Promise<T>): Promise<T> {
    const { slowMs } = this.#options
    const timer = setTimeout(() => this.#setFault(`the disk has not answered for ${slowMs} ms`), slowMs).unref()
    try {
      return await operation
    } finally {
      clearTimeout(timer)
    }
  }

  /** There is a fault: plans the next run. */
  fail(error: unknown): void {
    this.#setFault(writeFaultOf(error))
    if (!this.#isEnded)
      this.#retry ??= setTimeout(() => {
        this.#retry = null
        void this.run()
      }, this.#pauseMs).unref()
    this.#pauseMs = Math.min(this.#pauseMs * 2, this.#options.retryMs * 30)
  }

  /** The disk has done what it was asked. */
  succeed(): void {
    const { log, folder, onChange, retryMs } = this.#options
    this.#pauseMs = retryMs
    if (this.#fault === null) return
    this.#fault = null
    log.info({ folder }, 'outbox: events are written to disk again')
    onChange()
  }

  /** One last run, for at most `timeoutMs`; no further one starts. True when nothing is under way any more. */
  async end(timeoutMs: number): Promise<boolean> {
    this.#cancelRetry()
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([this.runAnew(), timeout])
    clearTimeout(timer)
    this.#isEnded = true
    this.#cancelRetry()
    return this.#running === null
  }

  #cancelRetry(): void {
    if (this.#retry) clearTimeout(this.#retry)
    this.#retry = null
  }

  #setFault(reason: string): void {
    const { log, folder, onChange } = this.#options
    if (this.#fault === null)
      log.warn({ folder }, `outbox degraded: ${reason}; events wait in memory until it can be written`)
    this.#fault = reason
    onChange()
  }
}
