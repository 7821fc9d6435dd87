/**
 * How a detector's outputs are laid out: which output holds boxes, scores and classes, in which coordinates, and what of the
 * usual work (activation, anchors, suppression) is left to do. A manifest gives it in its field `detect`; what it leaves out
 * is told by `detect-layouts.ts`.
 */
import { z } from 'zod'

const name = z.string().min(1)
const share = z.number().min(0).max(1)

/** A box of a grid: centre x, centre y, width and height in shares of the input. */
const anchor = z.tuple([z.number(), z.number(), z.number(), z.number()])

/** Every field of a layout, as a manifest may give it. */
export const detectFields = {
  format: z
    .enum(['boxes', 'rows', 'yolo', 'yolo5', 'yolox', 'ssd'])
    .describe(
      'boxes: finished boxes, scores and classes in outputs of their own; rows: finished boxes of x, y, x, y, score, class in one output; yolo: [1, 4 + classes, n] or [1, n, 4 + classes]; yolo5: [1, n, 5 + classes]; yolox: the same, relative to the cells of a grid; ssd: boxes relative to anchors, and scores',
    ),
  boxes: name.describe('the output with the boxes, or with everything'),
  scores: name.describe('the output with the scores').optional(),
  classes: name.describe('the output with the numbers of the classes').optional(),
  count: name.describe('the output with the number of boxes').optional(),
  coordinates: z
    .enum(['corners', 'corners-yx', 'centre', 'centre-yx', 'corner-size'])
    .describe('x, y, x, y; y, x, y, x; centre x, y, width, height; centre y, x, height, width; x, y, width, height'),
  unit: z.enum(['pixels', 'shares']).describe("of the network's input"),
  activation: z.enum(['none', 'sigmoid', 'softmax']).describe('what turns the numbers of the classes into scores'),
  background: z.enum(['none', 'first', 'last']).describe('which class is none'),
  firstClass: z.int().min(0).describe('the number of the first label in the output with the classes'),
  classCount: z.int().min(0).max(100_000).describe('number of classes without the background'),
  anchors: z
    .union([
      z.array(anchor).min(1).max(200_000),
      z.strictObject({ strides: z.array(z.int().min(1)).min(1).max(16), perPlace: z.int().min(1).max(16) }),
      z.literal('none'),
    ])
    .describe(
      'the anchors in shares, as centre x, y, width, height; or squares of the size 1 in a grid for each stride; none: the boxes are relative to nothing',
    )
    .optional(),
  scales: z
    .tuple([z.number().gt(0), z.number().gt(0), z.number().gt(0), z.number().gt(0)])
    .describe('divide the numbers of a box relative to its anchor: x, y, width, height')
    .optional(),
  exponential: z.boolean().describe('whether width and height are logarithms').optional(),
  minScore: share.describe('boxes with a lower score are left out'),
  overlap: share.describe('boxes of a higher overlap with a better one are left out; 1 for none'),
  suppression: z.enum(['plain', 'weighted']).describe('weighted: a box is the mean of those that it stands for'),
  perClass: z.boolean().describe('whether boxes are left out only for better ones of their own class'),
  most: z.int().min(1).max(1000).describe('most boxes of one picture'),
}

/** A whole layout. */
export const detectSchema = z.strictObject(detectFields)
export type DetectLayout = z.output<typeof detectSchema>

/** What a manifest says of a layout. */
export const detectOverrides = detectSchema.partial()
export type DetectOverrides = z.output<typeof detectOverrides>

/** The outputs that a layout reads. */
export function outputsOf({ boxes, scores, classes, count }: DetectOverrides): readonly string[] {
  return [...new Set([boxes, scores, classes, count].filter((output) => output !== undefined))]
}
