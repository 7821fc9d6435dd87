/** Times and numbers as text for people. */
import { text } from './text.js'

/** For example `42 s`, `3 min 12 s`, `2 h 5 min` or `3 d 4 h`. */
export function duration(ms: number): string {
  const { s, min, h, d } = text.units
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} ${s}`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${min}${seconds < 600 ? ` ${seconds % 60} ${s}` : ''}`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} ${h} ${Math.floor((seconds % 3600) / 60)} ${min}`
  return `${Math.floor(seconds / 86_400)} ${d} ${Math.floor((seconds % 86_400) / 3600)} ${h}`
}

/** Local time as HH:MM:SS. */
export const clockTime = (ms: number): string => new Date(ms).toTimeString().slice(0, 8)
/** A score with two decimals. */
export const score = (value: number): string => value.toFixed(2)

/** At most three significant digits. */
export const milliseconds = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
