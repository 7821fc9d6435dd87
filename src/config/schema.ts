/**
 * The one schema of the configuration: types, defaults, validation, the JSON Schema, `--help` and the table in docs all
 * come from here. Each entry's description is a phrase for people.
 */
import { z } from 'zod'
import { lensDefaults } from '../lens/watch.js'
import { logLevels } from '../log.js'
import { policyDefaults } from '../decision/policy.js'

const id = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/, 'must be of a-z, 0-9 and -')
export const share = z.number().min(0).max(1)

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
/** x,y,width,height from 0 to 1, inside the frame; commands may name the four. */
export const region = z
  .union([
    z.string().transform((text) => text.split(',').map(Number)),
    z.array(z.number()),
    z
      .strictObject({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
      .transform(({ x, y, width, height }) => [x, y, width, height]),
  ])
  .pipe(z.tuple([share, share, share, share], 'must be x,y,width,height, each from 0 to 1'))
  .refine(([x, y, w, h]) => w > 0 && h > 0 && x + w <= 1.000001 && y + h <= 1.000001, 'must lie inside the frame')
  .transform(([x, y, width, height]) => ({ x, y, width, height }))

const corner = z.tuple([share, share])
const watchRegion = z.strictObject({
  polygon: z
    .array(corner)
    .min(3, 'must have three corners or more')
    .max(64)
    .describe('corners as [x, y], each from 0 to 1'),
  share: share.default(0.5).describe('least share of the heat inside'),
})

const camera = z.strictObject({
  id,
  source: z.string().describe('URI of the camera'),
  username: z.string().optional().describe('user at the camera, where the URI does not say'),
  passwordFile: z.string().optional().describe('file that holds the password at the camera'),
  fps: z.number().min(0).optional().describe('most frames a second; 0 for no bound'),
  width: z.int().min(16).max(8192).optional().describe('wanted width in pixels'),
  height: z.int().min(16).max(8192).optional().describe('wanted height in pixels'),
  loop: z.boolean().optional().describe('start again at the end of a file or folder'),
  holdMs: z.number().min(0).optional().describe('how long each picture of a folder stays'),
  roi: region.optional().describe('part of the frame to look at: x,y,width,height from 0 to 1'),
  rotate: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
    .optional()
    .describe('degrees clockwise'),
  flipX: z.boolean().optional().describe('mirror left to right'),
  flipY: z.boolean().optional().describe('mirror top to bottom'),
  watchRegion: watchRegion.optional().describe('where the evidence for a label must lie; see docs/heat.md'),
})

const cameras = z.array(camera).superRefine((all, context) => {
  const twice = all.find(({ id }, i) => all.findIndex((other) => other.id === id) < i)
  if (twice) context.addIssue({ code: 'custom', message: `two have the id ${twice.id}: each needs topics of its own` })
})

const logLevel = z.enum(logLevels).default('info')

const policy = z.strictObject({
  threshold: share.default(policyDefaults.threshold).describe('least score of a label; below it is unknown'),
  hysteresis: share.default(policyDefaults.hysteresis).describe('how far above the threshold a new label must come'),
  consecutive: z.int().min(1).default(policyDefaults.consecutive).describe('frames in a row for a new label'),
  margin: share.default(policyDefaults.margin).describe('lead of a new label over the second'),
  smoothingMs: z
    .number()
    .min(0)
    .default(policyDefaults.smoothingMs)
    .describe('time constant of the smoothing of scores'),
  staleAfterMs: z
    .number()
    .min(100)
    .default(policyDefaults.staleAfterMs)
    .describe('a camera silent for so long has no label'),
})

const isBroker = (text: string): boolean =>
  text === 'embedded' ||
  text === 'none' ||
  (/^(mqtts?|wss?):\/\//.test(text) && URL.canParse(text) && new URL(text).hostname !== '')

const mqtt = z.strictObject({
  broker: z
    .string()
    .refine(
      isBroker,
      'must be embedded, none, or a mqtt://, mqtts://, ws:// or wss:// address such as mqtt://192.168.1.10:1883',
    )
    .default('embedded')
    .describe('mqtt://, mqtts://, ws:// or wss:// URL, embedded, or none'),
  port: z.int().min(0).max(65535).optional().describe('port of the embedded broker; default 1883 or the next free one'),
  base: z
    .string()
    .max(200)
    .regex(/^[^#+\s\0$/][^#+\s\0]*$/, 'must be a topic without wildcards that begins with neither $ nor /')
    .refine((text) => !text.endsWith('/'), 'must not end with /')
    .default('gapcam')
    .describe('first level of all topics'),
  username: z.string().optional().describe('user at the broker'),
  password: z.string().optional().describe('password at the broker'),
  passwordFile: z.string().optional().describe('file that holds the password'),
  ca: z.string().optional().describe('file with the authority that signed the broker’s certificate'),
  cert: z.string().optional().describe('file with the client’s certificate'),
  key: z.string().optional().describe('file with the client’s key'),
  servername: z.string().optional().describe('name in the broker’s certificate where it is not the host'),
  insecure: z.boolean().default(false).describe('do not check the broker’s certificate'),
  keepaliveS: z.int().min(5).max(600).default(15).describe('seconds between signs of life'),
  ack: z
    .enum(['puback', 'application'])
    .default('puback')
    .describe('whose word removes an event from the outbox: the broker’s, or a consumer’s on R/ack'),
  retain: z
    .boolean()
    .default(true)
    .describe('publish label, state and status retained; false for brokers that end the connection over it'),
  stateEveryMs: z.number().min(0).default(10_000).describe('state is sent again at least so often'),
  resultEveryMs: z.number().min(-1).default(-1).describe('every result on its topic, at most so often; -1 for never'),
  retainImages: z.boolean().default(false).describe('the broker keeps the last snapshot'),
})

const lens = z.strictObject({
  watch: z
    .boolean()
    .default(true)
    .describe('find a camera that is black, overexposed, covered, blurred, frozen or moved'),
  checks: z
    .int()
    .min(1)
    .max(1000)
    .default(lensDefaults.checks)
    .describe('checks in a row before a problem is raised or cleared'),
  everyMs: z.number().min(0).default(200).describe('time between two checks'),
  frozenAfterMs: z
    .number()
    .min(1000)
    .default(lensDefaults.frozenAfterMs)
    .describe('a live picture without any change for so long is frozen'),
})

const recorder = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      'keep the last seconds of frames in memory, and write them when something happens; see docs/recording.md',
    ),
  folder: z.string().optional().describe('where recordings go; default recordings in the state directory'),
  seconds: z.number().min(0.1).max(600).default(5).describe('how much is kept'),
  memoryMegabytes: z.number().min(1).max(4096).default(64).describe('most memory for it, for each camera'),
  diskMegabytes: z.number().min(1).default(512).describe('most disk for recordings; the oldest go first'),
  onLowConfidence: z.boolean().default(true).describe('write when a label is given up'),
  onLabelChange: z.boolean().default(true).describe('write when the label changes'),
})

export const configSchema = z.strictObject({
  node: id.default('gapcam').describe('name of this device in topics'),
  hungAfterMs: z
    .int()
    .min(1000)
    .default(10_000)
    .describe(
      'an inference that takes longer hangs, and so does the program when its main thread is away for longer: it ends with status 70',
    ),
  progressFile: z
    .string()
    .default('')
    .describe('file whose time is that of the last progress, for health checks; default none'),
  stateDir: z
    .string()
    .optional()
    .describe("folder for what must outlive a restart; default the service manager's, else ~/.local/state/gapcam"),
  model: z.string().default('').describe('ONNX file; default the model that comes with gapcam'),
  labels: z.string().optional().describe('label file; default the one beside the model'),
  engine: z.enum(['auto', 'cuda', 'native', 'onnxruntime']).default('auto').describe('executor of the model'),
  cudaPrecision: z
    .enum(['auto', 'fp16', 'fp32'])
    .default('auto')
    .describe('what CUDA computes in; auto is fp16 where that passes the self-test, else fp32'),
  cudaRestart: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'gapcam run ends with status 75 when CUDA is lost for the process, and is started again with it; auto: where a service manager listens and the engine may be another one, always: something else starts it again, such as a container’s restart policy',
    ),
  threads: threads
    .default('auto')
    .describe(
      "threads that compute; auto is one for each core of the fastest kind within the affinity mask and the cgroup's quota, less one where four or more are all alike, and at most 8",
    ),
  inputSize: inputSize.optional().describe('input of the network, 160 or HEIGHTxWIDTH, where the model allows it'),
  resize: z
    .enum(['cover', 'stretch', 'contain'])
    .optional()
    .describe('how a frame becomes the input; default the manifest says'),
  topK: z.int().min(1).max(100).default(5).describe('labels in results'),
  cameras: cameras.default([]).describe('cameras; default the first one that works'),
  waitForCameras: z
    .boolean()
    .default(false)
    .describe('a camera that is not there at the start is waited for; without, it is an error'),
  frames: z.int().min(0).default(0).describe('end after so many results; 0 for never'),
  policy: policy.prefault({}),
  heat: z
    .boolean()
    .default(true)
    .describe('say where a label has its evidence, where the model can tell; see docs/heat.md'),
  lens: lens.prefault({}),
  recorder: recorder.prefault({}),
  mqtt: mqtt.prefault({}),
  homeassistant: z.boolean().default(true).describe('announce this device to Home Assistant; false takes it back'),
  homeassistantPrefix: z
    .string()
    .regex(/^[^#+\s/]+(\/[^#+\s/]+)*$/, 'must be a topic without wildcards')
    .default('homeassistant')
    .describe('first levels of Home Assistant’s discovery topics'),
  page: z
    .strictObject({
      enabled: z.boolean().default(true).describe('serve the local page and its API'),
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('address to listen on; any but a loopback one needs a token'),
      port: z.int().min(0).max(65535).optional().describe('port of the page; default 8080 or the next free one'),
      token: z.string().min(16, 'must have at least 16 characters').optional().describe('what a visitor must present'),
      tokenFile: z.string().optional().describe('file that holds the token'),
    })
    .prefault({}),
  outbox: z
    .strictObject({
      maxMb: z
        .number()
        .min(0.25)
        .max(65_536)
        .default(64)
        .describe('most megabytes of events on disk; the oldest make room'),
      maxAgeH: z.number().min(1).default(168).describe('hours after which an event that nobody took is dropped'),
      results: z
        .boolean()
        .default(false)
        .describe('results go through the outbox too, numbered and acknowledged like events'),
    })
    .prefault({}),
  json: z.boolean().default(false).describe('one JSON object a line on stdout'),
  logLevel: logLevel.describe('least level of the log'),
})

/** What may change while gapcam runs, by key of the configuration. None of it is a path, an address or a command. */
export const runtimeSchema = z.strictObject({
  'policy.threshold': policy.shape.threshold.unwrap(),
  'policy.hysteresis': policy.shape.hysteresis.unwrap(),
  'policy.consecutive': policy.shape.consecutive.unwrap(),
  'policy.margin': policy.shape.margin.unwrap(),
  'policy.smoothingMs': policy.shape.smoothingMs.unwrap(),
  'policy.staleAfterMs': policy.shape.staleAfterMs.unwrap(),
  'mqtt.stateEveryMs': mqtt.shape.stateEveryMs.unwrap(),
  'mqtt.resultEveryMs': mqtt.shape.resultEveryMs.unwrap(),
  logLevel: logLevel.unwrap(),
})

export type RuntimeValues = z.output<typeof runtimeSchema>
export type RuntimeKey = keyof RuntimeValues

export type Config = z.output<typeof configSchema>
export type CameraConfig = Config['cameras'][number]

/** Keys whose values are never shown. */
export const secretKeys: readonly string[] = ['mqtt.password', 'page.token']

export interface ConfigKey {
  /** Dotted path, such as mqtt.broker. */
  readonly key: string
  readonly description: string
  readonly default: unknown
}

/** Every key with its description and default, for help and docs. */
export function configKeys(): ConfigKey[] {
  return keysOf(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '')
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly description?: string
  readonly default?: unknown
}

function keysOf(schema: JsonSchema, prefix: string): ConfigKey[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): ConfigKey[] => {
    const key = prefix + name
    if (property.properties) return keysOf(property, `${key}.`)
    const own = { key, description: property.description ?? '', default: property.default }
    return property.items?.properties ? [own, ...keysOf(property.items, `${key}[].`)] : [own]
  })
}
