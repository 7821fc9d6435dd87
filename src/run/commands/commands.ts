/**
 * The table of all commands, and the one door for them: from MQTT, the page or a signal, plain data in, checked here, a
 * plain result out. No argument is a path, an address or a word for a shell. The door never throws, and what it refuses
 * changes nothing. A new command is one row; its topic, parsing, fuzz test and documentation follow from it.
 */
import { z } from 'zod'
import { nearestOf } from '../../config/nearest.js'
import { region, share } from '../../config/region.js'
import { runtimeSchema } from '../../config/schema.js'
import { messageOf, printable } from '../../errors.js'
import type { Logger } from '../../log.js'
import { bundleCommands } from '../bundles/commands.js'
import { row, type CommandContext, type CommandRow, type ZoneNeed } from './row.js'
import type { Fields } from './fields.js'
import { keyNamed, placeOf, type GivenName } from '../zones/names.js'
import { available, faultOf, Refusal, type CommandFault } from './refusal.js'
import type { Settings, SettingsChange } from './settings.js'
import { teachCommands } from '../teaching/commands.js'
import { removeZone, setZone } from '../zones/commands.js'

export type CommandOrigin = 'mqtt' | 'page' | 'signal' | 'modbus'

/** Each key that may change while gapcam runs; null clears it. */
const runtimeValues = Object.fromEntries(
  Object.entries(runtimeSchema.shape).map(([key, schema]) => [key, schema.nullable().optional()]),
)

const cameraId = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/, 'must be of a-z, 0-9 and -')

/** Every command. Null clears a value: the configuration's holds again. */
export const commandTable = {
  snapshot: row({
    fields: {},
    zone: 'seen',
    bare: 'camera',
    takes: '`camera`, `zone`',
    does: "publishes a JPEG of the next frame on `C/image`, or of a zone's part of it",
    perform: ({ target }, _, zone) => available(target.snapshot)(zone),
  }),
  heat: row({
    fields: { label: z.string().max(255).optional() },
    zone: 'enabled',
    bare: 'camera',
    takes: '`camera`, `zone`, `label`',
    does: 'publishes the next frame with the heat map of the label, or of the class that `label` names',
    perform: ({ target }, { label }, zone) => available(target.heat)(zone, label),
  }),
  mask: row({
    fields: {},
    zone: 'enabled',
    bare: 'camera',
    takes: '`camera`, `zone`',
    does: "publishes the [labels of the next frame's places](segment.md#the-mask) as a PNG on `C/mask`, and answers with their colours",
    perform: ({ target }, _, zone) => available(target.mask)(zone),
  }),
  record: row({
    fields: {},
    zone: 'any',
    bare: 'camera',
    takes: '`camera`, `zone`',
    does: "writes the [flight recorder's](recording.md) last seconds to a file, and answers with its name",
    perform: ({ target }, _, zone) => available(target.record)(zone),
  }),
  classify_now: row({
    fields: {},
    zone: 'enabled',
    bare: 'camera',
    takes: '`camera`, `zone`',
    does: 'answers with what the next frame shows',
    perform: ({ target }, _, zone) => available(target.classifyNow)(zone),
  }),
  enabled: row({
    fields: { value: z.boolean().nullable() },
    zone: 'camera',
    bare: 'switch',
    takes: '`camera`, `zone`, `value`',
    does: 'like `C/enabled/set`: switches a camera or a zone off and on',
    perform: ({ settings }, { value }, zone) =>
      change(settings, { zone, enabled: value }, () => ({
        ...placeOf(zone),
        value: zone.includes('/') ? settings.zone(zone).isSwitchedOn : settings.camera(zone).isEnabled,
      })),
  }),
  threshold: row({
    fields: { value: share.nullable() },
    zone: 'any',
    bare: 'value',
    takes: '`camera`, `zone`, `value`',
    does: 'like `C/threshold/set`',
    perform: ({ settings }, { value }, zone) =>
      change(settings, { zone, threshold: value }, () => ({
        ...placeOf(zone),
        value: settings.zone(zone).policy.threshold,
      })),
  }),
  roi: row({
    fields: { value: region.nullable() },
    zone: 'any',
    bare: 'value',
    takes: '`camera`, `zone`, `value`',
    does: 'the part of the frame to look at: `"x,y,width,height"`, each from 0 to 1',
    perform({ settings }, { value }, zone) {
      if (zone.includes('/')) throw new Refusal('invalid', `zone ${zone} has a region; zone_set changes it`)
      return change(settings, { zone, roi: value }, () => ({ ...placeOf(zone), value: settings.zone(zone).roi }))
    },
  }),
  zone_set: row({
    fields: {
      camera: cameraId.optional(),
      zone: cameraId,
      rename: cameraId.optional(),
      revision: z.string().max(64).optional(),
      values: z.record(z.string(), z.unknown()),
    },
    zone: 'none',
    bare: 'camera',
    takes: '`camera`, `zone`, `values`, `rename`, `revision`',
    does: 'adds a [zone](zones.md), or changes the keys of one that `values` holds; null removes a key. `rename` gives it another id. With `revision` only while the zone is still the one that had it',
    perform: (context, fields) => setZone(context, fields),
  }),
  zone_remove: row({
    fields: { camera: cameraId.optional(), zone: cameraId.optional() },
    zone: 'none',
    bare: 'camera',
    takes: '`camera`, `zone`',
    does: "removes a zone, and what it had retained; without `zone` the camera's question about the whole picture",
    perform: (context, fields) => removeZone(context, fields),
  }),
  view_accept: row({
    fields: { same: z.boolean().optional() },
    zone: 'camera',
    bare: 'camera',
    takes: '`camera`, `same`',
    does: 'takes the present picture as [the view](zones.md#when-the-camera-moves) in which regions were drawn; with `same`: true it is the same view and only looks different',
    perform({ target }, { same = false }, zone) {
      const { camera } = placeOf(zone)
      if (!available(target.acceptView)(camera, same))
        throw new Refusal('failed', `camera ${camera} has no region that follows its view`)
      return { camera, same }
    },
  }),
  set: row({
    fields: {
      values: z.strictObject(runtimeValues).refine((values) => Object.keys(values).length > 0, 'names no key'),
    },
    zone: 'none',
    bare: 'values',
    takes: '`policy.*`, `mqtt.stateEveryMs`, `mqtt.resultEveryMs`, `logLevel`',
    does: "changes keys of the [configuration](configuration.md) while gapcam runs; `policy.threshold` sets every camera's and zone's",
    perform: ({ settings }, { values }) =>
      change(settings, { values }, () => ({
        values: settings.overrides.values,
        cameras: settings.overrides.cameras,
      })),
  }),
  ...teachCommands,
  info: row({
    fields: {},
    zone: 'none',
    bare: 'camera',
    takes: '',
    does: 'answers with what `R/info` says',
    perform: ({ target }) => target.info(),
  }),
  reload: row({
    fields: {},
    zone: 'none',
    bare: 'camera',
    takes: '',
    does: 'reads the configuration file again; answers with the keys that changed and those that wait for a restart',
    perform: ({ target }) => available(target.reload)(),
  }),
  restart: row({
    fields: {},
    zone: 'none',
    bare: 'camera',
    takes: '',
    does: 'closes everything and starts again with the configuration as it is then; under a service manager it ends with status 75, and the manager starts it',
    perform({ target }) {
      const restart = available(target.restart)
      // The answer goes first, so the end of the connection does not look like a crash.
      setImmediate(restart)
      return {}
    },
  }),
  ...bundleCommands,
} as const satisfies Record<string, CommandRow>

export type CommandKind = keyof typeof commandTable
export const commandKinds = Object.keys(commandTable) as readonly CommandKind[]

/** A name of a camera or zone, or both with a slash; see names.ts. */
const placeName = z
  .string()
  .max(130)
  .regex(/^[a-z0-9-]+(\/[a-z0-9-]+)?$/, 'must be of a-z, 0-9 and -')
  .optional()

/** What a row accepts, `kind`, `camera` and `zone` included. */
function schemaOf(kind: string, { fields, zone }: CommandRow): z.ZodType {
  const place = zone === 'none' ? {} : { camera: placeName, zone: placeName }
  return z.strictObject({ kind: z.literal(kind), ...place, ...fields })
}

const schemas = new Map(Object.entries(commandTable).map(([kind, given]) => [kind, schemaOf(kind, given)]))

export type CommandResult =
  | { readonly status: 'ok'; readonly data: Fields }
  | { readonly status: 'error'; readonly code: CommandFault; readonly error: string }

export interface Commands {
  /** Resolves when the command has taken effect, or with the reason why not. Never rejects. */
  execute(command: unknown, origin: CommandOrigin): Promise<CommandResult>
}

/** Commands in progress at once. They hold memory, and one for a camera that is away takes long. */
const maxInProgress = 8

/**
 * Opens the door for commands.
 *
 *     const commands = createCommands({ target, settings, log })
 *     await commands.execute({ kind: 'threshold', camera: 'cam0', value: 0.6 }, 'mqtt')
 */
export function createCommands({
  target,
  settings,
  log,
}: CommandContext & { readonly log: Pick<Logger, 'info'> }): Commands {
  let inProgress = 0
  return {
    async execute(command, origin) {
      const checked = check(command)
      if ('error' in checked) return { status: 'error', code: 'invalid', error: checked.error }
      if (inProgress >= maxInProgress)
        return { status: 'error', code: 'busy', error: `${maxInProgress} commands are in progress already` }
      inProgress++
      try {
        const { kind, fields } = checked
        const { zone, perform }: CommandRow = commandTable[kind]
        const key = zone === 'none' ? '' : zoneOf(fields, zone, { target, settings })
        const data = await perform({ target, settings }, fields as never, key)
        log.info({ command: kind, origin }, `command ${kind} from ${origin}`)
        return { status: 'ok', data }
      } catch (error) {
        return { status: 'error', code: faultOf(error), error: printable(messageOf(error)) }
      } finally {
        inProgress--
      }
    },
  }
}

/** The zone or camera that a command means. Throws Refusal. */
function zoneOf(given: GivenName, need: ZoneNeed, { target, settings }: CommandContext): string {
  const { zones, cameras = [...new Set(zones.map((key) => placeOf(key).camera))] } = target
  const named = keyNamed(given, { cameras, zones }, need === 'camera' || need === 'seen')
  if ('fault' in named) throw new Refusal('invalid', named.fault)
  const { key } = named
  if (need !== 'enabled' && need !== 'seen') return key
  const { camera } = placeOf(key)
  if (!settings.camera(camera).isEnabled) throw new Refusal('failed', `camera ${camera} is disabled`)
  if (key !== camera && !settings.zone(key).isEnabled) throw new Refusal('failed', `zone ${key} is disabled`)
  return key
}

async function change(settings: Settings, asked: SettingsChange, answer: () => Fields): Promise<Fields> {
  const isKept = await settings.change(asked)
  return isKept ? answer() : { ...answer(), kept: false }
}

type Checked = { readonly kind: CommandKind; readonly fields: Fields & GivenName } | { readonly error: string }

/** A list of all commands would be longer than an answer may be. */
function notACommand(kind: unknown): string {
  const nearest = typeof kind === 'string' ? nearestOf(kind, commandKinds) : null
  return `not a command; ${nearest === null ? `there are ${commandKinds.slice(0, 4).join(', ')} and others` : `did you mean ${nearest}?`}`
}

function check(command: unknown): Checked {
  const kind: unknown =
    typeof command === 'object' && command !== null ? (command as { kind?: unknown }).kind : undefined
  const schema = typeof kind === 'string' ? schemas.get(kind) : undefined
  if (!schema) return { error: notACommand(kind) }
  const result = schema.safeParse(command)
  if (result.success) return { kind: kind as CommandKind, fields: result.data as Fields }
  const { path, message } = result.error.issues[0]!
  const where = path.filter((part) => part !== 'values').join('.')
  // The message may quote what was sent: keep it printable and short.
  return { error: printable(`${where === '' ? String(kind) : where}: ${message}`).slice(0, 200) }
}
