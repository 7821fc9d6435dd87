/**
 * How many messages may be unacknowledged. The window grows while acknowledgements are quick and shrinks while they are
 * slow: a link of a kilobyte a second is not filled for a minute ahead, and one with a round trip of 600 ms still
 * carries 80 messages a second.
 */
import type { Clock } from '../clock.js'

const limits = { first: 10, least: 4, most: 50 }
const quickMs = 1_000
const slowMs = 4_000

export class SendWindow {
  readonly #clock: Clock
  #size = limits.first
  #shrunkMs = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#size
  }

  /** To be called for a new connection. */
  reset(): void {
    this.#size = limits.first
  }

  /** A message that was sent at this time has been acknowledged. */
  answered(sentMs: number): void {
    const nowMs = this.#clock.now()
    const tookMs = nowMs - sentMs
    if (tookMs < quickMs) this.#size = Math.min(limits.most, this.#size + 1)
    // A message sent before the window last shrank says nothing about its present size.
    else if (tookMs > slowMs && sentMs >= this.#shrunkMs) {
      this.#size = Math.max(limits.least, this.#size >> 1)
      this.#shrunkMs = nowMs
    }
  }
}
