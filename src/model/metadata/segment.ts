/** The form of a segmenter's outputs; `segment-layouts.ts` recognises it. A manifest gives it in its field `segment`. */
import { z } from 'zod'

/** Every field of a layout, as a manifest may give it. */
export const segmentSchema = z.strictObject({
  output: z.string().min(1).describe('the output with the classes of all places'),
  format: z
    .enum(['nchw', 'nhwc', 'numbers'])
    .describe('scores [1,C,H,W]; scores [1,H,W,C]; numbers of the classes [1,H,W]'),
  classCount: z.int().min(1).max(1000).describe('number of classes'),
  activation: z.enum(['none', 'sigmoid']).describe('what turns the numbers of a single class into scores'),
  minScore: z.number().min(0).max(1).describe('of a single class: from which score on a place belongs to it'),
})
export type SegmentLayout = z.output<typeof segmentSchema>

/** What a manifest says of a layout. */
export const segmentOverrides = segmentSchema.partial()
