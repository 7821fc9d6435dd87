/**
 * Loads the configuration from four places, in order of precedence: flags, GAPCAM_* environment variables, the YAML file,
 * defaults. An unknown key is an error that suggests the nearest known one.
 */
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import { openToAll, redact, redactDeep } from '../secrets.js'
import { withSecrets } from './credentials.js'
import { sentenceOf } from './issues.js'
import { nearestOf } from './nearest.js'
import { configKeys } from './keys.js'
import { configSchema, secretKeys, type Config } from './schema.js'
import { fileInTheWay } from './state-directory.js'
import { writtenKeys } from './written.js'

/** Where a value came from. `credential`: from a file of the service manager or container. */
export type Origin = 'flag' | 'environment' | 'file' | 'credential' | 'default'

/** The places that `loadConfig` reads. */
export interface ConfigSources {
  /** Values from flags, by dotted key. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: NodeJS.ProcessEnv
  /** The YAML file; default GAPCAM_CONFIG of the environment, else none. */
  readonly file?: string | undefined
  /** Values in the shape of the YAML file, from a program that embeds gapcam. */
  readonly values?: Readonly<Record<string, unknown>> | undefined
}

/** A valid configuration and where it came from. */
export interface LoadedConfig {
  readonly config: Config
  /** The origin of each value by dotted key; a key that is absent has its default. */
  readonly origins: ReadonlyMap<string, Origin>
  /** Sentences about values that are allowed but unsafe. */
  readonly warnings: readonly string[]
}

/** GAPCAM_* environment variables that are not configuration keys. */
const otherVariables = new Set([
  'GAPCAM_TARGET',
  'GAPCAM_SHARED',
  'GAPCAM_ADDON',
  'GAPCAM_ONNXRUNTIME',
  'GAPCAM_CONFIG',
  'GAPCAM_CUBINS',
])

/**
 * Loads and validates the configuration. Throws CONFIG_INVALID with one sentence that names the key and its place.
 *
 *     const { config } = loadConfig({ flags: {}, environment: process.env, file: 'gapcam.yaml' })
 *     config.policy.threshold // 0.3 by default
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const origins = new Map<string, Origin>()
  const merged: Record<string, unknown> = {}
  const file = sources.file ?? sources.environment['GAPCAM_CONFIG']
  if (file !== undefined) mergeTree(merged, readYaml(file), '', origins, file)
  if (sources.values) mergeTree(merged, sources.values, '', origins, 'of the program')
  for (const [key, value] of environmentValues(sources.environment)) assign(merged, key, value, 'environment', origins)
  for (const [key, value] of Object.entries(sources.flags)) {
    requireKey(key, `--set ${key}`)
    assign(merged, key, value, 'flag', origins)
  }
  const result = configSchema.safeParse(merged)
  if (!result.success) throw new GapcamError('CONFIG_INVALID', sentenceOf(result.error, origins))
  requireStateFolder(result.data)
  const { config, given, warnings } = withSecrets(result.data, sources.environment)
  for (const key of given) origins.set(key, 'credential')
  return { config, origins, warnings: [...warnings, ...openConfiguration(file, result.data, origins)] }
}

function requireStateFolder({ stateDir }: Config): void {
  const inTheWay = stateDir === undefined ? null : fileInTheWay(stateDir)
  if (inTheWay !== null)
    throw new GapcamError('CONFIG_INVALID', `stateDir: ${stateDir} cannot be a folder, because ${inTheWay} is a file`, {
      hint: 'Set stateDir to a folder, which gapcam makes where it does not exist.',
    })
}

/** A warning if the configuration file itself holds a secret and every user can read it. */
function openConfiguration(
  file: string | undefined,
  { mqtt, cameras }: Config,
  origins: ReadonlyMap<string, Origin>,
): string[] {
  const hasSecret = (key: string, isSecret: boolean): boolean => isSecret && origins.get(key) === 'file'
  const inUrl = (text: string): boolean => redact(text) !== text
  const holds =
    hasSecret('mqtt.password', mqtt.password !== undefined) ||
    hasSecret('mqtt.broker', inUrl(mqtt.broker)) ||
    hasSecret(
      'cameras',
      cameras.some(({ source }) => inUrl(source)),
    )
  const warning = file !== undefined && holds ? openToAll(file) : null
  return warning === null ? [] : [warning]
}

/** Values from the environment by key: GAPCAM_MQTT_BROKER sets mqtt.broker. Case and separators do not matter. */
function environmentValues(environment: NodeJS.ProcessEnv): [string, unknown][] {
  const names = new Map(configKeys().map(({ key }) => [plain(key), key]))
  return Object.entries(environment)
    .filter(([name]) => name.startsWith('GAPCAM_') && !otherVariables.has(name))
    .map(([name, value]) => {
      const key = names.get(plain(name.slice('GAPCAM_'.length)))
      if (key === undefined) {
        const nearest = nearestOf(plain(name.slice('GAPCAM_'.length)), [...names.values()])
        throw unknownKey(name, `environment variable ${name}`, nearest === null ? null : variableOf(nearest))
      }
      return [key, scalar(value ?? '', key)]
    })
}

const plain = (text: string): string => text.replace(/[^a-z0-9]/gi, '').toLowerCase()
/** The environment variable that sets a key. */
export const variableOf = (key: string): string =>
  `GAPCAM_${key
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/\./g, '_')
    .toUpperCase()}`

/** A value from a command line or the environment: text where the key takes text, else what YAML makes of it. */
export function scalar(text: string, key: string): unknown {
  if (configKeys().find((entry) => entry.key === key)?.isText) return text
  if (/^[\d.,x]+$/.test(text) && !/^\d+(\.\d+)?$/.test(text)) return text
  try {
    return parseYaml(text) ?? text
  } catch {
    // The sentence of the library may repeat the value, which may be a secret.
    throw new GapcamError(
      'CONFIG_INVALID',
      `${key}: its value is not valid YAML; put it in quotes, or close its brackets`,
    )
  }
}

/** YAML 1.2 with anchors and the merge key `<<`. A tag that has no meaning here, such as `!secret`, is an error. */
function parseYaml(text: string): unknown {
  const document = parseDocument(text, { merge: true })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) throw fault
  return document.toJS()
}

/** What the YAML library found wrong, where its own sentence would be one for programmers. */
const yamlFaults: readonly [RegExp, string][] = [
  [/^Source contains multiple documents.*?( at line|$)/, 'it holds a second document, which begins$1'],
  [/^Excessive alias count.*/, 'its anchors repeat too much'],
  [/^Map keys must be unique/, 'a key stands twice in one group, the second time'],
  [/^Nested mappings are not allowed in compact mappings/, 'a value with a colon and a space needs quotes'],
  [/^All mapping items must start at the same column/, 'the line is not indented as those around it'],
  [/^Tabs are not allowed as indentation/, 'the line is indented with a tab, and YAML takes spaces only'],
]

function yamlFaultOf(error: unknown): string {
  const sentence = messageOf(error).split('\n')[0]!.replace(/:$/, '')
  const known = yamlFaults.find(([pattern]) => pattern.test(sentence))
  return known ? sentence.replace(...known) : sentence
}

function readYaml(file: string): Record<string, unknown> {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: ${fileFaultOf(error)}`, {
      hint: 'Check the path and the permissions of the file.',
    })
  }
  const text = textOf(bytes, file)
  let data: unknown
  try {
    data = parseYaml(text) ?? {}
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: ${yamlFaultOf(error)}`, {
      hint: 'Correct the YAML at this place.',
    })
  }
  if (typeof data !== 'object' || Array.isArray(data))
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: it must consist of lines of the form key: value`)
  return data as Record<string, unknown>
}

function textOf(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: it is not UTF-8`, {
      hint: 'Save the file as UTF-8 (iconv -f LATIN1 -t UTF-8 for files of older editors).',
    })
  }
}

function mergeTree(
  target: Record<string, unknown>,
  tree: Readonly<Record<string, unknown>>,
  prefix: string,
  origins: Map<string, Origin>,
  file: string,
): void {
  const groups = new Set(
    configKeys().flatMap(({ key }) => (key.includes('.') && !key.includes('[') ? [key.split('.')[0]!] : [])),
  )
  for (const [name, value] of Object.entries(tree)) {
    const key = prefix + name
    if (prefix === '' && groups.has(name) && typeof value === 'object') {
      // YAML gives null for a group whose keys are all commented out.
      mergeTree(target, (value ?? {}) as Record<string, unknown>, `${name}.`, origins, file)
      continue
    }
    requireKey(key, `configuration ${file}`)
    // Likewise for a list.
    if (value === null && configKeys().find((entry) => entry.key === key)?.isList) continue
    assign(target, key, value, 'file', origins)
  }
}

function assign(
  target: Record<string, unknown>,
  key: string,
  value: unknown,
  origin: Origin,
  origins: Map<string, Origin>,
): void {
  const [group, name] = key.split('.') as [string, string | undefined]
  if (name === undefined) target[group] = value
  else target[group] = { ...(target[group] as object | undefined), [name]: value }
  origins.set(key, origin)
}

function requireKey(key: string, where: string): void {
  const known = configKeys()
    .map((entry) => entry.key)
    .filter((name) => !name.includes('['))
  const groups = new Set(known.flatMap((name) => (name.includes('.') ? [name.split('.')[0]!] : [])))
  if (groups.has(key))
    throw new GapcamError(
      'CONFIG_INVALID',
      `${whereOf(key, where)} is a group of keys and takes no value itself; set one of its keys, such as ${known.find((name) => name.startsWith(`${key}.`))}`,
    )
  if (!known.includes(key)) throw unknownKey(key, where, nearestOf(key, [...known, ...groups]))
}

function unknownKey(key: string, where: string, nearest: string | null): GapcamError {
  return new GapcamError(
    'CONFIG_INVALID',
    `${whereOf(key, where)} is not a key of the configuration${nearest ? `; did you mean ${nearest}?` : ''}`,
  )
}

/** The place and the key; `--set key` and `environment variable KEY` already name the key. */
function whereOf(key: string, where: string): string {
  return where.endsWith(` ${key}`) ? where : `${where}: ${key}`
}

/** Every key with its value and origin, for `config show`. Secrets are masked. */
export function showConfig({ config, origins }: LoadedConfig): { key: string; value: unknown; origin: Origin }[] {
  const written = writtenKeys(config)
  return configKeys()
    .filter(({ key }) => !key.includes('['))
    .map(({ key }) => {
      const [group, name] = key.split('.') as [string, string | undefined]
      const held = written[group] as Record<string, unknown> | undefined
      const value = name === undefined ? held : held?.[name]
      return {
        key,
        value: secretKeys.includes(key) && value !== undefined ? '(hidden)' : redactDeep(value),
        origin: origins.get(key) ?? 'default',
      }
    })
}

/** The JSON Schema of the configuration file. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
}
