/** Measures the time between a camera's frames, so that a slow camera is not taken for a dead one. */

const gapsKept = 4
const gapsAllowed = 3
/** The second frame shows the rate; until then a camera may be as slow as one frame in five seconds. */
const secondFrameMs = 15_000

/** The rhythm of one camera; it outlasts reopening. */
export class Rhythm {
  readonly #gaps: number[] = []
  #lastMs: number | null = null

  /** Records a frame at this time. */
  frame(nowMs: number): void {
    if (this.#lastMs !== null) this.#gaps.push(nowMs - this.#lastMs)
    if (this.#gaps.length > gapsKept) this.#gaps.shift()
    this.#lastMs = nowMs
  }

  /** The camera was closed: the time until its next frame says nothing about its rate. */
  interrupt(): void {
    this.#lastMs = null
  }

  /** How long the next frame may take: `stallMs`, or three times the longest of the last gaps where that is more. */
  limitMs(stallMs: number): number {
    const expected = this.#gaps.length === 0 ? secondFrameMs : gapsAllowed * Math.max(...this.#gaps)
    return Math.max(stallMs, expected)
  }
}
