/** The source of time: monotonic for measuring, wall time only for what leaves the device. Tests pass a clock of their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since 1970. */
  wall(): number
}

/** The clock of the operating system. */
export const systemClock: Clock = { now: () => performance.now(), wall: () => Date.now() }
