/** The routes of a camera's view: where it lies, its pictures, and accepting the present one. */
import { z } from 'zod'
import type { Commands } from '../run/commands/commands.js'
import type { LiveRun } from '../run/runtime.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import type { CameraView } from '../run/zones/views.js'
import { anchorState } from './messages.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'

export interface AnchorRouteOptions {
  readonly live: Pick<LiveRun, 'views'>
  readonly commands: Pick<Commands, 'execute'>
  /** The id of a camera that there is; throws ApiError for another one. */
  readonly camera: (id: string) => string
}

const ofCamera = z.object({ camera: z.string().max(64) })
const quality = 90

/** All routes below /api/cameras/:camera/anchor. */
export function anchorRoutes({ live, commands, camera }: AnchorRouteOptions): Route[] {
  const picture = (which: 'reference' | 'present', summary: string): Route =>
    route({
      method: 'GET',
      url: `/api/cameras/:camera/anchor/${which}.jpg`,
      summary,
      params: ofCamera,
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params }): Promise<Binary> {
        const view = live.views.of(camera(params.camera)).pictures[which]
        if (view) return { media: 'image/jpeg', bytes: await jpegOf(view), fileName: `${params.camera}-${which}.jpg` }
        throw new ApiError(
          404,
          'VIEW_UNKNOWN',
          `camera ${params.camera} has no ${which} view yet`,
          'A view is taken when a live camera with a zone that has a region delivers its first picture.',
        )
      },
    })
  return [
    route({
      method: 'GET',
      url: '/api/cameras/:camera/anchor',
      summary: 'Whether the camera still has the view in which its regions were drawn, and where that lies now',
      params: ofCamera,
      reply: anchorState,
      handle: ({ params }) => live.views.of(camera(params.camera)).report,
    }),
    picture('reference', 'The view in which regions were drawn: a small grey picture'),
    picture('present', 'The present view, in the same form'),
    route({
      method: 'POST',
      url: '/api/cameras/:camera/anchor/accept',
      summary: 'Take the present view as the one that regions belong to; `same`: it only looks different',
      params: ofCamera,
      body: z.strictObject({ same: z.boolean().optional() }),
      reply: z.record(z.string(), z.unknown()),
      handle: ({ params, body }) => commandData(commands, { kind: 'view_accept', ...params, ...body }),
    }),
  ]
}

/** A small grey picture for people. */
function jpegOf({ width, height, levels }: NonNullable<CameraView['pictures']['present']>): Promise<Buffer> {
  const rgb = new Uint8Array(levels.length * 3)
  for (const [i, level] of levels.entries()) rgb.fill(Math.round(level), 3 * i, 3 * i + 3)
  return encodeJpeg({ rgb, width, height }, quality)
}
