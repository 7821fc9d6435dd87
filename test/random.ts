/** Seeded random numbers for tests: the same on every machine (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** [0, 1) */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  pick<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)]!
  }

  /** About normal: mean 0, deviation `scale`. */
  normal(scale = 1): number {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += this.next()
    return sum * scale
  }

  normals(length: number, scale = 1): Float32Array {
    return Float32Array.from({ length }, () => this.normal(scale))
  }
}
