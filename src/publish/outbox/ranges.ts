/** A set of whole numbers that are mostly consecutive, stored as runs. */
export class Ranges {
  /** from, to, from, to, …: ascending, and no two runs touch. */
  #runs: number[] = []
  #count = 0

  /** Throws TypeError for anything that is not a list of runs. */
  static from(runs: unknown): Ranges {
    const made = new Ranges()
    if (!Array.isArray(runs)) throw new TypeError('Expected a list of runs')
    for (const run of runs as unknown[]) {
      const [from, to] = Array.isArray(run) ? (run as unknown[]) : []
      if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || (from as number) > (to as number))
        throw new TypeError('Expected a run of two numbers')
      made.add(from as number, to as number)
    }
    return made
  }

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count
  }

  get runs(): readonly (readonly [number, number])[] {
    return Array.from(
      { length: this.#runs.length / 2 },
      (_, i) => [this.#runs[2 * i]!, this.#runs[2 * i + 1]!] as const,
    )
  }

  has(n: number): boolean {
    const i = this.#runAt(n)
    return i < this.#runs.length && this.#runs[i]! <= n
  }

  /** The lowest number from `n` on that is not in the set. */
  nextMissing(n: number): number {
    const i = this.#runAt(n)
    return i < this.#runs.length && this.#runs[i]! <= n ? this.#runs[i + 1]! + 1 : n
  }

  add(from: number, to = from): void {
    // All runs that touch from-1 … to+1 become one.
    const first = this.#runAt(from - 1)
    let end = first
    let [low, high] = [from, to]
    while (end < this.#runs.length && this.#runs[end]! <= to + 1) {
      low = Math.min(low, this.#runs[end]!)
      high = Math.max(high, this.#runs[end + 1]!)
      this.#count -= this.#runs[end + 1]! - this.#runs[end]! + 1
      end += 2
    }
    this.#count += high - low + 1
    this.#runs.splice(first, end - first, low, high)
  }

  /** Removes and returns the runs up to `n`. */
  takeThrough(n: number): readonly (readonly [number, number])[] {
    const taken: (readonly [number, number])[] = []
    while (this.#runs.length > 0 && this.#runs[0]! <= n) {
      const [from, to] = [this.#runs[0]!, Math.min(n, this.#runs[1]!)]
      taken.push([from, to])
      this.#count -= to - from + 1
      if (to < this.#runs[1]!) this.#runs[0] = to + 1
      else this.#runs.splice(0, 2)
    }
    return taken
  }

  clear(): void {
    this.#runs = []
    this.#count = 0
  }

  /** The position of the first run that ends at `n` or later. */
  #runAt(n: number): number {
    let [low, high] = [0, this.#runs.length / 2]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#runs[2 * middle + 1]! < n) low = middle + 1
      else high = middle
    }
    return 2 * low
  }
}
