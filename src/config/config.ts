/**
 * The configuration of a run, from four places: flags before GAPCAM_* environment before the YAML file before
 * defaults. A key that does not exist is an error that names the nearest one that does.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'
import { openToAll, redact, redactDeep } from '../secrets.js'
import { withSecrets } from './credentials.js'
import { configKeys, configSchema, secretKeys, type Config } from './schema.js'

export type Origin = 'flag' | 'environment' | 'file' | 'credential' | 'default'

export interface ConfigSources {
  /** Values from flags, by dotted key. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: NodeJS.ProcessEnv
  readonly file?: string
  /** Values in the shape of the YAML file, from a program that embeds gapcam. */
  readonly values?: Readonly<Record<string, unknown>> | undefined
}

export interface LoadedConfig {
  readonly config: Config
  /** Where each key's value came from, by dotted key; absent: default. */
  readonly origins: ReadonlyMap<string, Origin>
  /** What is allowed and not wise, a sentence each. */
  readonly warnings: readonly string[]
}

/** Environment variables of ours that are not configuration. */
const otherVariables = new Set([
  'GAPCAM_TARGET',
  'GAPCAM_SHARED',
  'GAPCAM_ADDON',
  'GAPCAM_ONNXRUNTIME',
  'GAPCAM_CONFIG',
  'GAPCAM_CUBINS',
])

/** Loads and validates. Throws CONFIG_INVALID with one sentence that names the key and its place. */
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
  const { config, given, warnings } = withSecrets(result.data, sources.environment)
  for (const key of given) origins.set(key, 'credential')
  return { config, origins, warnings: [...warnings, ...openConfiguration(file, result.data, origins)] }
}

/** A file that holds a secret itself is read by nobody else. */
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

/** GAPCAM_MQTT_BROKER → mqtt.broker: names are compared without case and separators. */
function environmentValues(environment: NodeJS.ProcessEnv): [string, unknown][] {
  const names = new Map(configKeys().map(({ key }) => [plain(key), key]))
  return Object.entries(environment)
    .filter(([name]) => name.startsWith('GAPCAM_') && !otherVariables.has(name))
    .map(([name, value]) => {
      const key = names.get(plain(name.slice('GAPCAM_'.length)))
      if (key === undefined) throw unknownKey(name, `environment variable ${name}`, [...names.values()].map(variableOf))
      return [key, scalar(value ?? '', key)]
    })
}

const plain = (text: string): string => text.replace(/[^a-z0-9]/gi, '').toLowerCase()
export const variableOf = (key: string): string =>
  `GAPCAM_${key
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/\./g, '_')
    .toUpperCase()}`

/** A value from a command line or environment: YAML's own idea of numbers and booleans, except where text is wanted. */
export function scalar(text: string, key: string): unknown {
  if (
    [
      'model',
      'labels',
      'node',
      'stateDir',
      'progressFile',
      'mqtt.broker',
      'mqtt.username',
      'mqtt.password',
      'mqtt.base',
      'page.token',
      'page.host',
      'homeassistantPrefix',
    ].includes(key)
  )
    return text
  const value: unknown = /^[\d.,x]+$/.test(text) && !/^\d+(\.\d+)?$/.test(text) ? text : parse(text)
  return value === null ? text : value
}

function readYaml(file: string): Record<string, unknown> {
  let data: unknown
  try {
    data = parse(readFileSync(file, 'utf8')) ?? {}
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such file'
        : messageOf(error).split('\n')[0]!.replace(/:$/, '')
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: ${why}`)
  }
  if (typeof data !== 'object' || Array.isArray(data))
    throw new GapcamError('CONFIG_INVALID', `configuration ${file}: it is not a table of keys`)
  return data as Record<string, unknown>
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
      // A group whose keys are all comments has none.
      mergeTree(target, (value ?? {}) as Record<string, unknown>, `${name}.`, origins, file)
      continue
    }
    requireKey(key, `configuration ${file}`)
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
      `${whereOf(key, where)} is a group of keys, such as ${known.find((name) => name.startsWith(`${key}.`))}, and has no value of its own`,
    )
  if (!known.includes(key)) throw unknownKey(key, where, [...known, ...groups])
}

function unknownKey(key: string, where: string, known: readonly string[]): GapcamError {
  const nearest = nearestOf(key, known)
  return new GapcamError(
    'CONFIG_INVALID',
    `${whereOf(key, where)} is not a key of the configuration${nearest ? `; did you mean ${nearest}?` : ''}`,
  )
}

/** `--set key` and `environment variable KEY` name the key themselves. */
function whereOf(key: string, where: string): string {
  return where.endsWith(` ${key}`) ? where : `${where}: ${key}`
}

/** The known name with the least edits, if it is near enough to be meant. */
export function nearestOf(name: string, known: readonly string[]): string | null {
  const ranked = known
    .map((candidate) => ({ candidate, edits: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)
  const [best] = ranked
  return best && best.edits <= Math.max(2, name.length / 2) ? best.candidate : null
}

/** Letters to insert, delete, exchange, or swap with their neighbour (Damerau's distance), one row at a time. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwapped) next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    before = row
    row = next
  }
  return row[b.length]!
}

function sentenceOf(error: z.ZodError, origins: ReadonlyMap<string, Origin>): string {
  const issue = error.issues[0]!
  const key = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const group = issue.path
      .map((part) => (typeof part === 'number' ? '[]' : `.${String(part)}`))
      .join('')
      .slice(1)
    const known = configKeys()
      .filter((entry) => entry.key.startsWith(group))
      .map((entry) => entry.key.slice(group === '' ? 0 : group.length + 1))
    return `${[key, issue.keys[0]].filter(Boolean).join('.')} is not a key of the configuration; did you mean ${nearestOf(issue.keys[0] ?? '', known) ?? 'another'}?`
  }
  const origin = origins.get(key) ?? origins.get(String(issue.path[0]))
  return `${key}${origin ? ` (from the ${origin})` : ''}: ${detailOf(issue)}`
}

/** Of a value that may be of several types: what the one says whose type it has. */
function detailOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message
  const all = issue.errors.flat()
  return (all.find(({ code }) => code !== 'invalid_type' && code !== 'invalid_value') ?? all.at(-1) ?? issue).message
}

/** The configuration as plain data with origins, secrets replaced. */
export function showConfig({ config, origins }: LoadedConfig): { key: string; value: unknown; origin: Origin }[] {
  return configKeys()
    .filter(({ key }) => !key.includes('['))
    .map(({ key }) => {
      const [group, name] = key.split('.') as [keyof Config, string | undefined]
      const value = name === undefined ? config[group] : (config[group] as Record<string, unknown>)[name]
      return {
        key,
        value: secretKeys.includes(key) && value !== undefined ? '(hidden)' : redactDeep(value),
        origin: origins.get(key) ?? 'default',
      }
    })
}

export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
}
