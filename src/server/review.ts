/** Review on the page: the switch of the collector, groups of pictures without a label, and one click that labels a group. */
import { z } from 'zod'
import { groupedBy } from '../collector/groups.js'
import { keptName, type Kept } from '../collector/store.js'
import type { Grouping } from '../collector/review.js'
import type { Reviewing } from '../run/teaching/reviewing.js'
import { reviewGroups, reviewPicture, reviewState } from './review-messages.js'
import type { ReviewGroups, ReviewPicture, ReviewState } from './review-messages.js'
import { ApiError, route, type Binary, type Route } from './route.js'

const name = z.string().regex(keptName)
const label = z.string().min(1).max(200).nullable()
const ofGroup = z.object({ group: z.string().regex(/^[0-9a-f]{16}$/) })
const counted = z.object({ pictures: z.int().describe('pictures that it was done to') })
const names = z.array(name).min(1).max(400)

/** An archive is made in memory. */
const mostZipBytes = 64 << 20

/** Looking at pictures stops after this time, so that the answer comes; the next request goes on. */
const lookMs = 8000

/** The routes of review. */
export function reviewRoutes(reviewing: Reviewing): Route[] {
  return [...stateRoutes(reviewing), ...readRoutes(reviewing), ...labelRoutes(reviewing)]
}

function stateRoutes(reviewing: Reviewing): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/review',
      summary: 'The collector and the pictures for review',
      reply: reviewState,
      handle: () => stateOf(reviewing),
    }),
    route({
      method: 'PUT',
      url: '/api/review/collector',
      summary: 'Switch the collector on or off; null restores the configured value',
      body: z.strictObject({ value: z.boolean().nullable() }),
      reply: reviewState,
      async handle({ body }) {
        await reviewing.collector.set(body.value)
        return stateOf(reviewing)
      },
    }),
  ]
}

function readRoutes({ review }: Reviewing): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/review/groups',
      summary: 'Groups of alike pictures that have no label',
      reply: reviewGroups,
      handle: async ({ signal }) =>
        groupsOf(await review.groups(AbortSignal.any([signal, AbortSignal.timeout(lookMs)]))),
    }),
    route({
      method: 'GET',
      url: '/api/review/pictures',
      summary: 'Pictures that have a label, or this label, newest first',
      query: z.strictObject({ label: z.string().max(200).optional() }),
      reply: z.array(reviewPicture),
      async handle({ query }) {
        const labelled = (await review.list()).filter((kept) => kept.label !== null)
        const wanted = labelled.filter((kept) => query.label === undefined || kept.label === query.label)
        return wanted.reverse().map(pictureOf)
      },
    }),
    route({
      method: 'GET',
      url: '/api/review/labelled.zip',
      summary: 'The pictures that have a label, in a folder for each; gapcam eval and trainers read it',
      reply: { media: 'application/zip', description: 'ZIP' },
      async handle(): Promise<Binary> {
        const files = await review.files(mostZipBytes)
        if (!files)
          throw new ApiError(
            409,
            'USAGE',
            'the labelled pictures are too many for one file; gapcam review export FOLDER writes them',
          )
        const { zipOf } = await import('../teach/zip.js')
        return { media: 'application/zip', bytes: zipOf(files), fileName: 'labelled.zip' }
      },
    }),
    route({
      method: 'GET',
      url: '/api/review/pictures/:name',
      summary: 'A picture for review',
      params: z.object({ name }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params }): Promise<Binary> {
        const bytes = await review.picture(params.name)
        if (!bytes) throw new ApiError(404, 'PICTURE_UNKNOWN', `there is no picture ${params.name}`)
        return { media: 'image/jpeg', bytes, fileName: `${params.name}.jpg` }
      },
    }),
  ]
}

function labelRoutes({ review }: Reviewing): Route[] {
  return [
    route({
      method: 'POST',
      url: '/api/review/groups/:group/label',
      summary: 'Give all pictures of a group a label, except some',
      params: ofGroup,
      body: z.strictObject({
        label: label.describe('null takes labels away'),
        except: z.array(name).max(400).default([]),
      }),
      reply: counted,
      handle: async ({ params, body }) => countOf(await review.labelGroup(params.group, body.label, body.except)),
    }),
    route({
      method: 'DELETE',
      url: '/api/review/groups/:group',
      summary: 'Delete all pictures of a group',
      params: ofGroup,
      reply: counted,
      handle: async ({ params }) => countOf(await review.discardGroup(params.group)),
    }),
    route({
      method: 'POST',
      url: '/api/review/label',
      summary: 'Give pictures a label; null takes it away',
      body: z.strictObject({ pictures: names, label }),
      reply: counted,
      handle: async ({ body }) => countOf(await review.label(body.pictures, body.label)),
    }),
    route({
      method: 'POST',
      url: '/api/review/discard',
      summary: 'Delete pictures with all that is known of them',
      body: z.strictObject({ pictures: names }),
      reply: counted,
      async handle({ body }) {
        await review.discard(body.pictures)
        return { pictures: body.pictures.length }
      },
    }),
  ]
}

async function stateOf({ collector, review, store }: Reviewing): Promise<ReviewState> {
  const kept = await review.list()
  const labels = kept.flatMap((each) => (each.label === null ? [] : [each.label]))
  return {
    isOn: collector.isOn,
    pictures: kept.length,
    labelled: labels.length,
    bytes: await store.bytes(),
    maxBytes: store.maxBytes,
    ...collector.collected,
    labels: [...new Set(labels)].sort(),
    zones: byZone(kept),
  }
}

function byZone(kept: readonly Kept[]): ReviewState['zones'] {
  const labelled = kept.filter((each) => each.label !== null)
  const zones = [...groupedBy(labelled, ({ about }) => about.zone)]
  return Object.fromEntries(
    zones.map(([zone, own]) => {
      const labels = [...groupedBy(own, (each) => each.label!)]
      return [zone, Object.fromEntries(labels.map(([given, { length }]) => [given, length]))]
    }),
  )
}

function groupsOf({ groups, waiting }: Grouping): ReviewGroups {
  return {
    groups: groups.map(({ id, suggestion, pictures }) => ({
      id,
      suggestion,
      size: pictures.flat().length,
      distinct: pictures.length,
      pictures: pictures.map((twins) => twins.map(pictureOf)),
    })),
    waiting,
  }
}

function pictureOf({ name: id, label: given, about: { v: _, ...about } }: Kept): ReviewPicture {
  return { name: id, ...about, label: given }
}

function countOf(pictures: number | null): z.output<typeof counted> {
  if (pictures !== null) return { pictures }
  throw new ApiError(409, 'GROUP_CHANGED', 'the group has other pictures now', 'Read the groups again.')
}
