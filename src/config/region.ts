/** Parts of a picture as people write them: a rectangle or a polygon, in shares of the upright picture from 0 to 1. */
import { z } from 'zod'
import { readShape, type Shape } from '../pixels/shape.js'

/** A share from 0 to 1. */
export const share = z.number().min(0).max(1)

/** A rectangle of the frame as x,y,width,height: text, a list, or an object (commands on MQTT). */
export const region = z
  .union([
    z.string().transform((text) => text.split(',').map(Number)),
    z.array(z.number()),
    z
      .strictObject({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
      .transform(({ x, y, width, height }) => [x, y, width, height]),
    z
      .strictObject({ x: z.number(), y: z.number(), w: z.number(), h: z.number() })
      .transform(({ x, y, w, h }) => [x, y, w, h]),
  ])
  .pipe(z.tuple([share, share, share, share], 'must be x,y,width,height, each from 0 to 1'))
  .refine(([x, y, w, h]) => w > 0 && h > 0 && x + w <= 1.000001 && y + h <= 1.000001, 'must lie inside the frame')
  .transform(([x, y, width, height]) => ({ x, y, width, height }))

/** A corner of a polygon as [x, y]. */
export const corner = z.tuple([share, share])

const numbers = { x: z.number(), y: z.number() }

/**
 * The part of the picture that a zone looks at: corners of a polygon, or a rectangle. It lies inside the picture, does not
 * cross itself, and is larger than a few pixels.
 */
export const zoneRegion = z
  .union(
    [
      z.string(),
      z.array(z.number()),
      z.array(z.array(z.number())),
      z.strictObject({ ...numbers, width: z.number(), height: z.number() }),
      z.strictObject({ ...numbers, w: z.number(), h: z.number() }),
    ],
    'must be {x, y, width, height} or a list of corners [[x, y], …], with numbers from 0 to 1',
  )
  .transform((given, context): Shape => {
    const read = readShape(given)
    if ('shape' in read) return read.shape
    context.addIssue({ code: 'custom', message: read.fault })
    return z.NEVER
  })
