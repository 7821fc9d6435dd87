/** The messages about the node's own bundle, as schemas. */
import { z } from 'zod'

const slot = z.object({ version: z.string(), digest: z.string() }).nullable()

const shadow = z.object({
  compared: z.int().describe('pictures that both models have judged'),
  agreed: z.int(),
  failed: z.int().describe('pictures that the candidate could not judge'),
  servingMs: z.number().describe('mean time of an inference'),
  candidateMs: z.number(),
  drift: z.number().describe("mean difference of the best label's score, candidate less serving"),
  changes: z
    .array(z.object({ from: z.string(), to: z.string(), count: z.int() }))
    .describe('changes of label that occur most'),
  elapsedMs: z.number(),
  objection: z.string().nullable().describe('what the rule models.confirm still waits for; null also without a rule'),
  isGood: z.boolean().describe('there is a rule, and nothing speaks against a confirmation'),
  pictures: z
    .array(z.object({ number: z.int(), atMs: z.number(), from: z.string(), to: z.string() }))
    .describe('the last pictures on which the labels differ, newest first'),
})

/** The node's own bundle. */
export const bundleState = z.object({
  name: z.string().nullable().describe('null: the model is a file'),
  state: z.enum(['none', 'shadow', 'probation', 'settled']),
  installed: slot.describe('the bundle that serves; null: the file, or the model that comes with gapcam'),
  candidate: slot.describe('it computes beside the model that serves'),
  before: slot.describe('a rollback brings it back'),
  fault: z.string().nullable().describe('why the last rollback happened by itself'),
  shadow: shadow.nullable(),
})

export type BundleState = z.infer<typeof bundleState>
export type ShadowState = z.infer<typeof shadow>
