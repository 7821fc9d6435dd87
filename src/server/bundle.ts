/** The node's own bundle on the page: how a candidate compares with the model that serves, and the next step. */
import { z } from 'zod'
import type { BundleTarget } from '../run/bundles/commands.js'
import type { Commands } from '../run/commands/commands.js'
import { bundleState, type BundleState } from './bundle-messages.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'

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
