/** One grid of a picture's cells: the reference, what is usual of each cell, and which differ from it. */

/** A cell differs when it is 4.5 standard deviations away from the reference. Squared. */
const limit = 4.5 * 4.5
/** Time constants, milliseconds: of a cell's mean, from which its variance is measured, and of the variance. */
const [meanMs, varianceMs] = [600, 30_000]
/** A deviation counts in a cell's variance at most four times its standard deviation. Squared. */
const mostSquare = 4 * 4
/** How the picture of a grid may differ without anything having moved. */
export interface Expected {
  readonly gain: number
  readonly offset: number
  /** Standard deviation of the sensor's noise in a cell, levels. */
  readonly noise: number
  /** Pictures that the reference is the mean of. */
  readonly averaged: number
  /** Milliseconds since the picture before. */
  readonly dtMs: number
}

/** The cells of one grid. Owned by a `Background`; no allocation for a picture. */
export class Cells {
  /** Levels of the picture that is compared, row by row; the owner writes them. */
  readonly levels: Float32Array
  readonly reference: Float32Array
  /** Cells that differ now; and those that did so in the picture before too. */
  differing = 0
  held = 0
  readonly #counts: Uint8Array
  readonly #leastLevels: number
  readonly #mean: Float32Array
  readonly #variance: Float32Array
  readonly #differed: Uint8Array

  /** `counts`: 1 for each cell that belongs to the zone. Smaller differences than `leastLevels` never count. */
  constructor(counts: Uint8Array, leastLevels: number) {
    const size = counts.length
    this.#counts = counts
    this.#leastLevels = leastLevels
    this.levels = new Float32Array(size)
    this.reference = new Float32Array(size)
    this.#mean = new Float32Array(size)
    this.#variance = new Float32Array(size)
    this.#differed = new Uint8Array(size)
  }

  /** Compares the levels with the reference under other light, and learns from them. */
  compare({ gain, offset, noise, averaged, dtMs }: Expected): void {
    const { levels, reference } = this
    const [counts, mean, variance, differed] = [this.#counts, this.#mean, this.#variance, this.#differed]
    const [meanShare, varianceShare] = [1 - Math.exp(-dtMs / meanMs), 1 - Math.exp(-dtMs / varianceMs)]
    const square = noise * noise
    const sensor = square * (1 + (gain * gain) / averaged)
    const leastSquare = this.#leastLevels * this.#leastLevels
    let [differing, held] = [0, 0]
    for (let i = 0; i < levels.length; i++) {
      if (counts[i] === 0) continue
      const level = levels[i]!
      const known = variance[i]!
      // What a cell varies beyond the sensor's noise; twice, since the reference caught it at a random moment too.
      const spread = known > square ? sensor + 2 * (known - square) : sensor
      const away = level - gain * reference[i]! - offset
      const differs = away * away > Math.max(leastSquare, limit * spread) ? 1 : 0
      differing += differs
      held += differs & differed[i]!
      differed[i] = differs
      const deviation = level - mean[i]!
      const bounded = Math.min(deviation * deviation, mostSquare * spread)
      variance[i] = known + varianceShare * (bounded - known)
      mean[i] = mean[i]! + meanShare * deviation
    }
    this.differing = differing
    this.held = held
  }

  /** The levels are the reference from now on. A cell that differed has a new mean, and is not taken for restless. */
  accept(): void {
    this.reference.set(this.levels)
    for (let i = 0; i < this.levels.length; i++) if (this.#differed[i] === 1) this.#mean[i] = this.levels[i]!
    this.#differed.fill(0)
  }

  /** Adds the levels to the mean that the reference is. */
  average({ gain, offset, averaged }: Expected): void {
    const { levels, reference } = this
    const [scale, share] = [1 / gain, 1 / averaged]
    for (let i = 0; i < levels.length; i++)
      reference[i] = reference[i]! + ((levels[i]! - offset) * scale - reference[i]!) * share
  }

  /** Forgets what was usual; the levels are the first picture. */
  restart(): void {
    this.#mean.set(this.levels)
    this.#variance.fill(0)
    this.#differed.fill(0)
  }
}
