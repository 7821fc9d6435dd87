/** Galleries on the page: their names, and the routes that enrol the present picture of a zone, merge, rename and forget. */
import { z } from 'zod'
import type { GalleryRecord } from '../gallery/record.js'
import type { Galleries } from '../run/teaching/galleries.js'
import { galleryState, leftRow, type GalleryState } from './gallery-messages.js'
import { ApiError, route, type Binary, type Route } from './route.js'
import { thumbnailOf, thumbnailSide } from './thumbnail.js'

const ofGallery = z.object({ gallery: z.string().max(64) })
const name = z.string().min(1).max(256)
const base64 = /^[A-Za-z0-9+/]+={0,2}$/
/** Pictures of one upload. */
const uploadBytes = 24 << 20

/** The routes of galleries. */
export function galleryRoutes(galleries: Galleries): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/galleries',
      summary: 'Galleries with their names',
      reply: z.array(galleryState),
      handle: async () => (await galleries.list()).map((gallery) => stateOf(gallery.name, gallery.record)),
    }),
    route({
      method: 'POST',
      url: '/api/galleries/:gallery/enrol',
      summary: 'Enrol the present picture of a zone under a name; makes the gallery where there is none',
      params: ofGallery,
      body: z.strictObject({ name, zone: z.string().max(130).describe('camera/zone, or a camera') }),
      reply: galleryState,
      handle: async ({ params: { gallery }, body, signal }) =>
        stateOf(gallery, await galleries.enrol(gallery, body.name, body.zone, signal)),
    }),
    ...pictureRoutes(galleries),
    ...nameRoutes(galleries),
  ]
}

function pictureRoutes(galleries: Galleries): Route[] {
  return [
    route({
      method: 'POST',
      url: '/api/galleries/:gallery/pictures',
      summary: 'Enrol pictures that were taken elsewhere, up to 20 at once; makes the gallery where there is none',
      params: ofGallery,
      body: z.strictObject({
        name,
        pictures: z.array(z.string().regex(base64, 'must be a picture in base64')).min(1).max(20),
      }),
      bodyBytes: uploadBytes,
      reply: galleryState,
      async handle({ params: { gallery }, body }) {
        const pictures = body.pictures.map((text) => Buffer.from(text, 'base64'))
        return stateOf(gallery, await galleries.change(gallery, (each) => each.enrol(body.name, pictures)))
      },
    }),
    route({
      method: 'GET',
      url: '/api/galleries/:gallery/pictures/:picture/thumbnail.jpg',
      summary: `An enrolled picture, with a longer side of ${thumbnailSide} pixels`,
      params: ofGallery.extend({ picture: z.string().regex(/^[0-9a-f]{24}$/) }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params: { gallery, picture } }): Promise<Binary> {
        const bytes = await galleries.picture(gallery, picture)
        if (!bytes) throw new ApiError(404, 'PICTURE_UNKNOWN', `there is no picture ${picture}`)
        return thumbnailOf(bytes, picture)
      },
    }),
  ]
}

function nameRoutes(galleries: Galleries): Route[] {
  const body = z.strictObject({ from: name, to: name })
  const both = { method: 'POST', params: ofGallery, body, reply: galleryState } as const
  return [
    route({
      ...both,
      url: '/api/galleries/:gallery/merge',
      summary: 'Join two names that are the same: the pictures of one go to the other',
      handle: async ({ params: { gallery }, body: { from, to } }) =>
        stateOf(gallery, await galleries.change(gallery, (each) => each.merge(from, to))),
    }),
    route({
      ...both,
      url: '/api/galleries/:gallery/rename',
      summary: 'Give a name another spelling',
      handle: async ({ params: { gallery }, body: { from, to } }) =>
        stateOf(gallery, await galleries.change(gallery, (each) => each.rename(from, to))),
    }),
    route({
      method: 'POST',
      url: '/api/galleries/:gallery/forget',
      summary: 'Delete a name from this device: pictures, vectors and models',
      params: ofGallery,
      body: z.strictObject({ name }),
      reply: z.object({ left: z.array(leftRow).describe('what of it has left the device before') }),
      handle: async ({ params: { gallery }, body: given }) => ({
        left: await galleries.change(gallery, (each) => each.forget(given.name)),
      }),
    }),
    route({
      method: 'DELETE',
      url: '/api/galleries/:gallery',
      summary: 'Delete a gallery from this device',
      params: ofGallery,
      reply: z.object({}),
      async handle({ params: { gallery } }) {
        await galleries.change(gallery, (each) => each.remove())
        return {}
      },
    }),
  ]
}

function stateOf(gallery: string, { names, calibration, left: gone }: GalleryRecord): GalleryState {
  const { threshold = 0, rate = 0, impostors = 0, accepted = 0, genuine = 0, rejected = 0 } = calibration ?? {}
  return {
    gallery,
    names: names.map((each) => ({ name: each.name, pictures: each.pictures.length, ids: each.pictures })),
    calibration: calibration && { threshold, rate, impostors, accepted, genuine, rejected },
    left: gone,
  }
}
