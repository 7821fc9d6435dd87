/** Times and numbers as people read them. */
import { text } from './text.js'

export function duration(ms: number): string {
  const { s, min, h, d } = text.units
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} ${s}`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${min}${seconds < 600 ? ` ${seconds % 60} ${s}` : ''}`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} ${h} ${Math.floor((seconds % 3600) / 60)} ${min}`
  return `${Math.floor(seconds / 86_400)} ${d} ${Math.floor((seconds % 86_400) / 3600)} ${h}`
}

export const clockTime = (ms: number): string => new Date(ms).toTimeString().slice(0, 8)
export const score = (value: number): string => value.toFixed(2)

/** Three significant digits at the most. */
export const milliseconds = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
