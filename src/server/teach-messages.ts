/** The messages about teaching, as schemas. Names that end in `Ms` are points in time, in Unix milliseconds. */
import { z } from 'zod'

const counts = z.record(z.string(), z.int())

/** A taught picture. */
export const taughtPicture = z.object({
  id: z.string(),
  state: z.string().nullable().describe('null: it shows none of the states'),
  atMs: z.number().nullable(),
  label: z
    .string()
    .nullable()
    .describe(
      'what the present head calls it: a state or unknown; null before it was fitted, and for none of the states',
    ),
  score: z.number().nullable().describe('of the best state'),
  leftOut: z.string().nullable().describe('what a head that was not taught it calls it'),
  doubt: z
    .object({ called: z.string(), score: z.number() })
    .nullable()
    .describe('the state that it probably shows instead of its own'),
})

/** How good a head is, from predictions of pictures by heads that did not see them. */
export const teachReport = z.object({
  pictures: counts.describe('of each state'),
  groups: z
    .int()
    .describe('groups that were left out together: pictures of a state within ten minutes, else single ones'),
  accuracy: z.number().nullable().describe('share that is right; null where a state has one picture'),
  interval: z.tuple([z.number(), z.number()]).nullable().describe('95 % interval of the accuracy'),
  confusion: z.record(z.string(), counts).describe('counts by taught state, then by what they are called'),
  weakest: z.string().nullable().describe('the state that is most often wrong'),
  doubts: z
    .array(z.object({ id: z.string(), taught: z.string(), called: z.string(), score: z.number() }))
    .describe('pictures that probably have the wrong state, the most certain first'),
  enough: z.boolean(),
  advice: z.string().describe('what to do next, in one sentence'),
})

/** What a zone was taught. */
export const teachStatus = z.object({
  zone: z.string().describe('its key'),
  head: z.string().describe('name of its head, whether there is one or not'),
  isServing: z.boolean().describe('the head answers for the zone'),
  isFitting: z.boolean().describe('ask again until it is false'),
  clip: z
    .object({ frames: z.int(), everyMs: z.number() })
    .nullable()
    .describe('it is taught clips, made of frames like this; null: pictures'),
  canUndo: z.boolean(),
  fault: z.string().nullable().describe('why the last fit failed; what served before goes on'),
  model: z.string().nullable().describe('the network that it was taught on'),
  fittedMs: z.number().nullable(),
  states: z.array(z.object({ state: z.string(), pictures: z.int() })),
  pictures: z.array(taughtPicture),
  report: teachReport.nullable(),
  needsTeaching: z
    .object({
      sinceMs: z.number(),
      why: z.string(),
      examples: z.int().describe('pictures that show it, from number 0'),
    })
    .nullable()
    .describe('what it sees is not what it was taught any more; null: it is'),
})

export type TaughtPicture = z.infer<typeof taughtPicture>
export type TeachStatus = z.infer<typeof teachStatus>
