/**
 * Teaching on the page: what a zone was taught, its pictures, and the routes that change them through the run's commands. The
 * key of a zone is one part of an address, so its slash is written as %2F.
 */
import { z } from 'zod'
import type { Commands } from '../run/commands/commands.js'
import type { LiveRun } from '../run/runtime.js'
import { Refusal } from '../run/commands/refusal.js'
import type { Teaching } from '../run/teaching/teaching.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'
import { teachStatus } from './teach-messages.js'
import { thumbnailOf, thumbnailSide } from './thumbnail.js'

/** What the routes read and change. */
export interface TeachRouteOptions {
  readonly live: Pick<LiveRun, 'teaching'>
  readonly commands: Pick<Commands, 'execute'>
}

/** Pictures of one upload. */
const uploadBytes = 24 << 20

const ofZone = z.object({ zone: z.string().max(130).describe('camera/zone with the slash as %2F, or a camera') })
const ofPicture = ofZone.extend({ picture: z.string().regex(/^[0-9a-f]{24}$/) })
const ofState = ofZone.extend({ state: z.string().max(400).describe('percent-encoded') })
const state = z.string().max(400).nullable().describe('null: the picture shows none of the states')

/** The routes of teaching. Each change executes one command and answers with the zone as it is then. */
export function teachRoutes(options: TeachRouteOptions): Route[] {
  const command: Command = (zone, kind, fields = {}) =>
    commandData(options.commands, { kind, zone, ...fields }).catch(told)
  const change: Change = async (zone, kind, fields) => {
    await command(zone, kind, fields)
    return asked(() => options.live.teaching.status(zone))
  }
  return [
    ...readRoutes(options),
    ...pictureRoutes(change),
    ...stateRoutes(change),
    reviewedRoute(command),
    ...headRoutes(change),
  ]
}

/** What failed was tried on this device, such as writing on a full disk: the visitor reads why. */
function told(error: unknown): never {
  throw error instanceof ApiError && error.status === 500 ? new ApiError(503, error.code, error.message) : error
}

type Command = (zone: string, kind: string, fields?: object) => Promise<Readonly<Record<string, unknown>>>
type Change = (zone: string, kind: string, fields?: object) => Promise<unknown>

/** A read of a zone that does not exist is the visitor's mistake. */
async function asked<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new ApiError(
      error.code === 'invalid' ? 404 : 501,
      'ZONE_UNKNOWN',
      error.message,
      'GET /api/state lists the zones.',
    )
  }
}

function readRoutes(options: TeachRouteOptions): Route[] {
  const teaching = (): Teaching => options.live.teaching
  return [
    route({
      method: 'GET',
      url: '/api/teach/:zone',
      summary:
        'What a zone was taught: its states, its pictures with what the head calls them, and how good the head is',
      params: ofZone,
      reply: teachStatus,
      handle: ({ params }) => asked(() => teaching().status(params.zone)),
    }),
    route({
      method: 'GET',
      url: '/api/teach/:zone/pictures/:picture/thumbnail.jpg',
      summary: `A taught picture, with a longer side of ${thumbnailSide} pixels`,
      params: ofPicture,
      reply: { media: 'image/jpeg', description: 'JPEG' },
      handle: ({ params }) =>
        asked(async (): Promise<Binary> => {
          const { store } = await teaching().headOf(params.zone)
          return thumbnailOf(await store.picture(params.picture), params.picture)
        }),
    }),
    route({
      method: 'GET',
      url: '/api/teach/:zone/examples/:index',
      summary: 'A picture that shows why the zone needs teaching',
      params: ofZone.extend({ index: z.coerce.number().pipe(z.int().min(0).max(9)) }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      handle({ params }): Binary {
        const bytes = teaching().example(params.zone, params.index)
        if (!bytes) throw new ApiError(404, 'PICTURE_UNKNOWN', `there is no example ${params.index}`)
        return { media: 'image/jpeg', bytes }
      },
    }),
    route({
      method: 'GET',
      url: '/api/teach/:zone/pictures.zip',
      summary: 'The taught pictures, in a folder for each state; gapcam eval and trainers read it',
      params: ofZone,
      reply: { media: 'application/zip', description: 'ZIP' },
      handle: ({ params }) =>
        asked(async (): Promise<Binary> => {
          const head = await teaching().headOf(params.zone)
          const { zipOf } = await import('../teach/zip.js')
          const fileName = `${head.store.name}-pictures.zip`
          return { media: 'application/zip', bytes: zipOf(await head.files()), fileName }
        }),
    }),
    route({
      method: 'GET',
      url: '/api/teach/:zone/model.onnx',
      summary: 'Network and head as one ONNX model that every program runs',
      params: ofZone,
      reply: { media: 'application/octet-stream', description: 'ONNX' },
      handle: ({ params }) =>
        asked(async (): Promise<Binary> => {
          const { store } = await teaching().headOf(params.zone)
          const bytes = Buffer.from(await teaching().model(params.zone))
          return { media: 'application/octet-stream', bytes, fileName: `${store.name}.onnx` }
        }),
    }),
  ]
}

function pictureRoutes(change: Change): Route[] {
  return [
    route({
      method: 'POST',
      url: '/api/teach/:zone/capture',
      summary:
        'Teach: the present picture of the zone shows this state; a head is fitted as soon as there are two states',
      params: ofZone,
      body: z.strictObject({ state }),
      reply: teachStatus,
      handle: ({ params, body }) => change(params.zone, 'teach', body),
    }),
    route({
      method: 'POST',
      url: '/api/teach/:zone/pictures',
      summary: 'Teach pictures that were taken elsewhere, up to 20 at once',
      params: ofZone,
      body: z.strictObject({
        state,
        pictures: z
          .array(
            z.strictObject({
              data: z
                .string()
                .describe('the file in base64: a picture; of a clip an animated one, Motion JPEG or a recording'),
              atMs: z.number().nullable().default(null).describe('when it was taken; null where that is unknown'),
            }),
          )
          .max(20),
      }),
      bodyBytes: uploadBytes,
      reply: teachStatus,
      handle: ({ params, body }) => change(params.zone, 'teach_add', body),
    }),
    route({
      method: 'PUT',
      url: '/api/teach/:zone/pictures/:picture',
      summary: 'Put a taught picture under another state',
      params: ofPicture,
      body: z.strictObject({ state }),
      reply: teachStatus,
      handle: ({ params: { zone, picture }, body }) => change(zone, 'teach_move', { picture, ...body }),
    }),
    route({
      method: 'DELETE',
      url: '/api/teach/:zone/pictures/:picture',
      summary: 'Remove a taught picture',
      params: ofPicture,
      reply: teachStatus,
      handle: ({ params: { zone, picture } }) => change(zone, 'teach_remove', { picture }),
    }),
  ]
}

function stateRoutes(change: Change): Route[] {
  return [
    route({
      method: 'PUT',
      url: '/api/teach/:zone/states/:state',
      summary: 'Give a state another name; the name of another state joins both',
      params: ofState,
      body: z.strictObject({ state: z.string().max(400) }),
      reply: teachStatus,
      handle: ({ params, body }) => change(params.zone, 'teach_rename_state', { state: params.state, to: body.state }),
    }),
    route({
      method: 'DELETE',
      url: '/api/teach/:zone/states/:state',
      summary: 'Remove a state with its pictures; undo brings it back',
      params: ofState,
      reply: teachStatus,
      handle: ({ params }) => change(params.zone, 'teach_remove_state', { state: params.state }),
    }),
  ]
}

function reviewedRoute(command: Command): Route {
  return route({
    method: 'POST',
    url: '/api/teach/:zone/reviewed',
    summary:
      'Teach pictures that have a label in review: those of these names, else all of the zone and those from folders',
    params: ofZone,
    body: z.strictObject({ pictures: z.array(z.string().max(64)).min(1).max(400).optional() }),
    reply: z.object({
      added: z.int().describe('pictures that were not taught before; nearly equal ones count once'),
      known: z.int().describe('those that were'),
    }),
    async handle({ params, body }) {
      const { added, known } = await command(params.zone, 'teach_reviewed', body)
      return { added, known }
    },
  })
}

function headRoutes(change: Change): Route[] {
  return [
    route({
      method: 'POST',
      url: '/api/teach/:zone/undo',
      summary: 'Take the last change of what was taught back: the head before serves. Undoing again takes that back',
      params: ofZone,
      reply: teachStatus,
      handle: ({ params }) => change(params.zone, 'teach_undo'),
    }),
    route({
      method: 'POST',
      url: '/api/teach/:zone/fit',
      summary:
        'Fit the pictures again, such as on another network, or let a taught head of this name answer for the zone',
      params: ofZone,
      body: z.strictObject({ head: z.string().max(64).optional() }),
      reply: teachStatus,
      handle: ({ params, body }) => change(params.zone, 'teach_fit', body),
    }),
  ]
}
