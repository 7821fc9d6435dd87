/**
 * What a service on this machine needs: which files it reads and from where, which secrets, which groups. Plain data
 * for the unit, with everything worth a warning said in words.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { cameraCredential, credentialNames, secretFiles } from '../config/credentials.js'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { credentialPrefix, type UnitOptions } from './unit.js'

export interface ServicePlan {
  readonly unit: UnitOptions
  /** What will not work as it is, a sentence each. */
  readonly warnings: readonly string[]
}

export interface PlanOptions {
  readonly config: Config
  /** Absolute, or undefined for the defaults alone. */
  readonly configFile: string | undefined
  /** The program file that runs now; npm's link to it is followed. */
  readonly program: string
  readonly node: string
  readonly canNotify: boolean
  readonly memoryMax: string
}

/** Plans a service. Throws CONFIG_INVALID or USAGE where no service can come of it. */
export function planService({
  config,
  configFile,
  program: link,
  node: runtime,
  canNotify,
  memoryMax,
}: PlanOptions): ServicePlan {
  const [program, node] = [realpathSync(link), realpathSync(runtime)]
  if (program.includes('/_npx/'))
    throw new GapcamError('USAGE', 'this gapcam lies in the cache of npx, which npm empties', {
      hint: 'Install it first: sudo npm install -g gapcam.',
    })
  const credentials = secretsOf(config).map(({ name, file }) => ({ name, file: resolve(file) }))
  const hidesConfig = configFile !== undefined && !isWorldReadable(configFile)
  if (hidesConfig) credentials.push({ name: 'config', file: configFile })
  const files = [...(configFile === undefined || hidesConfig ? [] : [configFile]), ...filesOf(config)].map((file) =>
    resolve(file),
  )
  const readable = [node, packageRoot(program), ...files].filter(isHidden)
  const args = [
    'run',
    ...(configFile === undefined ? [] : ['--config', hidesConfig ? `${credentialPrefix}config` : configFile]),
  ]
  const watchdogS = Math.ceil(config.hungAfterMs / 1000) + watchdogSlackS
  return {
    unit: {
      node,
      program,
      args,
      credentials,
      readable: [...new Set(readable)],
      groups: existingGroups(),
      canNotify,
      watchdogS,
      memoryMax,
    },
    warnings: [
      ...warningsOf(config),
      ...(hidesConfig
        ? [
            `${configFile} is not readable by all, so systemd hands the service a copy at each start: systemctl restart, not reload, after a change`,
          ]
        : []),
    ],
  }
}

/** Behind the deadlines of our own, which say what hung. */
const watchdogSlackS = 2

/** The files with secrets that a configuration names, by the names of their credentials. */
function secretsOf(config: Config): { name: string; file: string }[] {
  const files = secretFiles(config)
  const named = Object.entries(credentialNames).map(([key, name]) => ({ name, file: files[key as keyof typeof files] }))
  const cameras = config.cameras.map(({ id, passwordFile }) => ({ name: cameraCredential(id), file: passwordFile }))
  return [...named, ...cameras].flatMap(({ name, file }) => (file === undefined ? [] : [{ name, file }]))
}

/** Files that are no secrets: the service's user reads them where they lie. A model brings the folder it lies in, with labels, manifest and external data. */
function filesOf({ model, labels, mqtt, cameras }: Config): string[] {
  const sources = cameras
    .map(({ source }) => source.replace(/^file:\/\//, ''))
    .filter((source) => source.startsWith('/') && !source.startsWith('/dev/'))
  return [
    ...(model === '' ? [] : [dirname(model)]),
    ...(labels === undefined ? [] : [labels]),
    ...[mqtt.ca, mqtt.cert].filter((file) => file !== undefined),
    ...sources,
  ]
}

/** The folder with gapcam and all that it imports: the outermost node_modules, or the checkout. */
function packageRoot(program: string): string {
  const at = program.indexOf('/node_modules/')
  return at >= 0 ? program.slice(0, at + '/node_modules'.length) : dirname(dirname(dirname(program)))
}

/** What ProtectHome and PrivateTmp hide. */
function isHidden(path: string): boolean {
  return /^\/(home|root|run\/user|tmp|var\/tmp)(\/|$)/.test(path)
}

function isWorldReadable(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) % 8 >= 4
}

function existingGroups(): string[] {
  const groups = existsSync('/etc/group') ? readFileSync('/etc/group', 'utf8') : ''
  return ['video', 'render'].filter((name) => new RegExp(`^${name}:`, 'm').test(groups))
}

function warningsOf(config: Config): string[] {
  const { mqtt, cameras } = config
  const named = [...filesOf(config), ...secretsOf(config).map(({ file }) => file)]
  const relative = [
    ...named,
    ...cameras.map(({ source }) => source).filter((source) => source !== '' && !/^[a-z0-9+]+:/i.test(source)),
  ].filter((file) => !file.startsWith('/'))
  return [
    ...relative.map((file) => `${file} is a path from a folder in which the service will not be; give it from /`),
    ...named.filter((file) => !existsSync(file)).map((file) => `${file} is not there`),
    ...filesOf(config)
      .filter((file) => file.startsWith('/') && existsSync(file))
      .flatMap((file) => {
        const closed = firstClosed(file)
        return closed === null
          ? []
          : [`the service's user cannot read ${file}: ${closed} is closed to others (chmod o+rX ${closed})`]
      }),
    ...(mqtt.broker === 'embedded'
      ? ['no mqtt.broker is configured: the service keeps a broker of its own on loopback']
      : []),
  ]
}

/** The first folder on the way to a file, or the file, that others may not enter or read; folders in what is hidden are made anew by systemd. */
function firstClosed(file: string): string | null {
  const parts = file.split('/').slice(1)
  for (let i = 1; i <= parts.length; i++) {
    const path = `/${join(...parts.slice(0, i))}`
    const status = statSync(path)
    const isLast = i === parts.length
    if (!isLast && isHidden(path)) continue
    const needs = status.isDirectory() ? (isLast ? 5 : 1) : 4
    if ((status.mode & needs) !== needs) return path
  }
  return null
}
