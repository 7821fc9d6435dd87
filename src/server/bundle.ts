/** The node's own bundle on the page: how a candidate compares with the model that serves, and the next step. */
import { z } from 'zod'
import type { BundleTarget } from '../run/bundle-commands.js'
import type { Commands } from '../run/commands.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'

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
type BundleState = z.output<typeof bundleState>

export interface BundleRouteOptions {
  /** Undefined: this run keeps no bundles. */
  readonly bundles: BundleTarget | undefined
  readonly commands: Pick<Commands, 'execute'>
}

/** All routes below /api/bundle. */
export function bundleRoutes({ bundles, commands }: BundleRouteOptions): Route[] {
  const state = (): BundleState => {
    if (!bundles) return { ...nothing }
    const { shadow: compared, ...report } = bundles.report()
    const pictures = compared?.pictures.map(({ file: _file, ...picture }) => picture) ?? []
    return { ...report, shadow: compared && { ...compared, changes: [...compared.changes], pictures } }
  }
  const step = (kind: 'model_confirm' | 'model_rollback', path: string, summary: string): Route =>
    route({
      method: 'POST',
      url: `/api/bundle/${path}`,
      summary,
      body: z.strictObject({}),
      reply: bundleState,
      async handle() {
        await commandData(commands, { kind })
        return state()
      },
    })
  return [
    route({
      method: 'GET',
      url: '/api/bundle',
      summary: "The node's own bundle, and how a candidate compares with the model that serves",
      reply: bundleState,
      handle: state,
    }),
    route({
      method: 'GET',
      url: '/api/bundle/pictures/:number',
      summary: 'A picture on which the labels differ',
      params: z.object({ number: z.coerce.number().pipe(z.int().min(0).max(99)) }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params: { number } }): Promise<Binary> {
        const bytes = await bundles?.picture(number)
        if (bytes) return { media: 'image/jpeg', bytes, fileName: `candidate-${number}.jpg` }
        throw new ApiError(
          404,
          'PICTURE_UNKNOWN',
          `there is no picture ${number}`,
          'GET /api/bundle lists the pictures.',
        )
      },
    }),
    step('model_confirm', 'confirm', 'Let the candidate serve, or end the probation'),
    step('model_rollback', 'rollback', 'Drop the candidate, or go back to the bundle before'),
  ]
}

const nothing: BundleState = {
  name: null,
  state: 'none',
  installed: null,
  candidate: null,
  before: null,
  fault: null,
  shadow: null,
}
