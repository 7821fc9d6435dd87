/** Names of cameras, zones and models. */
import { z } from 'zod'

/** A name in topics. */
export const id = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/, 'must consist of a-z, 0-9 and -')
