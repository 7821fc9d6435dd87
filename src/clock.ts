/** Time: monotonic for everything inside, wall time only for what leaves the device. Replaced in tests. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since 1970. */
  wall(): number
}

export const systemClock: Clock = { now: () => performance.now(), wall: () => Date.now() }
