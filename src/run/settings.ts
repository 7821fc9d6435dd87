/**
 * What people change while gapcam runs: camera on or off, threshold, region, and the keys of `runtimeSchema`. Values
 * win over the configuration until they are cleared (null), are kept across restarts, and everybody who listens hears
 * the new one; of two who write the last wins. Read once a frame: the same object until something changes.
 */
import { join } from 'node:path'
import { z } from 'zod'
import {
  region,
  runtimeSchema,
  share,
  type CameraConfig,
  type Config,
  type RuntimeKey,
  type RuntimeValues,
} from '../config/schema.js'
import type { Logger } from '../log.js'
import type { PolicyOptions } from '../decision/policy.js'
import type { Region } from '../pixels/spec.js'
import { openStateFile } from '../state-file.js'

/** What holds for one camera now. */
export interface CameraSettings {
  readonly isEnabled: boolean
  readonly policy: PolicyOptions
  /** Null: the whole frame. */
  readonly roi: Region | null
}

/** What holds for the node now. */
export type NodeSettings = Pick<RuntimeValues, 'mqtt.stateEveryMs' | 'mqtt.resultEveryMs' | 'logLevel'>

/** New values; null goes back to the configuration's. */
export interface SettingsChange {
  readonly camera?: string
  readonly enabled?: boolean | null
  readonly threshold?: number | null
  readonly roi?: Region | null
  readonly values?: { readonly [K in RuntimeKey]?: RuntimeValues[K] | null }
}

export interface Settings {
  /** Throws TypeError for a camera that there is not. */
  camera(id: string): CameraSettings
  readonly node: NodeSettings
  /** What differs from the configuration, as it is stored. */
  readonly overrides: Overrides
  /** Takes effect at once; resolves when it is on the disk: false where it could not be kept. */
  change(change: SettingsChange): Promise<boolean>
  /** Another configuration below the same overrides. */
  rebase(config: Config, cameras: readonly CameraConfig[]): void
  /** Calls back after every change; returns how to stop that. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

const cameraOverrides = z.strictObject({ enabled: z.boolean(), threshold: share, roi: region }).partial()
const overridesSchema = z.strictObject({
  version: z.literal(1),
  cameras: z.record(z.string().regex(/^[a-z0-9-]+$/), cameraOverrides),
  values: runtimeSchema.partial(),
})
export type Overrides = z.output<typeof overridesSchema>

export interface SettingsOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
  /** Where settings.json lies; null keeps nothing. */
  readonly folder: string | null
  readonly log: Pick<Logger, 'warn'>
  /** Least time between two writes; see state-file.ts. */
  readonly everyMs?: number
}

export function openSettings(options: SettingsOptions): Settings {
  const path = options.folder === null ? null : join(options.folder, 'settings.json')
  const file = openStateFile<Overrides>({
    path,
    schema: overridesSchema,
    empty: { version: 1, cameras: {}, values: {} },
    log: options.log,
    ...(options.everyMs === undefined ? {} : { everyMs: options.everyMs }),
  })
  const listeners = new Set<() => void>()
  let { config, cameras } = options
  let effective = effectiveOf(config, cameras, file.value)

  function refresh(): void {
    effective = effectiveOf(config, cameras, file.value)
    for (const listener of [...listeners]) listener()
  }

  return {
    camera(id) {
      const settings = effective.cameras.get(id)
      if (!settings)
        throw new TypeError(
          `Expected one of ${[...effective.cameras.keys()].join(', ')} for camera but received ${JSON.stringify(id)}`,
        )
      return settings
    },
    get node() {
      return effective.node
    },
    get overrides() {
      return file.value
    },
    change(change) {
      const next = changed(file.value, change, cameras)
      // The same again costs the card no write.
      if (JSON.stringify(next) === JSON.stringify(file.value)) return Promise.resolve(path !== null)
      const kept = file.replace(next)
      refresh()
      return kept
    },
    rebase(otherConfig, otherCameras) {
      config = otherConfig
      cameras = otherCameras
      refresh()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: file.close,
  }
}

/** A threshold for all cameras is a threshold for each: it has one place, so that the last who writes wins. */
function changed(
  before: Overrides,
  { camera, values = {}, ...own }: SettingsChange,
  cameras: readonly CameraConfig[],
): Overrides {
  const { 'policy.threshold': threshold, ...others } = values
  const next = { ...before, cameras: { ...before.cameras }, values: { ...before.values } }
  for (const { id } of cameras) {
    const change = { ...(id === camera ? own : {}), ...(threshold === undefined ? {} : { threshold }) }
    const merged = withoutNulls({ ...next.cameras[id], ...change })
    if (Object.keys(merged).length > 0) next.cameras[id] = merged
    else delete next.cameras[id]
  }
  next.values = withoutNulls({ ...next.values, ...others })
  return next
}

function withoutNulls<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], null>
  }
}

interface Effective {
  readonly cameras: ReadonlyMap<string, CameraSettings>
  readonly node: NodeSettings
}

function effectiveOf(config: Config, cameras: readonly CameraConfig[], { cameras: own, values }: Overrides): Effective {
  const names = ['hysteresis', 'consecutive', 'margin', 'smoothingMs', 'staleAfterMs'] as const
  const given = Object.fromEntries(
    names.flatMap((name) => (values[`policy.${name}`] === undefined ? [] : [[name, values[`policy.${name}`]]])),
  )
  const policy: PolicyOptions = { ...config.policy, ...given }
  return {
    cameras: new Map(
      cameras.map(({ id, roi }) => {
        const { enabled = true, threshold = policy.threshold, roi: chosen = roi ?? null } = own[id] ?? {}
        return [id, { isEnabled: enabled, policy: { ...policy, threshold }, roi: chosen }]
      }),
    ),
    node: {
      'mqtt.stateEveryMs': values['mqtt.stateEveryMs'] ?? config.mqtt.stateEveryMs,
      'mqtt.resultEveryMs': values['mqtt.resultEveryMs'] ?? config.mqtt.resultEveryMs,
      logLevel: values.logLevel ?? config.logLevel,
    },
  }
}
