/**
 * Flags that several commands share, and how they become a configuration. Each flag takes its description from the
 * configuration key that it sets.
 */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { loadConfig, scalar, type LoadedConfig } from '../config/config.js'
import { nearestOf } from '../config/nearest.js'
import { configKeys } from '../config/keys.js'
import type { CameraConfig } from '../config/schema.js'
import { tasks } from '../decision/task.js'
import { GapcamError } from '../errors.js'
import { keepSecretsOf } from '../secrets.js'
import type { InputSize } from '../tensor.js'

/** Flags by the configuration key that each sets. */
const flags: Readonly<Record<string, string>> = {
  model: '--model <file>',
  labels: '--labels <file>',
  engine: '--engine <auto|cuda|native|onnxruntime>',
  precision: '--precision <auto|fp32|fp16>',
  cudaPrecision: '--cuda-precision <auto|fp16|fp32>',
  threads: '--threads <n|auto>',
  inputSize: '--input-size <side|HxW>',
  topK: '--top-k <n>',
  task: `--task <${tasks.join('|')}>`,
  'policy.threshold': '--threshold <score>',
  frames: '--frames <n>',
  'mqtt.broker': '--broker <url|embedded|none>',
  node: '--node <id>',
  json: '--json',
  logLevel: '--log-level <level>',
  planCache: '--no-plan-cache',
}

/** Flags of one camera by its configuration key. */
const cameraFlags: Readonly<Record<string, string>> = {
  roi: '--roi <x,y,w,h>',
  fps: '--fps <n>',
  loop: '--loop',
}

/** The flag that sets a configuration key, '' if there is none; for docs. */
export const flagOf = (key: string): string => flags[key] ?? ''

const descriptionOf = (key: string): string => configKeys().find((entry) => entry.key === key)?.description ?? ''

/** Adds the flag of one key. A `--no-` flag says what it ends, without what that is good for. */
export function addFlag(command: Command, key: string): Command {
  const [flag, description] = [flags[key]!, descriptionOf(key)]
  return command.addOption(
    new Option(flag, flag.startsWith('--no-') ? `do not ${description.split(',')[0]}` : description),
  )
}

/** Adds the flags of `keys` (default: all), --config and --set. */
export function addFlags(command: Command, keys: readonly string[] = Object.keys(flags)): Command {
  for (const key of keys) addFlag(command, key)
  return command
    .option('--config <file>', 'YAML file with the configuration')
    .option('--set <key=value>', 'set any key of the configuration; may be repeated', collect)
}

function collect(text: string, previous: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Expected key=value.')
  const key = text.slice(0, at)
  return { ...previous, [key]: scalar(text.slice(at + 1), key) }
}

/** Adds the flag of one key of a camera. */
export function addCameraFlag(command: Command, key: string): Command {
  return command.addOption(new Option(cameraFlags[key]!, descriptionOf(`cameras[].${key}`)))
}

/** Adds --camera and all flags of a camera. */
export function addCameraFlags(command: Command): Command {
  command.option(
    '--camera <id>',
    'name of the camera in topics (default: cam0), or which of the configured cameras to use',
  )
  for (const key of Object.keys(cameraFlags)) addCameraFlag(command, key)
  return command
}

/**
 * The cameras of a command: those of the configuration, with the values of the flags. A source on the command line replaces
 * them all. If no camera is configured there is one with the source ''.
 */
export function camerasFrom(
  configured: readonly CameraConfig[],
  source: string | undefined,
  values: FlagValues,
): readonly CameraConfig[] {
  const { id, source: _source, ...view } = cameraOfFlags(values)
  if (source !== undefined) keepSecretsOf(source)
  if (source !== undefined) return [{ ...view, id: id ?? 'cam0', source }]
  if (configured.length === 0) return [{ ...view, id: id ?? 'cam0', source: '' }]
  if (configured.length === 1) return [{ ...configured[0]!, ...view, ...(id === undefined ? {} : { id }) }]
  if (id !== undefined && !configured.some((camera) => camera.id === id)) {
    const nearest = nearestOf(
      id,
      configured.map((camera) => camera.id),
    )
    throw new GapcamError(
      'USAGE',
      `--camera: there is no camera ${id} in the configuration, which has ${configured.map((camera) => camera.id).join(', ')}${nearest === null ? '' : `; did you mean ${nearest}?`}`,
    )
  }
  return configured.filter((camera) => id === undefined || camera.id === id).map((camera) => ({ ...camera, ...view }))
}

/** The values of a camera's flags, validated by the schema. The id is only present with --camera. */
function cameraOfFlags(values: FlagValues): Partial<CameraConfig> {
  const { camera: id, roi, fps, loop } = values
  const given = {
    id: id ?? 'cam0',
    source: '',
    ...(roi === undefined ? {} : { roi }),
    ...(fps === undefined ? {} : { fps: scalar(String(fps), 'fps') }),
    ...(loop === true ? { loop } : {}),
  }
  const { id: _id, ...camera } = loadConfig({ flags: { cameras: [given] }, environment: {} }).config.cameras[0]!
  return id === undefined ? camera : { ...camera, id: String(id) }
}

/** Options as commander parses them: flag names in camel case. */
export type FlagValues = Readonly<Record<string, unknown>>

/** The flag's name in `FlagValues`. */
const valueName = (flag: string): string =>
  flag
    .split(' ')[0]!
    .replace(/^--(no-)?/, '')
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/**
 * The configuration from flags, environment and file. `extra` are further values by dotted key. Throws CONFIG_INVALID.
 *
 *     const { config, warnings } = configFrom(values)
 */
export function configFrom(values: FlagValues, extra: Readonly<Record<string, unknown>> = {}): LoadedConfig {
  const given: Record<string, unknown> = {}
  for (const [key, flag] of Object.entries(flags)) {
    const value = values[valueName(flag)]
    const isDefault = value === true && flag.startsWith('--no-') // commander's, where the flag is not there
    if (value !== undefined && !isDefault) given[key] = typeof value === 'string' ? scalar(value, key) : value
  }
  return loadConfig({
    flags: { ...given, ...(values['set'] as object | undefined), ...extra },
    environment: process.env,
    file: values['config'] as string | undefined,
  })
}

/** The input size for commands without other configuration flags: --input-size, else that of the environment or its file. */
export function inputSizeFrom({ inputSize }: FlagValues): InputSize | undefined {
  return configFrom({ inputSize }).config.inputSize
}

/** A flag with a number above 0 and at most `most`. Throws USAGE. */
export function positiveFrom(values: FlagValues, name: string, most = Infinity): number {
  const value = Number(values[name])
  if (value > 0 && value <= most) return value
  const bound = most === Infinity ? '' : ` and at most ${most}`
  throw new GapcamError('USAGE', `--${name}: ${String(values[name])} is not a number above 0${bound}`)
}
