/** What is usual for a number that is seen again and again, and whether a value is unusual. */

/** How much a usual value varies, in mean deviations, before a value is unusual. */
const deviations = 4

/** Slow averages of a number and of its deviation. */
export class Novelty {
  readonly #least: number
  #mean = 0
  #deviation = 0

  /** No value below `least` is unusual. */
  constructor(least: number) {
    this.#least = least
  }

  /**
   * Whether a value is unusual. It then joins the averages, with the weight `share`, and counts no more than somewhat
   * above what was unusual already: one large value changes little, many do.
   */
  observe(value: number, share: number): boolean {
    const limit = Math.max(this.#least, this.#mean + deviations * this.#deviation + this.#least / 2)
    const bounded = Math.min(value, 1.5 * limit)
    this.#deviation += share * (Math.abs(bounded - this.#mean) - this.#deviation)
    this.#mean += share * (bounded - this.#mean)
    return value >= limit
  }

  reset(): void {
    this.#mean = 0
    this.#deviation = 0
  }
}
