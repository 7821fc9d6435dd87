/** The routes of the API. Writes go through the one door for commands; everything else reads. */
import { z } from 'zod'
import type { Classifier } from '../classifier.js'
import type { Picture } from '../run/picture.js'
import type { Commands } from '../run/commands.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { readControls, setControl } from '../camera/controls.js'
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
import { ApiError, route, type Binary, type Route } from './route.js'

/** A camera as the API reaches it. */
export interface ApiCamera {
  readonly id: string
  readonly isEnabled: boolean
  readonly source: string
  capture(options: { readonly maxSide?: number; readonly signal: AbortSignal }): Promise<Picture>
}

export interface ApiOptions {
  readonly version: string
  readonly node: string
  readonly topics: string
  readonly cameras: readonly ApiCamera[]
  readonly classifier: Classifier
  /** The one door for what changes the run. */
  readonly commands: Pick<Commands, 'execute'>
  readonly hubs: ReadonlyMap<string, PictureHub>
  readonly observer: Observer
  readonly reports: Reports
  /** The answer of /metrics. */
  readonly exposition: () => Promise<Binary>
  /** Belongs to every report: what judged the picture. */
  readonly about: () => Readonly<Record<string, unknown>>
}

const ofCamera = z.object({ camera: z.string().max(64) })

export function apiRoutes(options: ApiOptions): Route[] {
  const { observer } = options
  const cameraOf = (id: string): ApiCamera => {
    const camera = options.cameras.find((other) => other.id === id)
    if (!camera)
      throw new ApiError(
        404,
        'CAMERA_UNKNOWN',
        `there is no camera ${id}`,
        `Cameras are ${options.cameras.map((other) => other.id).join(', ')}.`,
      )
    return camera
  }
  return [
    route({ method: 'GET', url: '/api/info', summary: 'What runs here', reply: info, handle: () => infoOf(options) }),
    route({
      method: 'GET',
      url: '/api/state',
      summary: 'The state of the moment',
      reply: liveState,
      handle: () => observer.state(),
    }),
    route({
      method: 'GET',
      url: '/api/samples',
      summary: 'Rates and latencies of the last hour, one every five seconds',
      reply: z.array(sample),
      handle: () => observer.samples(),
    }),
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
      summary: 'The next frame; at the camera’s own size, or within a side',
      params: ofCamera,
      query: z.strictObject({
        side: z.coerce
          .number()
          .pipe(z.union(pictureSides.map((side) => z.literal(side))))
          .optional(),
      }),
      reply: { media: 'image/jpeg', description: 'JPEG' },
      async handle({ params, query, signal }): Promise<Binary> {
        const { id, isEnabled, capture } = cameraOf(params.camera)
        if (!isEnabled) throw new ApiError(409, 'CAMERA_DISABLED', `camera ${id} is paused`, 'Let it go on first.')
        const jpeg =
          query.side === undefined
            ? await encodeJpeg(await capture({ signal }), 92)
            : (await options.hubs.get(id)!.next(query.side, 0)).jpeg
        return {
          media: 'image/jpeg',
          bytes: jpeg,
          fileName: `${id}-${new Date().toISOString().replace(/[:.]/g, '-')}.jpg`,
        }
      },
    }),
    route({
      method: 'GET',
      url: '/metrics',
      summary: 'Counters and gauges for Prometheus',
      reply: { media: 'application/openmetrics-text', description: 'OpenMetrics 1.0' },
      handle: () => options.exposition(),
    }),
    ...settingRoutes(options, cameraOf),
    ...controlRoutes(cameraOf),
    ...reportRoutes(options, cameraOf),
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

/** Each is a command; the answer is the camera as it is then. Null goes back to what the configuration says. */
function settingRoutes({ commands, observer }: ApiOptions, cameraOf: (id: string) => ApiCamera): Route[] {
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
        // A region is a list where it is configured and commanded.
        const value = kind === 'roi' && body.value !== null ? listOf(body.value as Region) : body.value
        const result = await commands.execute({ kind, camera: id, value }, 'page')
        if (result.status === 'error')
          throw new ApiError(
            { invalid: 400, not_available: 501, busy: 503, failed: 500 }[result.code],
            result.code.toUpperCase(),
            result.error,
          )
        return observer.state().cameras.find((camera) => camera.id === id)
      },
    })
  return [
    setting('threshold', 'Set the least score of a label', z.number().min(0).max(1)),
    setting('roi', 'Set the part of the frame that the camera looks at', region),
    setting('enabled', 'Pause the camera, or let it go on', z.boolean()),
  ]
}

/** The driver keeps these, not gapcam: they are gone when the camera is unplugged. */
function controlRoutes(cameraOf: (id: string) => ApiCamera): Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/cameras/:camera/controls',
      summary: 'Exposure, gain, focus and their like, where V4L2 has them',
      params: ofCamera,
      reply: z.array(control),
      handle: ({ params }) => readControls(cameraOf(params.camera).source),
    }),
    route({
      method: 'PUT',
      url: '/api/cameras/:camera/controls/:id',
      summary: 'Set a control of the camera',
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

const listOf = ({ x, y, width, height }: Region): number[] => [x, y, width, height]

function reportRoutes({ hubs, reports, about }: ApiOptions, cameraOf: (id: string) => ApiCamera): Route[] {
  const ofReport = z.object({ name: z.string().regex(reportName), kind: z.enum(['png', 'json']) })
  return [
    route({
      method: 'GET',
      url: '/api/reports',
      summary: 'Pictures that were kept as judged wrongly, newest first',
      reply: z.array(report),
      handle: () => reports.list(),
    }),
    route({
      method: 'POST',
      url: '/api/cameras/:camera/reports',
      summary: 'Keep a picture with what was computed: this is wrong',
      params: ofCamera,
      body: z.strictObject({
        seq: z.int().min(0).default(0).describe('number of the picture that was looked at; 0 for the next one'),
        note: z.string().max(500).default(''),
      }),
      reply: report,
      async handle({ params, body, signal }) {
        const camera = cameraOf(params.camera)
        const seen = hubs.get(camera.id)!.find(body.seq)
        if (!seen && !camera.isEnabled)
          throw new ApiError(409, 'CAMERA_DISABLED', `camera ${camera.id} is paused`, 'Let it go on first.')
        const picture = seen ?? (await camera.capture({ signal }))
        return reports.keep(picture, { camera: camera.id, note: body.note, isExact: seen !== null, about: about() })
      },
    }),
    route({
      method: 'GET',
      url: '/api/reports/:name/:kind',
      summary: 'A kept picture, or what was computed from it',
      params: ofReport,
      reply: { media: 'application/octet-stream', description: 'PNG or JSON' },
      async handle({ params: { name, kind } }): Promise<Binary> {
        const bytes = await reports.file(name, kind)
        if (!bytes) throw new ApiError(404, 'REPORT_UNKNOWN', `there is no report ${name}`)
        return { media: kind === 'png' ? 'image/png' : 'application/json', bytes, fileName: `${name}.${kind}` }
      },
    }),
  ]
}
