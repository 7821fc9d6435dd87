/** The part `cameras[].zones` of the configuration: named questions about parts of a picture. */
import { z } from 'zod'
import { tasks, type ClipOptions } from '../decision/task.js'
import { duration } from './duration.js'
import { id } from './id.js'
import type { NamedModel } from './models.js'
import { nearestOf } from './nearest.js'
import { policyOptions } from './policy.js'
import { share, zoneRegion } from './region.js'
import { scheduleFault } from './schedule.js'

/** Topics of a camera: a zone with such a name would publish on them. */
const cameraTopics: readonly string[] = [
  'status',
  'label',
  'state',
  'result',
  'event',
  'backlog',
  'image',
  'heat',
  'mask',
  'crop',
  'enabled',
  'threshold',
  'teach',
]

const defaultIdleMs = 60_000

const trigger = z.union(
  [
    z.literal('always').transform(() => ({ kind: 'always' as const })),
    z.literal('motion').transform(() => ({ kind: 'motion' as const, maxIdleMs: defaultIdleMs })),
    z.literal('command').transform(() => ({ kind: 'command' as const })),
    z
      .strictObject({ motion: z.strictObject({ maxIdle: duration(1000).default(defaultIdleMs) }) })
      .transform(({ motion: { maxIdle } }) => ({ kind: 'motion' as const, maxIdleMs: maxIdle })),
    z.strictObject({ every: duration(10) }).transform(({ every }) => ({ kind: 'every' as const, everyMs: every })),
    z
      .strictObject({ cron: z.string('must be a cron line in quotes').max(200) })
      .transform(({ cron }) => ({ kind: 'cron' as const, line: cron })),
    z
      .strictObject({
        gpio: z
          .string()
          .max(64)
          .regex(/^[a-zA-Z0-9_.-]+\/\d{1,4}$/, 'must be a chip and a line, such as gpiochip0/17'),
      })
      .transform(({ gpio }) => {
        const [chip, line] = gpio.split('/') as [string, string]
        return { kind: 'gpio' as const, chip, line: Number(line) }
      }),
  ],
  { error: ({ input }) => (hasTriggerKey(input) ? undefined : triggerDemand) },
)
const triggerDemand =
  'must be always, motion, command, { every: 10s }, { cron: "*/15 * * * *" }, { motion: { maxIdle: 60s } } or { gpio: gpiochip0/17 }'
function hasTriggerKey(input: unknown): boolean {
  return typeof input === 'object' && input !== null && ['motion', 'every', 'cron', 'gpio'].some((key) => key in input)
}

const label = z.string().min(1).max(255)

/** How clips are made of frames; see docs/video.md. */
export const video = z
  .strictObject({
    frames: z.int().min(2).max(256).optional().describe('frames of a clip; default 16, or what the network takes'),
    every: duration(1).optional().describe('time from one frame of a clip to the next; default 100ms'),
    pool: z
      .literal('mean', 'must be mean, the only one there is')
      .optional()
      .describe('how a network over pictures looks at clips: by the mean of its vectors'),
  })
  .transform(({ frames, every, pool }): ClipOptions => ({ frames, everyMs: every, pool }))
  .describe('how clips are made of frames: { frames: 16, every: 100ms, pool: mean }; see docs/video.md')

const modelName = z.string().min(1).max(1000)

/** A second model for what a detector finds: its name, or with the most things of a frame and looks in a second. */
const secondLook = z.union([
  modelName.transform((model) => ({ model, most: 3, perSecond: 2 })),
  z.strictObject({
    model: modelName,
    most: z.int().min(1).max(100).default(3),
    perSecond: z.number().gt(0).max(100).default(2),
  }),
])

/** A zone as the file, the page and MQTT give it. */
export const zone = z
  .strictObject({
    id: id
      .refine((name) => !cameraTopics.includes(name), 'is the name of a topic of the camera; choose another one')
      .describe('name in topics, of a-z, 0-9 and -'),
    name: z
      .string()
      .min(1)
      .max(64)
      .regex(/^\P{C}*$/u, 'must not contain control characters')
      .optional()
      .describe('name for people'),
    region: zoneRegion
      .optional()
      .describe('part of the picture: x,y,width,height, or the corners of a polygon, from 0 to 1; default all of it'),
    model: z.string().min(1).max(1000).optional().describe("name of an entry of models, or a path; default the node's"),
    detect: z
      .literal('maps')
      .optional()
      .describe('maps: the model is a classifier, and its class maps say where things are; see docs/detect.md'),
    // biome-ignore lint/suspicious/noThenProperty: a key of the configuration, and never a function
    then: secondLook
      .optional()
      .describe('model that says which one each thing is that a detector finds; see docs/detect.md'),
    task: z
      .enum(tasks)
      .optional()
      .describe('what the model is asked; default what its outputs show, see docs/tasks.md'),
    embedding: z
      .boolean()
      .optional()
      .describe(
        'results and events have the embedding of the picture, a vector that is near that of a similar one; see docs/tasks.md',
      ),
    video: video.optional(),
    trigger: trigger
      .optional()
      .describe('when the zone looks: always (default), motion, command, {every}, {cron}, {gpio}; see docs/zones.md'),
    policy: z.strictObject(policyOptions).partial().optional().describe('options of the policy that differ here'),
    dwell: z
      .record(label, duration(0))
      .optional()
      .describe('how long a label must hold before it is told, by label, such as { open: 30s }'),
    transitions: z
      .record(label, z.array(label).max(100))
      .optional()
      .describe('labels that may follow a label; a label that is not listed may be followed by any'),
    timezone: z.string().max(64).optional().describe("time zone of the trigger's cron line; default the machine's"),
    mask: z
      .enum(['mean', 'none'])
      .optional()
      .describe('what lies around a polygon: its mean colour (default) or the picture'),
    anchor: z
      .boolean()
      .optional()
      .describe('whether the region follows when the camera moves a little; default true for live cameras'),
    evidence: share
      .optional()
      .describe('minimum share of the evidence for a label that must lie inside the region; see docs/heat.md'),
  })
  .superRefine(({ trigger: chosen, timezone }, context) => {
    if (chosen?.kind !== 'cron') {
      if (timezone !== undefined)
        context.addIssue({ code: 'custom', path: ['timezone'], message: 'is only used with a cron trigger' })
      return
    }
    const fault = scheduleFault(chosen.line, timezone)
    if (fault !== null)
      context.addIssue({ code: 'custom', path: ['trigger', 'cron'], message: `${chosen.line}: ${fault}` })
  })
/** A validated zone of the configuration. */
export type ZoneConfig = z.output<typeof zone>
/** A zone as it is written. */
export type ZoneInput = z.input<typeof zone>

const mostZones = 128

/** The zones of one camera. */
export const zones = z
  .array(zone)
  .max(mostZones)
  .superRefine((all, context) => {
    const twice = all.find(({ id: name }, i) => all.findIndex((other) => other.id === name) < i)
    if (twice) context.addIssue({ code: 'custom', message: `two zones have the id ${twice.id}; give each its own id` })
  })

/**
 * The file of a model that a zone names: of the entry of that name, or the name itself where it is a path. Null where it is
 * neither, with the nearest entry.
 */
export function modelNamed(
  name: string,
  entries: Readonly<Record<string, NamedModel>>,
): NamedModel | { readonly fault: string } {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined
  if (entry) return entry
  if (/[/.]/.test(name)) return { path: name }
  const nearest = nearestOf(name, Object.keys(entries))
  return {
    fault: `there is no model ${name}${nearest === null ? '; add it to models, or give a path' : `; did you mean ${nearest}?`}`,
  }
}
