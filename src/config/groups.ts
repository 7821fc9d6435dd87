/** The key `groups` of the configuration: names by which many devices take one command. */
import { z } from 'zod'

/** One of them. */
export const group = z
  .string()
  .max(64)
  .refine((text) => !text.includes('/'), {
    error: ({ input }) =>
      `${JSON.stringify(input)} must not contain /: a group is one level of a topic, and groups do not nest. Use - instead`,
    abort: true,
  })
  .regex(/^[a-z0-9-]+$/, 'must consist of a-z, 0-9 and -')

/** Groups of one device, each once. */
export const groups = z
  .array(group)
  .max(16)
  .refine((all) => new Set(all).size === all.length, 'must not name a group twice')
