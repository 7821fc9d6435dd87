/**
 * The one door for what people want of a running gapcam, from MQTT, the page or a signal: plain data in, checked here,
 * a plain result out. Nothing that comes through it is a path, an address or a word for a shell. It never throws, and
 * what it refuses changes nothing.
 */
import { z } from 'zod'
import { region, runtimeSchema, share } from '../config/schema.js'
import { GapcamError, messageOf, printable } from '../errors.js'
import type { Logger } from '../log.js'
import type { Settings, SettingsChange } from './settings.js'

export type CommandOrigin = 'mqtt' | 'page' | 'signal'

/** Of a camera; it may be left out where there is only one. */
const camera = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+$/, 'must be of a-z, 0-9 and -')
  .optional()
const nullable = Object.fromEntries(
  Object.entries(runtimeSchema.shape).map(([key, schema]) => [key, schema.nullable().optional()]),
)

/** Every command with what it takes. Null clears a value: the configuration's holds again. */
export const commandSchemas = {
  enabled: z.strictObject({ kind: z.literal('enabled'), camera, value: z.boolean().nullable() }),
  threshold: z.strictObject({ kind: z.literal('threshold'), camera, value: share.nullable() }),
  roi: z.strictObject({ kind: z.literal('roi'), camera, value: region.nullable() }),
  snapshot: z.strictObject({ kind: z.literal('snapshot'), camera }),
  heat: z.strictObject({ kind: z.literal('heat'), camera, label: z.string().max(255).optional() }),
  record: z.strictObject({ kind: z.literal('record'), camera }),
  classify_now: z.strictObject({ kind: z.literal('classify_now'), camera }),
  restart: z.strictObject({ kind: z.literal('restart') }),
  reload: z.strictObject({ kind: z.literal('reload') }),
  info: z.strictObject({ kind: z.literal('info') }),
  set: z.strictObject({
    kind: z.literal('set'),
    values: z.strictObject(nullable).refine((values) => Object.keys(values).length > 0, 'names no key'),
  }),
  model_install: z.strictObject({ kind: z.literal('model_install') }),
} as const

export type CommandKind = keyof typeof commandSchemas
export type Command = z.input<(typeof commandSchemas)[CommandKind]>
export const commandKinds = Object.keys(commandSchemas) as readonly CommandKind[]

/** `invalid`: the sender's mistake. `not_available`: not in this gapcam. `busy`: ask again. `failed`: it was tried. */
export type CommandFault = 'invalid' | 'not_available' | 'busy' | 'failed'

export type CommandResult =
  | { readonly status: 'ok'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly status: 'error'; readonly code: CommandFault; readonly error: string }

type Fields = Readonly<Record<string, unknown>>

/** What the runtime can do; what it leaves out is answered with `not available`. */
export interface CommandTarget {
  /** Keys of all zones. A camera's own zone has the camera's id, so commands name it as `camera`. */
  readonly zones: readonly string[]
  /** Takes a picture of the next frame, publishes it, and says what it is. */
  readonly snapshot?: ((zone: string) => Promise<Fields>) | undefined
  readonly heat?: ((zone: string, label: string | undefined) => Promise<Fields>) | undefined
  /** Writes the last seconds to a file, and says where. */
  readonly record?: ((zone: string) => Promise<Fields>) | undefined
  /** What the next frame shows. */
  readonly classifyNow?: ((zone: string) => Promise<Fields>) | undefined
  /** Ends the process so that whoever supervises it starts it again; called after the answer is on its way. */
  readonly restart?: (() => void) | undefined
  readonly reload?: (() => Fields) | undefined
  readonly info: () => Fields
}

export interface Commands {
  /** Resolves when the command has taken effect, or with why not. Never rejects. */
  execute(command: unknown, origin: CommandOrigin): Promise<CommandResult>
}

/** So many at work at once; they hold memory, and a camera that is away answers late. */
const maxAtWork = 8

export function createCommands({
  target,
  settings,
  log,
}: {
  readonly target: CommandTarget
  readonly settings: Settings
  readonly log: Pick<Logger, 'info'>
}): Commands {
  let atWork = 0

  function zoneOf(id: string | undefined): string {
    const { zones } = target
    const chosen = id ?? (zones.length === 1 ? zones[0] : undefined)
    if (chosen === undefined) throw new Refusal('invalid', `camera: one of ${zones.join(', ')} is needed`)
    if (!zones.includes(chosen)) throw new Refusal('invalid', `camera: ${chosen} is none of ${zones.join(', ')}`)
    return chosen
  }

  async function change(
    asked: SettingsChange,
    answer: () => Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const isKept = await settings.change(asked)
    return isKept ? answer() : { ...answer(), kept: false }
  }

  function perform(
    command: z.output<(typeof commandSchemas)[CommandKind]>,
  ): Promise<Readonly<Record<string, unknown>>> | Readonly<Record<string, unknown>> {
    switch (command.kind) {
      case 'enabled':
      case 'threshold':
      case 'roi': {
        const id = zoneOf(command.camera)
        return change({ zone: id, [command.kind]: command.value }, () => {
          const { isEnabled, policy, roi } = settings.zone(id)
          return { camera: id, value: { enabled: isEnabled, threshold: policy.threshold, roi }[command.kind] }
        })
      }
      case 'set':
        return change({ values: command.values }, () => ({
          values: settings.overrides.values,
          cameras: settings.overrides.cameras,
        }))
      case 'snapshot':
        return available(target.snapshot)(enabledZone(command.camera))
      case 'heat':
        return available(target.heat)(enabledZone(command.camera), command.label)
      case 'record':
        return available(target.record)(zoneOf(command.camera))
      case 'classify_now':
        return available(target.classifyNow)(enabledZone(command.camera))
      case 'restart': {
        const restart = available(target.restart)
        // The answer goes first: who asked must not take our end for a crash.
        setImmediate(restart)
        return {}
      }
      case 'reload':
        return available(target.reload)()
      case 'info':
        return target.info()
      case 'model_install':
        throw new Refusal('not_available', 'not available')
    }
  }

  function enabledZone(given: string | undefined): string {
    const id = zoneOf(given)
    if (!settings.zone(id).isEnabled) throw new Refusal('failed', `camera ${id} is disabled`)
    return id
  }

  return {
    async execute(command, origin) {
      const checked = check(command)
      if ('error' in checked) return { status: 'error', code: 'invalid', error: checked.error }
      if (atWork >= maxAtWork)
        return { status: 'error', code: 'busy', error: `${maxAtWork} commands are at work already` }
      atWork++
      try {
        const data = await perform(checked.command)
        log.info({ command: checked.command.kind, origin }, `command ${checked.command.kind} from ${origin}`)
        return { status: 'ok', data }
      } catch (error) {
        return { status: 'error', code: faultOf(error), error: printable(messageOf(error)) }
      } finally {
        atWork--
      }
    },
  }
}

class Refusal extends Error {
  readonly code: CommandFault
  constructor(code: CommandFault, message: string) {
    super(message)
    this.code = code
  }
}

function faultOf(error: unknown): CommandFault {
  if (error instanceof Refusal) return error.code
  return error instanceof GapcamError && error.code === 'CONFIG_INVALID' ? 'invalid' : 'failed'
}

function available<T>(part: T | undefined): T {
  if (part === undefined) throw new Refusal('not_available', 'not available')
  return part
}

type Checked = { readonly command: z.output<(typeof commandSchemas)[CommandKind]> } | { readonly error: string }

function check(command: unknown): Checked {
  const kind: unknown =
    typeof command === 'object' && command !== null ? (command as { kind?: unknown }).kind : undefined
  if (typeof kind !== 'string' || !Object.hasOwn(commandSchemas, kind))
    return { error: `not a command; there are ${commandKinds.join(', ')}` }
  const result = commandSchemas[kind as CommandKind].safeParse(command)
  if (result.success) return { command: result.data }
  const { path, message } = result.error.issues[0]!
  const where = path.filter((part) => part !== 'values').join('.')
  // The sentence may quote what was sent: one line, and not longer than a line.
  return { error: printable(`${where === '' ? kind : where}: ${message}`).slice(0, 200) }
}
