/** The flags that several commands share, and the way from them to a configuration. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { loadConfig, scalar, type LoadedConfig } from '../config/config.js'
import { nearestOf } from '../config/nearest.js'
import { configKeys, type CameraConfig } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { keepSecretsOf } from '../secrets.js'

/** Flags by the configuration key that they set. */
const flags: Readonly<Record<string, string>> = {
  model: '--model <file>',
  labels: '--labels <file>',
  engine: '--engine <auto|cuda|native|onnxruntime>',
  cudaPrecision: '--cuda-precision <auto|fp16|fp32>',
  threads: '--threads <n|auto>',
  inputSize: '--input-size <side|HxW>',
  topK: '--top-k <n>',
  'policy.threshold': '--threshold <score>',
  frames: '--frames <n>',
  'mqtt.broker': '--broker <url|embedded|none>',
  node: '--node <id>',
  json: '--json',
  logLevel: '--log-level <level>',
}

/** The flag that sets a configuration key, '' where there is none; for docs. */
export const flagOf = (key: string): string => flags[key] ?? ''

/** Adds the shared flags (or some of them), --config and --set. */
export function addFlags(command: Command, keys: readonly string[] = Object.keys(flags)): Command {
  const descriptions = new Map(configKeys().map(({ key, description }) => [key, description]))
  for (const key of keys) command.addOption(new Option(flags[key]!, descriptions.get(key) ?? ''))
  return command
    .option('--config <file>', 'YAML file with the configuration')
    .option('--set <key=value>', 'any key of the configuration; may be given again', collect)
}

function collect(text: string, previous: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Expected key=value.')
  const key = text.slice(0, at)
  return { ...previous, [key]: scalar(text.slice(at + 1), key) }
}

/** Flags of one camera, for `run` and `classify`. */
export function addCameraFlags(command: Command): Command {
  return command
    .option('--camera <id>', 'name of the camera in topics (default: cam0); of several in a file, the one to take')
    .option('--roi <x,y,w,h>', 'part of the frame to look at, each from 0 to 1')
    .option('--fps <n>', 'most frames a second')
    .option('--loop', 'start again at the end of a file or folder')
}

/**
 * The cameras of a run: those of the configuration, with what the flags say of each. A SOURCE replaces them all. A
 * camera without a source (none was configured) has '' there.
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
      `--camera: ${id} is none of the cameras ${configured.map((camera) => camera.id).join(', ')}${nearest === null ? '' : `; did you mean ${nearest}?`}`,
    )
  }
  return configured.filter((camera) => id === undefined || camera.id === id).map((camera) => ({ ...camera, ...view }))
}

/** What flags say of a camera, through the schema; its id only where --camera gives one. */
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

/** Options as commander parsed them: flag names in camel case. */
export type FlagValues = Readonly<Record<string, unknown>>

export function configFrom(values: FlagValues, extra: Readonly<Record<string, unknown>> = {}): LoadedConfig {
  const given: Record<string, unknown> = {}
  for (const [key, flag] of Object.entries(flags)) {
    const name = flag
      .split(' ')[0]!
      .slice(2)
      .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
    const value = values[name]
    if (value !== undefined) given[key] = typeof value === 'string' ? scalar(value, key) : value
  }
  const file = values['config'] as string | undefined
  return loadConfig({
    flags: { ...given, ...(values['set'] as object | undefined), ...extra },
    environment: process.env,
    ...(file ? { file } : {}),
  })
}
