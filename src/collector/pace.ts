/** How many pictures may be kept: so many in a minute and in a day, over restarts. */

/** The limits. */
export interface PaceOptions {
  readonly perMinute: number
  readonly perDay: number
}

const minuteMs = 60_000
const dayMs = 24 * 3_600_000

/** Counts kept pictures. Times are wall time, since those of pictures on disk are; a clock that is set back forgets nothing. */
export class Pace {
  readonly #options: PaceOptions
  /** Times of the pictures of the last day, in a ring. */
  readonly #times: Float64Array
  #count = 0

  constructor(options: PaceOptions, keptMs: readonly number[] = []) {
    this.#options = options
    this.#times = new Float64Array(Math.max(1, options.perDay))
    for (const atMs of [...keptMs].sort((a, b) => a - b).slice(-this.#times.length)) this.take(atMs)
  }

  /** Whether one more may be kept now. */
  isFree(nowMs: number): boolean {
    const { perMinute, perDay } = this.#options
    return perDay > 0 && this.#passed(perDay, nowMs, dayMs) && perMinute > 0 && this.#passed(perMinute, nowMs, minuteMs)
  }

  /** Counts one. */
  take(nowMs: number): void {
    this.#times[this.#count % this.#times.length] = nowMs
    this.#count++
  }

  /** Whether the picture `back` pictures ago is older than `spanMs`. A time in the future is that of a clock that was set back. */
  #passed(back: number, nowMs: number, spanMs: number): boolean {
    if (back > this.#times.length || this.#count < back) return true
    const passedMs = nowMs - this.#times[(this.#count - back) % this.#times.length]!
    return passedMs >= spanMs || passedMs < 0
  }
}
