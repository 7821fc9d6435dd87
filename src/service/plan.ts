/**
 * Plans the systemd service of a configuration: the files that it reads, its secrets and its groups, as plain data for the
 * unit, and warnings about what the service could not read. It reads the file system, and changes nothing.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { cameraCredential, credentialNames, secretFiles } from '../config/credentials.js'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { credentialPrefix, type UnitOptions } from './unit.js'

/** The result of `planService`. */
export interface ServicePlan {
  readonly unit: UnitOptions
  /** One sentence per thing that will not work as it is. */
  readonly warnings: readonly string[]
}

/** What `planService` needs. */
export interface PlanOptions {
  readonly config: Config
  /** Absolute path, or undefined for a service with the defaults. */
  readonly configFile: string | undefined
  /** The running program file; a symbolic link of npm is resolved. */
  readonly program: string
  /** The Node executable; a symbolic link is resolved. */
  readonly node: string
  /** Whether the native addon, which notifies systemd, is present. */
  readonly canNotify: boolean
  /** systemd's MemoryMax, such as 800M or 60%. */
  readonly memoryMax: string
}

/** Plans a service. Throws USAGE where this gapcam cannot be a service because npx will delete it. */
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
    throw new GapcamError('USAGE', 'this gapcam was started by npx, from a cache that npm deletes', {
      hint: 'Install gapcam first: sudo npm install -g gapcam.',
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
            `${configFile} is not readable by all users, so systemd gives the service a copy at each start. After a change run systemctl restart, since reload would read the old copy`,
          ]
        : []),
    ],
  }
}

/** Margin so that our own deadline, which names the stage, fires before systemd's. */
const watchdogSlackS = 2

/** The secret files that a configuration names, with the names of their credentials. */
function secretsOf(config: Config): { name: string; file: string }[] {
  const files = secretFiles(config)
  const named = Object.entries(credentialNames).map(([key, name]) => ({ name, file: files[key as keyof typeof files] }))
  const cameras = config.cameras.map(({ id, passwordFile }) => ({ name: cameraCredential(id), file: passwordFile }))
  return [...named, ...cameras].flatMap(({ name, file }) => (file === undefined ? [] : [{ name, file }]))
}

/**
 * Files without secrets, which the service's user reads where they lie. A model adds its folder, which also holds labels,
 * manifest and external data.
 */
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

/** The folder with gapcam and everything that it imports: the outermost node_modules, or the checkout. */
function packageRoot(program: string): string {
  const at = program.indexOf('/node_modules/')
  return at >= 0 ? program.slice(0, at + '/node_modules'.length) : dirname(dirname(dirname(program)))
}

/** Whether the unit's ProtectHome or PrivateTmp hides a path from the service. */
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
    ...relative.map(
      (file) => `${file} is a relative path, and the service runs in another folder; write the path from /`,
    ),
    ...named.filter((file) => !existsSync(file)).map((file) => `${file} does not exist`),
    ...filesOf(config)
      .filter((file) => file.startsWith('/') && existsSync(file))
      .flatMap((file) => {
        const closed = firstClosed(file)
        return closed === null
          ? []
          : [`the service's user cannot read ${file}, because ${closed} is closed to other users: chmod o+rX ${closed}`]
      }),
    ...(mqtt.broker === 'embedded'
      ? ['no mqtt.broker is configured, so the service starts its own broker, which only this machine can reach']
      : []),
  ]
}

/**
 * The first folder on the path of a file, or the file itself, that other users may not enter or read; null if there is none.
 * Folders that the unit hides do not count, because systemd creates them anew.
 */
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
