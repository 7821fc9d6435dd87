/** Limits the rate at which frames are taken. */
import { setTimeout as wait } from 'node:timers/promises'

/** A clock that ticks once in each period. A tick that comes late does not shift those behind it, unless by half a period. */
export class Pace {
  #nextMs = 0

  /** Resolves when the next tick is due: the first at once. Resolves early when the signal comes. */
  async wait(periodMs: number, signal: AbortSignal): Promise<void> {
    const ms = this.#nextMs - performance.now()
    if (ms > 0 && !signal.aborted) await wait(ms, undefined, { signal }).catch(() => undefined)
    this.#nextMs = Math.max(this.#nextMs, performance.now() - periodMs / 2) + periodMs
  }
}
