/**
 * The schema of the configuration. Types, defaults, validation, the JSON Schema, `--help` and the table in
 * docs/configuration.md all come from it. Each entry's description is a phrase for users.
 */
import { z } from 'zod'
import { parseCameraAddress } from '../address/camera.js'
import { tasks } from '../decision/task.js'
import { lensDefaults } from '../lens/watch.js'
import { logLevels } from '../log.js'
import { groups } from './groups.js'
import { mqtt, topicText } from './mqtt.js'
import { influx, modbus, opcua, webhook } from './outputs.js'
import { policy, policyOptions } from './policy.js'
import { corner, region, share } from './region.js'
import { models } from './models.js'
import { video, zones } from './zones.js'
import { id } from './id.js'

const threads = z.union([z.literal('auto'), z.int().min(1).max(64)])
const inputSize = z.union([
  z
    .int()
    .min(8)
    .max(4096)
    .transform((side) => ({ height: side, width: side })),
  z
    .string()
    .regex(/^\d+(x\d+)?$/, 'must be like 160 or 240x320')
    .transform((text) => {
      const [height = 0, width = height] = text.split('x').map(Number)
      return { height, width }
    }),
])
const watchRegion = z.strictObject({
  polygon: z
    .array(corner)
    .min(3, 'must have at least three corners')
    .max(64)
    .describe('corners as [x, y], each from 0 to 1'),
  share: share.default(0.5).describe('minimum share of the heat inside'),
})

/** A source without a scheme is a path; one of another kind is refused where cameras are opened. */
const isReadable = (source: string): boolean =>
  !/^\s*(?:rtsps?|https?|rtmps?|srt|udp):\/\//i.test(source) || parseCameraAddress(source) !== null

/** Options that would change what gapcam reads from ffmpeg, name another input or output, or write files. */
const reservedOptions =
  /^-(?:i|y|n|f(?:ilter.*|ps_mode)?|vf|af|map.*|vsync|r|s|pix_fmt|c(?:odec)?(?::.*)?|vcodec|loglevel|v|report|progress|stats.*|vstats.*|sdp_file|stdin|dump.*|filter_.*)$/
const ffmpegOptions = z
  .array(z.string().min(1).max(500))
  .max(64)
  .refine((all) => all.length % 2 === 0, 'must be names and values in turn')
  .refine(
    (all) => all.every((text, i) => (i % 2 === 0 ? /^-[a-zA-Z]\w*(?::\w+)*$/.test(text) : !/^-[a-zA-Z]/.test(text))),
    'must be names that begin with -, each followed by its value',
  )
  .refine(
    (all) => all.every((text, i) => i % 2 === 1 || !reservedOptions.test(text)),
    'must not hold an option that gapcam sets itself or that names files',
  )

const camera = z.strictObject({
  id: id.describe('name in topics, of a-z, 0-9 and -'),
  source: z
    .string()
    .refine(isReadable, 'is an address that cannot be read; it may hold a password and is not repeated')
    .describe('URI of the camera'),
  username: z.string().optional().describe('user name at the camera, where the URI has none'),
  passwordFile: z.string().optional().describe('file with the password of the camera'),
  fps: z.number().min(0).optional().describe('maximum frames per second; 0 for no limit'),
  width: z.int().min(16).max(8192).optional().describe('requested width in pixels'),
  height: z.int().min(16).max(8192).optional().describe('requested height in pixels'),
  decode: z
    .enum(['fit', 'full'])
    .optional()
    .describe(
      'fit: pictures no larger than needed, streams of ffmpeg and GStreamer too; full: never reduced; default fit for JPEG and V4L2 cameras with zones',
    ),
  loop: z.boolean().optional().describe('start again at the end of a file or folder'),
  holdMs: z.number().min(0).optional().describe('how long each picture of a folder is shown'),
  ffmpegOptions: ffmpegOptions
    .optional()
    .describe(
      'input options for ffmpeg, each a name and its value, such as [-rtsp_transport, udp]; see docs/cameras.md',
    ),
  roi: region.optional().describe('part of the frame to look at: x,y,width,height from 0 to 1'),
  rotate: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
    .optional()
    .describe('rotation of the picture, degrees clockwise: 0, 90, 180 or 270'),
  flipX: z.boolean().optional().describe('mirror left to right'),
  flipY: z.boolean().optional().describe('mirror top to bottom'),
  embedding: z
    .boolean()
    .optional()
    .describe(
      'results and events have the embedding of the picture, a vector that is near that of a similar one; see docs/tasks.md',
    ),
  watchRegion: watchRegion.optional().describe('region that must contain the evidence for a label; see docs/heat.md'),
  wholePicture: z
    .boolean()
    .optional()
    .describe('ask about the whole picture too, although there are zones; see docs/zones.md'),
  zones: zones.optional().describe('questions about parts of the picture; see docs/zones.md'),
})

const cameras = z.array(camera).superRefine((all, context) => {
  const twice = all.find(({ id }, i) => all.findIndex((other) => other.id === id) < i)
  if (twice) context.addIssue({ code: 'custom', message: `two cameras have the id ${twice.id}; give each its own id` })
})

const logLevel = z.enum(logLevels).default('info')

const lens = z.strictObject({
  watch: z
    .boolean()
    .default(true)
    .describe('detect a camera that is black, overexposed, covered, blurred, frozen or moved'),
  checks: z
    .int()
    .min(1)
    .max(1000)
    .default(lensDefaults.checks)
    .describe('consecutive checks that raise or clear a problem'),
  everyMs: z.number().min(0).default(200).describe('time between two checks'),
  frozenAfterMs: z
    .number()
    .min(1000)
    .default(lensDefaults.frozenAfterMs)
    .describe('after this long without any change a live picture is frozen'),
})

const recorder = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      'keep the last seconds of frames in memory, and write them to disk when something happens; see docs/recording.md',
    ),
  folder: z.string().optional().describe('folder for recordings; default recordings in the state directory'),
  seconds: z.number().min(0.1).max(600).default(5).describe('seconds that are kept'),
  memoryMegabytes: z.number().min(1).max(4096).default(64).describe('maximum memory per camera'),
  diskMegabytes: z
    .number()
    .min(1)
    .default(512)
    .describe('maximum disk space for recordings; the oldest are deleted first'),
  onLowConfidence: z.boolean().default(true).describe('write a recording when the label becomes unknown'),
  onLabelChange: z.boolean().default(true).describe('write a recording when the label changes'),
})

const collector = z.strictObject({
  enabled: z.boolean().default(false).describe('keep pictures that are worth a label, for review; see docs/review.md'),
  perMinute: z.int().min(0).max(60).default(6).describe('maximum pictures that are kept in a minute'),
  perDay: z.int().min(0).max(10_000).default(500).describe('maximum pictures that are kept in 24 hours'),
  maxMegabytes: z
    .number()
    .min(0.1)
    .max(65_536)
    .default(200)
    .describe('maximum disk space for pictures for review; the oldest without a label are deleted first'),
  auditMinutes: z
    .number()
    .min(0)
    .max(10_080)
    .default(60)
    .describe('mean minutes between two pictures of a zone that chance picks; 0 for none'),
})

export const configSchema = z.strictObject({
  node: id
    .refine((text) => text !== 'groups', 'must not be groups: commands to groups have this level of topics')
    .default('gapcam')
    .describe('name of this device in topics'),
  groups: groups.default([]).describe('groups of devices to which this one belongs; see docs/fleet.md'),
  hungAfterMs: z
    .int()
    .min(1000)
    .default(10_000)
    .describe(
      'longest time for an inference or a blocked main thread; beyond it gapcam counts as hung and exits with status 70',
    ),
  progressFile: z.string().default('').describe('file that is touched on progress, for health checks; default none'),
  stateDir: z
    .string()
    .optional()
    .describe("folder for what must survive a restart; default the service manager's, else ~/.local/state/gapcam"),
  model: z.string().default('').describe('ONNX file; default the model that comes with gapcam'),
  labels: z.string().optional().describe('label file; default the one beside the model'),
  task: z.enum(tasks).optional().describe('what the model is asked; default what its outputs show, see docs/tasks.md'),
  video: video.optional(),
  planCache: z
    .boolean()
    .default(true)
    .describe('keep compiled models on disk, so that the next start is faster and takes less memory'),
  engine: z.enum(['auto', 'cuda', 'native', 'onnxruntime']).default('auto').describe('engine that executes the model'),
  cudaPrecision: z
    .enum(['auto', 'fp16', 'fp32'])
    .default('auto')
    .describe('precision of CUDA; auto is fp16 where that passes the self-test, else fp32'),
  precision: z
    .enum(['auto', 'fp32', 'fp16'])
    .default('auto')
    .describe(
      'precision of the processor; auto is fp16 where an Arm processor has it and the first start, with kept plans, measured that the model stays right, else fp32',
    ),
  cudaRestart: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'whether gapcam run exits with status 75 when the process loses CUDA, to be restarted with it; auto: only under a service manager, always: for other supervisors, such as the restart policy of a container',
    ),
  threads: threads
    .default('auto')
    .describe(
      "compute threads; auto is one per core of the fastest kind within the affinity mask and the cgroup's quota, less one if there are four or more identical cores, and at most 8",
    ),
  inputSize: inputSize.optional().describe('input size of the network, 160 or HEIGHTxWIDTH, where the model allows it'),
  resize: z
    .enum(['cover', 'stretch', 'contain'])
    .optional()
    .describe('how a frame is fitted to the input; default from the manifest'),
  novelty: z
    .boolean()
    .default(false)
    .describe(
      'call unknown what is unlike the ordinary pictures of noveltyPictures, of a model that was not taught; see docs/teach.md',
    ),
  noveltyPictures: z
    .string()
    .min(1)
    .optional()
    .describe('folder of pictures as the camera usually sees them, 10 or more; needed for novelty'),
  topK: z.int().min(1).max(100).default(5).describe('number of labels in results'),
  models: models.prefault({}).describe('models by name, and whose bundles may be installed; see docs/bundles.md'),
  cameras: cameras.default([]).describe('cameras; default the first one that works'),
  waitForCameras: z
    .boolean()
    .default(false)
    .describe('wait for a camera that is missing at the start; false makes it an error'),
  frames: z.int().min(0).default(0).describe('exit after this many results; 0 for no limit'),
  policy: policy.prefault({}),
  heat: z
    .boolean()
    .default(true)
    .describe('report where in the picture the evidence for the label is, if the model allows it; see docs/heat.md'),
  lens: lens.prefault({}),
  recorder: recorder.prefault({}),
  collector: collector.prefault({}),
  mqtt: mqtt.prefault({}),
  homeassistant: z
    .boolean()
    .default(true)
    .describe('announce this device to Home Assistant; false removes the announcement'),
  homeassistantPrefix: topicText(/^[^#+\s/]+(\/[^#+\s/]+)*$/)
    .default('homeassistant')
    .describe('first levels of Home Assistant’s discovery topics'),
  page: z
    .strictObject({
      enabled: z.boolean().default(true).describe('serve the local page and its API'),
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('address to listen on; any address other than loopback needs a token'),
      port: z.int().min(0).max(65535).optional().describe('port of the page; default 8080 or the next free one'),
      token: z
        .string()
        .min(16, 'must have at least 16 characters')
        .optional()
        .describe('token that visitors must present'),
      tokenFile: z.string().optional().describe('file with the token'),
    })
    .prefault({}),
  outbox: z
    .strictObject({
      maxMb: z
        .number()
        .min(0.25)
        .max(65_536)
        .default(64)
        .describe('maximum megabytes of events on disk; the oldest are dropped first'),
      maxAgeH: z.number().min(1).default(168).describe('hours after which an event that was not delivered is dropped'),
      results: z
        .boolean()
        .default(false)
        .describe('send results through the outbox too, numbered and acknowledged like events'),
    })
    .prefault({}),
  webhook: webhook.prefault({}),
  influx: influx.prefault({}),
  modbus: modbus.prefault({}),
  opcua: opcua.prefault({}),
  json: z.boolean().default(false).describe('one JSON object per line on stdout'),
  logLevel: logLevel.describe('minimum level of the log'),
})

/** Every option of the policy as `policy.NAME`, without its default. */
const runtimePolicy = Object.fromEntries(
  Object.entries(policyOptions).map(([name, option]) => [`policy.${name}`, option]),
) as { [Name in keyof typeof policyOptions as `policy.${Name}`]: (typeof policyOptions)[Name] }

/** The keys that may change while gapcam runs. None of them is a path, an address or a command, since MQTT can set them. */
export const runtimeSchema = z.strictObject({
  ...runtimePolicy,
  'mqtt.stateEveryMs': mqtt.shape.stateEveryMs.unwrap(),
  'mqtt.resultEveryMs': mqtt.shape.resultEveryMs.unwrap(),
  logLevel: logLevel.unwrap(),
})

/** Values of the keys that may change at run time. */
export type RuntimeValues = z.output<typeof runtimeSchema>
export type RuntimeKey = keyof RuntimeValues

/** A validated configuration, with defaults. */
export type Config = z.output<typeof configSchema>
export type CameraConfig = Config['cameras'][number]

/** Keys whose values are always masked. */
export const secretKeys: readonly string[] = ['mqtt.password', 'page.token']
