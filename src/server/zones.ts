/** Zones on the page: their state, and the routes that draw, change, rename and remove them through the run's commands. */
import { z } from 'zod'
import { writtenZone } from '../config/written.js'
import type { ZoneConfig } from '../config/zones.js'
import { inUpright } from '../pixels/shape.js'
import type { Commands } from '../run/commands/commands.js'
import { revisionOf } from '../run/zones/commands.js'
import type { LiveRun } from '../run/runtime.js'
import type { AnyZone } from '../zone/missing.js'
import { labelChange, type LabelChange, type ZoneState } from './messages.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { pictureMessage } from './pictures.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'

/** Decisions carry monotonic times; the page shows wall time. */
export const wallTimeOf = (monotonicMs: number): number => Math.round(Date.now() - (performance.now() - monotonicMs))

/** A zone as it is written, with its revision: computed once for each change. */
const written = new WeakMap<ZoneConfig, Pick<ZoneState, 'values' | 'revision'>>()

function writtenOf(zone: ZoneConfig): Pick<ZoneState, 'values' | 'revision'> {
  const known = written.get(zone)
  if (known) return known
  const made = { values: { ...writtenZone(zone) }, revision: revisionOf(zone) }
  written.set(zone, made)
  return made
}

/** The states of a camera's configured zones, in their order. */
export function zoneStates(live: Pick<LiveRun, 'zones' | 'settings' | 'teaching'>, camera: string): ZoneState[] {
  const { zones, settings } = live
  const configured = settings.cameras.find(({ id }) => id === camera)?.zones ?? []
  return configured.flatMap((zone): ZoneState[] => {
    const running = zones.find(({ key }) => key === `${camera}/${zone.id}`)
    return running ? [stateOf(running, zone, live)] : []
  })
}

function stateOf(
  running: AnyZone,
  zone: ZoneConfig,
  { settings, teaching }: Pick<LiveRun, 'settings' | 'teaching'>,
): ZoneState {
  const { label, reason, detail, score, sinceMs, top } = running.decision
  const { policy, isSwitchedOn } = settings.zone(running.key)
  const { region } = zone
  return {
    key: running.key,
    id: zone.id,
    name: zone.name ?? zone.id,
    region: region === undefined ? null : (region as ZoneState['region']),
    seenRegion: seenOf(running, region),
    label,
    reason: reason ?? null,
    detail: detail ?? null,
    score,
    sinceMs: wallTimeOf(sinceMs),
    top: [...top],
    threshold: policy.threshold,
    needsTeaching: teaching.drifted(running.key),
    isEnabled: isSwitchedOn,
    hasHeat: running.classifier !== null && 'heat' in running.classifier.heat,
    frames: running.frames,
    looks: Object.fromEntries(running.looks),
    skipped: running.skipped,
    ...writtenOf(zone),
  }
}

/** The region in the upright picture, where it lies now. The same as it was drawn while nothing has moved. */
function seenOf({ view, definition }: AnyZone, region: ZoneConfig['region']): ZoneState['seenRegion'] {
  const shape = view ? view.shape : definition.shape
  if (region === undefined || shape === null) return null
  if (shape === definition.shape) return region as ZoneState['seenRegion']
  return inUpright(shape, definition.turn) as ZoneState['seenRegion']
}

export interface ZoneRouteOptions {
  readonly live: Pick<LiveRun, 'zones' | 'settings' | 'views'>
  /** Names of models that zones can use. */
  readonly models: () => Promise<readonly string[]>
  readonly commands: Pick<Commands, 'execute'>
  /** Label changes of a zone, oldest first. */
  readonly history: (key: string) => readonly LabelChange[]
}

const ofCamera = z.object({ camera: z.string().max(64) })
const ofZone = ofCamera.extend({ zone: z.string().max(64) })
const answer = z.record(z.string(), z.unknown())

/** The routes of zones. Each change executes one command and answers with what that answers. */
export function zoneRoutes(options: ZoneRouteOptions): Route[] {
  const execute: Execute = (command) => commandData(options.commands, command)
  return [...shapeRoutes(execute, options.live), ...valueRoutes(execute), ...readRoutes(options), lookRoute(options)]
}

type Execute = (command: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>

function shapeRoutes(execute: Execute, live: ZoneRouteOptions['live']): Route[] {
  return [
    route({
      method: 'PUT',
      url: '/api/cameras/:camera/zones/:zone',
      summary: 'Add a zone, or change the given keys of one; null removes a key',
      params: ofZone,
      body: z.strictObject({
        values: z.record(z.string(), z.unknown()),
        rename: z.string().max(64).optional(),
        revision: z.string().max(64).optional().describe('refuse where the zone has another revision'),
      }),
      reply: answer,
      async handle({ params, body }) {
        const check = (): void => requireRevision(live, params, body.revision)
        check()
        try {
          return await execute({ kind: 'zone_set', ...params, ...body })
        } catch (error) {
          // Others may have changed it since.
          check()
          throw error
        }
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/cameras/:camera/zones/:zone',
      summary: 'Remove a zone',
      params: ofZone,
      reply: answer,
      handle: ({ params }) => execute({ kind: 'zone_remove', ...params }),
    }),
    route({
      method: 'DELETE',
      url: '/api/cameras/:camera/question',
      summary: "Remove a camera's question about the whole picture; its zones stay",
      params: ofCamera,
      reply: answer,
      handle: ({ params }) => execute({ kind: 'zone_remove', ...params }),
    }),
  ]
}

/** Refuses with a status of its own, so that the page can tell what happened and offer both versions. */
function requireRevision(
  { settings }: ZoneRouteOptions['live'],
  { camera, zone }: { readonly camera: string; readonly zone: string },
  revision: string | undefined,
): void {
  if (revision === undefined) return
  const now = settings.cameras.find(({ id }) => id === camera)?.zones?.find(({ id }) => id === zone)
  if (now && revisionOf(now) === revision) return
  const what = now ? 'was changed' : 'was removed or renamed'
  throw new ApiError(409, 'ZONE_CHANGED', `zone ${camera}/${zone} ${what} meanwhile`, 'Read it again and repeat.')
}

function valueRoutes(execute: Execute): Route[] {
  return [
    route({
      method: 'PUT',
      url: '/api/cameras/:camera/zones/:zone/enabled',
      summary: 'Pause or resume a zone',
      params: ofZone,
      body: z.strictObject({ value: z.boolean().nullable() }),
      reply: answer,
      handle: ({ params, body }) => execute({ kind: 'enabled', ...params, ...body }),
    }),
    route({
      method: 'PUT',
      url: '/api/cameras/:camera/zones/:zone/threshold',
      summary: 'Set the lowest score that a label of a zone needs',
      params: ofZone,
      body: z.strictObject({ value: z.number().min(0).max(1).nullable() }),
      reply: answer,
      handle: ({ params, body }) => execute({ kind: 'threshold', ...params, ...body }),
    }),
  ]
}

function readRoutes({ live, history, models }: ZoneRouteOptions): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/cameras/:camera/zones/:zone/history',
      summary: 'Changes of the label of a zone, oldest first',
      params: ofZone,
      reply: z.array(labelChange),
      handle: ({ params: { camera, zone } }) => history(zoneOf(live, camera, zone).key),
    }),
    route({
      method: 'GET',
      url: '/api/cameras/:camera/zones/:zone/labels',
      summary: "Labels of a zone's model; empty where that cannot be used",
      params: ofZone,
      reply: z.array(z.string()),
      handle: ({ params: { camera, zone } }) => [...(zoneOf(live, camera, zone).classifier?.labels ?? [])],
    }),
    route({
      method: 'GET',
      url: '/api/models',
      summary: 'Names of models that zones can use, besides paths',
      reply: z.array(z.string()),
      handle: async () => [...(await models())],
    }),
  ]
}

function zoneOf({ zones }: ZoneRouteOptions['live'], camera: string, zone: string): AnyZone {
  const found = zones.find(({ key }) => key === `${camera}/${zone}`)
  if (found) return found
  const known = zones.flatMap(({ key }) => (key.startsWith(`${camera}/`) ? [key] : [])).join(', ')
  throw new ApiError(404, 'ZONE_UNKNOWN', `there is no zone ${camera}/${zone}`, `There are: ${known || 'none'}.`)
}

/** The page shows a part of the picture large. */
const lookSide = 1280
const lookQuality = 80

function lookRoute({ live }: ZoneRouteOptions): Route {
  return route({
    method: 'GET',
    url: '/api/cameras/:camera/zones/:zone/look',
    summary: 'What a zone sees in the next frame, with its heat map or its mask where its model has one',
    params: ofZone,
    reply: { media: 'application/octet-stream', description: 'a picture message, as on the live socket' },
    async handle({ params: { camera, zone }, signal }): Promise<Binary> {
      const found = zoneOf(live, camera, zone)
      if (!live.settings.zone(found.key).isEnabled)
        throw new ApiError(
          409,
          'ZONE_DISABLED',
          `zone ${found.key} or its camera is paused`,
          'Resume it, then try again.',
        )
      const heat = found.classifier && 'heat' in found.classifier.heat ? 'label' : undefined
      const mask = found.classifier?.mask != null
      const picture = await found.capture({ maxSide: lookSide, heat, mask, isFresh: true, signal })
      const bytes = pictureMessage(camera, picture, await encodeJpeg(picture, lookQuality))
      return { media: 'application/octet-stream', bytes }
    },
  })
}
