/** Seeded random numbers for tests, the same on every machine (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)]!
  }

  /** Approximately normal, with mean 0 and standard deviation `scale`. */
  normal(scale = 1): number {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += this.next()
    return sum * scale
  }

  /** `length` values of `normal`. */
  normals(length: number, scale = 1): Float32Array {
    return Float32Array.from({ length }, () => this.normal(scale))
  }
}
