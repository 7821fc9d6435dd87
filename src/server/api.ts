/**
 * The routes of the HTTP API, as data. Every change goes through `Commands`, the same as for MQTT; all other routes only
 * read. The server adds validation, access control and rate limits (server.ts, guard.ts).
 */
import { z } from 'zod'
import type { Classifier } from '../classifier.js'
import type { Commands } from '../run/commands/commands.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { readControls, setControl } from '../camera/controls.js'
import type { Galleries } from '../run/teaching/galleries.js'
import { partOf, type Reviewing } from '../run/teaching/reviewing.js'
import {
  cameraState,
  control,
  info,
  labelChange,
  liveState,
  pictureSides,
  region,
  report,
  sample,
  type Info,
  type Region,
} from './messages.js'
import type { Observer } from './observer.js'
import type { PictureHub } from './pictures.js'
import { reportName, type Reports } from './reports.js'
import { ApiError, commandData, route, type Binary, type Route } from './route.js'
import type { ApiCamera } from './api-camera.js'
import { maskRoute } from './mask.js'
import { galleryRoutes } from './galleries.js'
import { reviewRoutes } from './review.js'
import { teachRoutes, type TeachRouteOptions } from './teach.js'
import { anchorRoutes } from './anchors.js'
import { bundleRoutes, type BundleRouteOptions } from './bundle.js'
import { zoneRoutes, type ZoneRouteOptions } from './zones.js'

/** What the routes read and change. Nothing here is owned by the API. */
export interface ApiOptions {
  readonly version: string
  readonly node: string
  /** Common prefix of the MQTT topics. */
  readonly topics: string
  readonly cameras: readonly ApiCamera[]
  readonly classifier: Classifier
  /** Executes every change of the run. */
  readonly commands: Pick<Commands, 'execute'>
  /** Live pictures by camera id. */
  readonly hubs: ReadonlyMap<string, PictureHub>
  readonly observer: Observer
  /** Settings and zones of the run. */
  readonly live: ZoneRouteOptions['live'] & TeachRouteOptions['live'] & Pick<BundleRouteOptions, 'bundles'>
  /** Names of models that zones can use. */
  readonly models: () => Promise<readonly string[]>
  readonly reports: Reports
  /** Pictures for review; reported pictures land there too. */
  readonly reviewing: Reviewing
  readonly galleries: Galleries
  /** The answer of /metrics. */
  readonly exposition: () => Promise<Binary>
  /** Model, engine and settings, for the reports. */
  readonly about: () => Readonly<Record<string, unknown>>
}

type FindCamera = (id: string) => ApiCamera

const ofCamera = z.object({ camera: z.string().max(64) })
const downloadQuality = 92

/**
 * All routes. They are also the source of the OpenAPI document.
 *
 *     const routes = apiRoutes({ version, node, topics, cameras, classifier, commands, hubs, observer, … })
 *     await startServer({ host: '127.0.0.1', token: null, version, routes, sockets, log })
 */
export function apiRoutes(options: ApiOptions): Route[] {
  const cameraOf: FindCamera = (id) => {
    const camera = options.cameras.find((other) => other.id === id)
    if (camera) return camera
    const known = options.cameras.map((other) => other.id).join(', ')
    throw new ApiError(404, 'CAMERA_UNKNOWN', `there is no camera ${id}`, `Use one of these cameras: ${known}.`)
  }
  return [
    ...nodeRoutes(options),
    ...cameraRoutes(options, cameraOf),
    ...settingRoutes(options, cameraOf),
    ...teachRoutes(options),
    ...zoneRoutes({ ...options, history: (key) => options.observer.history(key) }),
    ...anchorRoutes({ ...options, camera: (id) => cameraOf(id).id }),
    ...controlRoutes(cameraOf),
    maskRoute((id) => enabled(cameraOf(id))),
    ...reportRoutes(options, cameraOf),
    ...reviewRoutes(options.reviewing),
    ...galleryRoutes(options.galleries),
    ...bundleRoutes({ bundles: options.live.bundles, commands: options.commands }),
  ]
}

function nodeRoutes(options: ApiOptions): Route[] {
  const { observer, exposition } = options
  return [
    route({
      method: 'GET',
      url: '/api/info',
      summary: 'Version, model and engine of this node',
      reply: info,
      handle: () => infoOf(options),
    }),
    route({
      method: 'GET',
      url: '/api/state',
      summary: 'The current state',
      reply: liveState,
      handle: () => observer.state(),
    }),
    route({
      method: 'GET',
      url: '/api/samples',
      summary: 'Rates and latencies of the last hour, one sample every five seconds',
      reply: z.array(sample),
      handle: () => observer.samples(),
    }),
    route({
      method: 'GET',
      url: '/metrics',
      summary: 'Counters and gauges for Prometheus',
      reply: { media: 'application/openmetrics-text', description: 'OpenMetrics 1.0' },
      handle: exposition,
    }),
  ]
}

function infoOf({ version, node, topics, classifier }: ApiOptions): Info {
  const { engine, target, threads, reason } = classifier.engine.describe()
  const { modelId, sha256, version: modelVersion, labels, assumed } = classifier
  return {
    version,
    node,
    topics,
    platform: `${process.platform}-${process.arch}`,
    runtime: `node ${process.version}`,
    model: { id: modelId, sha256, version: modelVersion, labels: labels.length, assumed: [...assumed] },
    engine: { name: engine, target, threads, reason },
  }
}

function cameraRoutes({ hubs, observer }: ApiOptions, cameraOf: FindCamera): Route[] {
  const side = z.coerce.number().pipe(z.union(pictureSides.map((value) => z.literal(value))))
  return [
    route({
      method: 'GET',
      url: '/api/cameras',
      summary: 'The cameras',
      reply: z.array(cameraState),
      handle: () => observer.state().cameras,
    }),
    route({
      method: 'GET',
      url: '/api/cameras/:camera/history',
      summary: 'Changes of the label, oldest first',
      params: ofCamera,
      reply: z.array(labelChange),
      handle: ({ params }) => observer.history(cameraOf(params.camera).id),
    }),
    route({
      method: 'GET',
      url: '/api/cameras/:camera/picture.jpg',
      summary: 'The next frame as JPEG, at full size or with the given longer side',
      params: ofCamera,
      query: z.strictObject({ side: side.optional() }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params, query, signal }): Promise<Binary> {
        const camera = enabled(cameraOf(params.camera))
        const bytes =
          query.side === undefined
            ? await encodeJpeg(await camera.capture({ signal }), downloadQuality)
            : (await hubs.get(camera.id)!.next(query.side, 0)).jpeg
        const time = new Date().toISOString().replace(/[:.]/g, '-')
        return { media: 'image/jpeg', bytes, fileName: `${camera.id}-${time}.jpg` }
      },
    }),
  ]
}

/** A paused camera delivers no frames: refuse at once instead of waiting for the timeout. */
function enabled(camera: ApiCamera): ApiCamera {
  if (camera.isEnabled) return camera
  throw new ApiError(409, 'CAMERA_DISABLED', `camera ${camera.id} is paused`, 'Resume the camera, then try again.')
}

/** Each route executes one command and answers with the camera's new state. Null restores the configured value. */
function settingRoutes({ commands, observer }: ApiOptions, cameraOf: FindCamera): Route[] {
  const setting = (kind: 'threshold' | 'roi' | 'enabled', summary: string, value: z.ZodType): Route =>
    route({
      method: 'PUT',
      url: `/api/cameras/:camera/${kind}`,
      summary,
      params: ofCamera,
      body: z.strictObject({ value: value.nullable() }),
      reply: cameraState,
      async handle({ params, body }) {
        const { id } = cameraOf(params.camera)
        // Commands and configuration write a region as a list.
        const commanded = kind === 'roi' && body.value !== null ? listOf(body.value as Region) : body.value
        await commandData(commands, { kind, camera: id, value: commanded })
        return observer.state().cameras.find((camera) => camera.id === id)
      },
    })
  return [
    setting('threshold', 'Set the lowest score that a label needs', z.number().min(0).max(1)),
    setting('roi', 'Set the part of the frame that the camera looks at', region),
    setting('enabled', 'Pause or resume the camera', z.boolean()),
  ]
}

const listOf = ({ x, y, width, height }: Region): number[] => [x, y, width, height]

/** The driver stores these values, not gapcam. They are lost when the camera is unplugged. */
function controlRoutes(cameraOf: FindCamera): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/cameras/:camera/controls',
      summary: 'V4L2 controls such as exposure, gain and focus; empty for other sources',
      params: ofCamera,
      reply: z.array(control),
      handle: ({ params }) => readControls(cameraOf(params.camera).source),
    }),
    route({
      method: 'PUT',
      url: '/api/cameras/:camera/controls/:id',
      summary: 'Set a V4L2 control',
      params: ofCamera.extend({ id: z.coerce.number().pipe(z.int().min(0).max(0xffffffff)) }),
      body: z.strictObject({ value: z.int() }),
      reply: z.array(control),
      handle({ params, body }) {
        const { source } = cameraOf(params.camera)
        setControl(source, params.id, body.value)
        return readControls(source)
      },
    }),
  ]
}

function reportRoutes({ hubs, reports, about, reviewing, live }: ApiOptions, cameraOf: FindCamera): Route[] {
  const ofReport = z.object({ name: z.string().regex(reportName), kind: z.enum(['png', 'json']) })
  return [
    route({
      method: 'GET',
      url: '/api/reports',
      summary: 'Pictures that a person reported as misjudged, newest first',
      reply: z.array(report),
      handle: () => reports.list(),
    }),
    route({
      method: 'POST',
      url: '/api/cameras/:camera/reports',
      summary: 'Report a misjudged picture: keep it with everything that was computed from it',
      params: ofCamera,
      body: z.strictObject({
        seq: z.int().min(0).default(0).describe('number of the picture that the person saw; 0 for the next one'),
        note: z.string().max(500).default(''),
        label: z
          .string()
          .min(1)
          .max(200)
          .optional()
          .describe('what it shows: the picture is kept for review with this label'),
        zone: z.string().max(64).optional().describe('the zone that misjudged it; its part is kept for review'),
      }),
      reply: report.extend({ reviewed: z.string().describe('its name in review') }),
      async handle({ params, body, signal }) {
        const camera = cameraOf(params.camera)
        const seen = hubs.get(camera.id)!.find(body.seq)
        const picture = seen ?? (await enabled(camera).capture({ signal }))
        const zone = body.zone === undefined ? camera.id : `${camera.id}/${body.zone}`
        const running = live.zones.find(({ key }) => key === zone)
        const { jpeg, ...said } = await partOf(picture, running, live.settings.findZone(zone)?.roi ?? null)
        const kept = await reports.keep(picture, {
          camera: camera.id,
          note: body.note,
          isExact: seen !== null,
          about: about(),
        })
        const reviewed = await reviewing.review.report(jpeg, { zone, ...said }, body.label ?? null)
        return { ...kept, reviewed }
      },
    }),
    route({
      method: 'GET',
      url: '/api/reports/:name/:kind',
      summary: 'A reported picture, or what was computed from it',
      params: ofReport,
      reply: { media: 'application/octet-stream', description: 'PNG or JSON' },
      async handle({ params: { name, kind } }): Promise<Binary> {
        const bytes = await reports.file(name, kind)
        if (!bytes)
          throw new ApiError(404, 'REPORT_UNKNOWN', `there is no report ${name}`, 'GET /api/reports lists the reports.')
        return { media: kind === 'png' ? 'image/png' : 'application/json', bytes, fileName: `${name}.${kind}` }
      },
    }),
  ]
}
