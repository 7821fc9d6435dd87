/** The route of a segmenter's mask. */
import { z } from 'zod'
import { encodeMask } from '../pixels/mask.js'
import type { ApiCamera } from './api-camera.js'
import { pictureSides } from './messages.js'
import { ApiError, route, type Binary, type Route } from './route.js'

/** Pixels of the longer side where none is asked for. */
const usualSide = 640

/** `cameraOf` gives the camera with an id, and throws ApiError where it is unknown or paused. */
export function maskRoute(cameraOf: (id: string) => ApiCamera): Route {
  const side = z.coerce.number().pipe(z.union(pictureSides.map((value) => z.literal(value))))
  return route({
    method: 'GET',
    url: '/api/cameras/:camera/mask.png',
    summary: 'Of a segmenter: the labels of the places of the next frame in their colours, to lie over the frame',
    params: z.object({ camera: z.string().max(64) }),
    query: z.strictObject({ side: side.optional() }),
    reply: { media: 'image/png', description: 'PNG' },
    async handle({ params, query, signal }): Promise<Binary> {
      const camera = cameraOf(params.camera)
      const picture = await camera.capture({ maxSide: query.side ?? usualSide, mask: true, signal })
      if (picture.mask) return { media: 'image/png', bytes: await encodeMask(picture.mask, picture) }
      throw new ApiError(503, 'FRAME_INVALID', `camera ${camera.id}: its frame gave no mask`, 'Try again.')
    },
  })
}
