/**
 * The messages of the page's API, as schemas. They validate requests, make the OpenAPI document (openapi.ts) and give
 * the page's scripts their types. Names that end in `Ms` are points in time, in Unix milliseconds.
 */
import { z } from 'zod'

const share = z.number().min(0).max(1)

/** A part of the frame. */
export const region = z
  .strictObject({ x: share, y: share, width: z.number().gt(0).max(1), height: z.number().gt(0).max(1) })
  .refine(({ x, y, width, height }) => x + width <= 1.000001 && y + height <= 1.000001, 'must lie inside the frame')
  .describe('A part of the frame, in shares of its width and height, before rotation and flipping.')

/** A label with its class index and score. */
export const scoredLabel = z.object({ index: z.int(), label: z.string(), score: z.number() })

const corner = z.tuple([share, share])

/** The state of one zone. */
export const zoneState = z.object({
  key: z.string().describe('camera/zone'),
  id: z.string(),
  name: z.string(),
  region: z
    .union([region, z.array(corner)])
    .nullable()
    .describe('in shares of the upright picture: a rectangle or the corners of a polygon; null: all of it'),
  seenRegion: z
    .union([region, z.array(z.tuple([z.number(), z.number()]))])
    .nullable()
    .describe('the region where it lies now that the camera has moved a little; corners may be outside the picture'),
  label: z.string(),
  reason: z.string().nullable().describe('why the label is unknown'),
  detail: z.string().nullable().describe('one sentence about the reason'),
  score: z.number(),
  sinceMs: z.number(),
  top: z.array(scoredLabel),
  threshold: share,
  needsTeaching: z.string().nullable().describe('why the zone no longer sees what it was taught; null: it does'),
  isEnabled: z.boolean(),
  hasHeat: z.boolean().describe('whether its model has heat maps'),
  frames: z.int().describe('frames that became a result'),
  looks: z.record(z.string(), z.int()).describe('inferences by their reason'),
  skipped: z.int().describe('inferences that did not happen, since the engine could not keep up'),
  values: z.record(z.string(), z.unknown()).describe('the zone as it is written in the configuration'),
  revision: z.string().describe('differs after every change of the zone'),
})

/** The state of one camera. */
export const cameraState = z.object({
  id: z.string(),
  name: z.string().nullable().describe('the name that the camera reports; null before it has opened'),
  width: z.int().nullable(),
  height: z.int().nullable(),
  format: z.string().nullable(),
  label: z.string(),
  reason: z.string().nullable().describe('why the label is unknown'),
  score: z.number().describe('smoothed score of the label'),
  sinceMs: z.number(),
  top: z.array(scoredLabel).describe('best smoothed scores'),
  frames: z.int(),
  fps: z.number(),
  threshold: share,
  needsTeaching: z.string().nullable().describe('why the whole picture no longer shows what was taught; null: it does'),
  isEnabled: z.boolean(),
  roi: region.nullable().describe('null: the whole frame'),
  hasOwn: z
    .boolean()
    .describe('whether it asks about the whole picture on its own topics; without, label and score mean nothing'),
  hasHeat: z.boolean().describe('whether its own question has heat maps: a network over clips has none'),
  zones: z.array(zoneState),
  view: z.object({
    rotate: z.union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)]),
    flipX: z.boolean(),
    flipY: z.boolean(),
  }),
})

/** Where the view of a camera lies, against the one in which its regions were drawn. */
export const anchorState = z.object({
  state: z
    .enum(['off', 'starting', 'held', 'checking', 'moved', 'unsure'])
    .describe(
      'off: no region follows the view; held: found, the rest says where; checking, moved: not found, zones do not look; unsure: too little to compare',
    ),
  shift: z.object({ x: z.number(), y: z.number() }).describe('shares of the width and height, to the right and down'),
  degrees: z.number().describe('turn, clockwise'),
  zoom: z.number(),
  seenMs: z.number().nullable().describe('when the view was last found'),
  referenceMs: z.number().nullable().describe('when the first view was taken'),
  views: z.int().describe('views that are compared with: by day, by night'),
})

/** Latency percentiles of one stage of a frame's way. */
export const stageLatency = z
  .object({
    stage: z.enum(['capture', 'preprocess', 'infer', 'decide']),
    p50: z.number(),
    p95: z.number(),
    p99: z.number(),
  })
  .describe('milliseconds')

/** Temperature and supply of the board. */
export const soc = z
  .object({
    temperatureC: z.number().nullable(),
    isThrottled: z.boolean().nullable(),
    isUndervolted: z.boolean().nullable(),
  })
  .describe('null where the board does not report a value')

/** The state of the node, as the live socket sends it four times a second. */
export const liveState = z.object({
  type: z.literal('state'),
  v: z.literal(1),
  node: z.string(),
  atMs: z.number(),
  uptimeS: z.number(),
  cameras: z.array(cameraState),
  fps: z.number(),
  dropped: z.int(),
  invalid: z.int(),
  recoveries: z.int(),
  stages: z.array(stageLatency),
  rssMb: z.number(),
  mqtt: z.object({
    url: z.string().nullable(),
    isConnected: z.boolean(),
    queued: z.int(),
    lost: z.int(),
    reconnects: z.int(),
    lastError: z.string().nullable(),
  }),
  soc,
})

/** What does not change while the node runs. */
export const info = z.object({
  version: z.string(),
  node: z.string(),
  platform: z.string(),
  runtime: z.string(),
  model: z.object({
    id: z.string(),
    sha256: z.string(),
    version: z.string().nullable(),
    labels: z.int(),
    assumed: z.array(z.string()),
  }),
  engine: z.object({ name: z.string(), target: z.string(), threads: z.int(), reason: z.string() }),
  topics: z.string().describe('common prefix of the MQTT topics'),
})

/** One change of a camera's label. */
export const labelChange = z.object({
  atMs: z.number(),
  label: z.string(),
  score: z.number(),
  reason: z.string().nullable(),
})

/** Rates and latencies at one time. */
export const sample = z.object({
  atMs: z.number(),
  fps: z.number(),
  dropped: z.int(),
  queued: z.int(),
  temperatureC: z.number().nullable(),
  stages: z.array(stageLatency),
})

const placeMap = z.object({
  width: z.int(),
  height: z.int(),
  values: z.string().describe('base64 of width × height bytes, row by row'),
  inside: z
    .object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
    .describe('the part of the map that lies over `shown`, in shares of the map; the rest is letterbox'),
})

/** The JSON header before the JPEG in a picture message of the live socket. */
export const pictureHeader = z.object({
  type: z.literal('picture'),
  camera: z.string(),
  seq: z.int(),
  atMs: z.number(),
  width: z.int(),
  height: z.int(),
  shown: z
    .object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
    .describe('the part of the frame that the network saw'),
  label: z.string(),
  score: z.number(),
  top: z.array(scoredLabel).describe('scores of this frame, not smoothed'),
  focus: z
    .object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
    .nullable()
    .describe('the box around the strongest evidence for the label'),
  boxes: z
    .array(
      z.object({
        label: z.string(),
        score: z.number(),
        x: z.number(),
        y: z.number(),
        width: z.number(),
        height: z.number(),
      }),
    )
    .describe('what a detector found, in shares of the frame; `label` is that of the second model where there is one'),
  isElsewhere: z.boolean().describe('the evidence lies outside the watched region'),
  problem: z.string().nullable().describe('a problem of the lens or the view, such as blurred or covered'),
  heat: placeMap
    .nullable()
    .describe(
      'evidence for the label at each place of the network’s input, after rotation and flipping, 255 where it is hottest; null where the model has no heat map',
    ),
  mask: placeMap
    .nullable()
    .describe('of a segmenter, the number of the label at each place, 255 where there is nothing; otherwise null'),
})

/** The longer side of a picture in pixels. Few sizes, because visitors share the encoded pictures. */
export const pictureSides = [320, 640, 1280] as const

/** The only message that a visitor sends on the live socket: it asks for a picture newer than `after`. */
export const pictureRequest = z.strictObject({
  type: z.literal('picture'),
  camera: z.string().max(64),
  after: z.int().min(0).describe('number of the last picture; 0 for none'),
  side: z.union(pictureSides.map((side) => z.literal(side))),
})

/** A V4L2 control of a camera. */
export const control = z.object({
  id: z.int(),
  name: z.string(),
  group: z.enum(['exposure', 'gain', 'focus', 'white balance', 'picture']),
  kind: z.enum(['integer', 'boolean', 'menu']),
  min: z.number(),
  max: z.number(),
  step: z.number(),
  default: z.number(),
  value: z.number(),
  isActive: z.boolean().describe('false while another control, such as automatic exposure, sets the value'),
  menu: z.array(z.object({ value: z.int(), name: z.string() })),
})

/** A picture that a person reported as misjudged. */
export const report = z.object({
  name: z.string(),
  camera: z.string(),
  atMs: z.number(),
  label: z.string(),
  score: z.number(),
  note: z.string(),
  isExact: z.boolean().describe('whether this is the picture that the person saw; otherwise it is the next one'),
})

/** The answer to every request that failed: what happened, and what to do. */
export const failure = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) })

export type Region = z.infer<typeof region>
export type ZoneState = z.infer<typeof zoneState>
export type CameraState = z.infer<typeof cameraState>
export type LiveState = z.infer<typeof liveState>
export type StageLatency = z.infer<typeof stageLatency>
export type Info = z.infer<typeof info>
export type LabelChange = z.infer<typeof labelChange>
export type Sample = z.infer<typeof sample>
export type PictureHeader = z.infer<typeof pictureHeader>
export type PlaceMap = z.infer<typeof placeMap>
export type PictureSide = (typeof pictureSides)[number]
export type Control = z.infer<typeof control>
export type Report = z.infer<typeof report>
