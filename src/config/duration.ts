/** Times as people write them: `500ms`, `30s`, `5m`, `1h`. */
import { z } from 'zod'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const pattern = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/
/** A timer of Node takes no longer time. */
const mostMs = 24 * 3_600_000

/** A time from `leastMs` to 24 hours, as milliseconds. */
export function duration(leastMs: number): z.ZodType<number, string> {
  return z
    .string('must be a time with its unit, such as 500ms, 30s, 5m or 1h')
    .regex(pattern, 'must be a time with its unit, such as 500ms, 30s, 5m or 1h')
    .transform((text) => {
      const [, number, unit] = pattern.exec(text)!
      return Number(number) * units[unit!]!
    })
    .refine((ms) => ms >= leastMs && ms <= mostMs, `must be from ${leastMs} ms to 24 h`)
}
