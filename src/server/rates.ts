/** Frame rates of the cameras over the last few seconds, from counters that are read once a second. */

/** A source of frames with its running count. */
export interface FrameCounter {
  readonly frames: number
}

export interface FrameRates {
  /** Reads the counters. Called once a second. */
  count(): void
  /** Frames per second of the camera at this index, to one decimal; 0 in the first half second. */
  of(index: number): number
  /** The sum over all cameras. */
  total(): number
}

/** A rate covers this many seconds. */
const windowSeconds = 5

/** Rates of `counters`, by their index. `nowMs` is a monotonic clock. */
export function createFrameRates(
  counters: readonly FrameCounter[],
  nowMs: () => number = () => performance.now(),
): FrameRates {
  const readings: { readonly atMs: number; readonly frames: readonly number[] }[] = []

  function rateOf(index: number): number {
    const [first] = readings
    const seconds = first ? (nowMs() - first.atMs) / 1000 : 0
    if (seconds < 0.5) return 0
    return tenth((counters[index]!.frames - first!.frames[index]!) / seconds)
  }

  return {
    count() {
      readings.push({ atMs: nowMs(), frames: counters.map(({ frames }) => frames) })
      if (readings.length > windowSeconds + 1) readings.shift()
    },
    of: rateOf,
    total: () => tenth(counters.reduce((sum, _, i) => sum + rateOf(i), 0)),
  }
}

const tenth = (value: number): number => Math.round(value * 10) / 10
