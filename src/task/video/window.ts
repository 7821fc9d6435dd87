/**
 * Which frames make a clip: a window that slides over the last frames, by the times of their captures. A clip ends at the
 * newest frame and has one place every `everyMs` before it; each place takes the frame that is nearest in time. So a camera
 * may be faster than the clip, somewhat slower, and change its rate.
 */

/** In shares of `everyMs`: most time between two frames, from a place to its frame, and to one before which there is none. */
const [mostGap, mostAway, mostBefore] = [2.5, 1.5, 0.75]

export class ClipWindow {
  readonly frames: number
  readonly everyMs: number
  /** The slots of the clip's frames, oldest first; as far as `shortage` is null. */
  readonly order: Int32Array
  /** By slot. */
  readonly #times: Float64Array
  #count = 0
  #newest = -1
  // Times that change with each frame are elements of arrays: a number in a field would need new memory for each value.
  /** When the next frame is due. */
  readonly #due = Float64Array.of(-Infinity)
  /** The time that is asked about, in nanoseconds, and its two halves; and in milliseconds. */
  readonly #ns = new BigInt64Array(1)
  readonly #halves = new Uint32Array(this.#ns.buffer)
  readonly #now = new Float64Array(1)
  /** Places of the clip that have a frame, from the newest on. */
  #filled = 0

  constructor(frames: number, everyMs: number) {
    this.frames = frames
    this.everyMs = everyMs
    this.order = new Int32Array(frames)
    this.#times = new Float64Array(frames)
  }

  /** Whether a frame of this time is taken; the others come too early. A clock that went back starts anew. */
  isDue(capturedNs: bigint): boolean {
    const ms = this.#msOf(capturedNs)
    return ms >= this.#due[0]! - this.everyMs / 4 || ms < this.#lastMs() - this.everyMs
  }

  /** The slot that the next frame takes: that of the oldest. */
  get next(): number {
    return (this.#newest + 1) % this.frames
  }

  /** A frame of this time lies in the slot `next`. */
  add(capturedNs: bigint): void {
    const ms = this.#msOf(capturedNs)
    if (ms < this.#lastMs()) this.clear()
    const slot = this.next
    this.#times[slot] = ms
    this.#newest = slot
    this.#count = Math.min(this.frames, this.#count + 1)
    this.#due[0] = this.#count === 1 ? ms + this.everyMs : Math.max(this.#due[0]! + this.everyMs, ms + this.everyMs / 2)
    this.#choose(ms)
  }

  #msOf(capturedNs: bigint): number {
    this.#ns[0] = capturedNs
    this.#now[0] = (this.#halves[1]! * 2 ** 32 + this.#halves[0]!) / 1e6
    return this.#now[0]!
  }

  /** Forgets all frames. */
  clear(): void {
    this.#count = 0
    this.#filled = 0
    this.#due[0] = -Infinity
  }

  get isWhole(): boolean {
    return this.#filled === this.frames
  }

  /** Why the clip is not whole, as a sentence; null where it is. */
  shortage(): string | null {
    if (this.isWhole) return null
    const have = `${this.#filled} of the ${this.frames} frames of a clip`
    const gapMs = this.#gapMs()
    if (gapMs <= mostGap * this.everyMs) return have
    return `${have}: frames come every ${Math.round(gapMs)} ms, and a clip needs one every ${this.everyMs} ms, at least every ${mostGap * this.everyMs} ms`
  }

  /** Each place takes the nearest frame before the one that the newest place took. */
  #choose(nowMs: number): void {
    const { frames, everyMs } = this
    this.order[frames - 1] = this.#newest
    this.#filled = 1
    let age = 1
    for (let place = 1; place < frames && age < this.#count; place++) {
      const wantedMs = nowMs - place * everyMs
      while (
        age + 1 < this.#count &&
        Math.abs(this.#timeOf(age + 1) - wantedMs) <= Math.abs(this.#timeOf(age) - wantedMs)
      )
        age++
      if (!this.#covers(age, wantedMs)) return
      this.order[frames - 1 - place] = this.#slotOf(age)
      this.#filled++
    }
  }

  /** Whether a frame may stand for this time. A millisecond is for clocks that are not exact. */
  #covers(age: number, wantedMs: number): boolean {
    const { everyMs } = this
    const ms = this.#timeOf(age)
    if (Math.abs(ms - wantedMs) > mostAway * everyMs + 1) return false
    if (ms - wantedMs <= mostBefore * everyMs + 1) return true
    return age + 1 < this.#count && ms - this.#timeOf(age + 1) <= mostGap * everyMs + 1
  }

  /** The frame that came so many frames before the newest. */
  #slotOf(age: number): number {
    return (this.#newest - age + this.frames) % this.frames
  }

  #timeOf(age: number): number {
    return this.#times[this.#slotOf(age)]!
  }

  #lastMs(): number {
    return this.#count === 0 ? -Infinity : this.#times[this.#newest]!
  }

  /** Shortest time between the last few frames: one long gap does not make a camera slow. */
  #gapMs(): number {
    let shortest = Infinity
    for (let age = 0; age < Math.min(3, this.#count - 1); age++)
      shortest = Math.min(shortest, this.#timeOf(age) - this.#timeOf(age + 1))
    return shortest === Infinity ? 0 : shortest
  }
}
