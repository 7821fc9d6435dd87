/** The source of time: monotonic for measuring, wall time only for what leaves the device. Tests pass a clock of their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since 1970. */
  wall(): number
}

/** The clock of the operating system. */
export const systemClock: Clock = { now: () => performance.now(), wall: () => Date.now() }

const two = (value: number): string => String(Math.trunc(value)).padStart(2, '0')

/** The time of day in this machine's zone, with its offset: `14:05:12+02:00`. For people; programs get ISO times in UTC. */
export function localTime(date: Date): string {
  const east = -date.getTimezoneOffset()
  const zone = `${east < 0 ? '-' : '+'}${two(Math.abs(east) / 60)}:${two(Math.abs(east) % 60)}`
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`
}

/** Date and time of day in this machine's zone: `2026-07-01 14:05:12+02:00`. */
export function localDateTime(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${localTime(date)}`
}
