/**
 * The values that commands change while gapcam runs: camera or zone on or off, threshold, region, zones, and the keys of
 * `runtimeSchema`. They override the configuration until they are cleared (null), survive restarts, and every listener
 * hears a change; the last write wins. Reading is cheap: the same object until something changes.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { region, share } from '../../config/region.js'
import {
  runtimeSchema,
  type CameraConfig,
  type Config,
  type RuntimeKey,
  type RuntimeValues,
} from '../../config/schema.js'
import { expected, fileFaultOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { PolicyOptions } from '../../decision/policy.js'
import type { Region } from '../../pixels/spec.js'
import { openStateFile } from '../../state-file.js'
import { zonesOf, type ZoneDefinition, type ZonedCamera } from '../../zone/definition.js'
import type { ZoneSettings } from '../../zone/zone-options.js'
import { overlaid, zoneOverlay, type ZoneOverlay } from '../zones/overlay.js'

/** The values of one camera. */
export interface CameraSettings {
  readonly isEnabled: boolean
}

/** The values of the node. */
export type NodeSettings = Pick<RuntimeValues, 'mqtt.stateEveryMs' | 'mqtt.resultEveryMs' | 'logLevel'>

/** New values; null restores the configuration's. */
export interface SettingsChange {
  /** Key of the zone (for `enabled` the camera's id, which is the key of its zone) that the next three belong to. */
  readonly zone?: string
  readonly enabled?: boolean | null
  readonly threshold?: number | null
  readonly roi?: Region | null
  readonly values?: { readonly [K in RuntimeKey]?: RuntimeValues[K] | null }
  /** The zones of a camera, by its id. */
  readonly zones?: Readonly<Record<string, ZoneOverlay>>
}

export interface Settings {
  /** Throws TypeError for an id of no camera. */
  camera(id: string): CameraSettings
  /** Throws TypeError for a key of no zone. */
  zone(key: string): ZoneSettings
  /** Undefined for a key of no zone. */
  findZone(key: string): ZoneSettings | undefined
  readonly node: NodeSettings
  /** The cameras with the zones that hold now. */
  readonly cameras: readonly ZonedCamera[]
  /** The values that differ from the configuration, as they are stored. */
  readonly overrides: Overrides
  /** Takes effect at once. Resolves when the change is on disk: false where it could not be kept. */
  change(change: SettingsChange): Promise<boolean>
  /** Replaces the configuration below the same overrides. */
  rebase(config: Config, cameras: readonly CameraConfig[]): void
  /** Calls back after every change; returns a function that removes the listener. */
  onChange(listener: () => void): () => void
  close(): Promise<void>
}

const zoneOverrides = z.strictObject({ enabled: z.boolean(), threshold: share, roi: region }).partial()
const ofZones = {
  /** By key of the zone. A camera's own zone has the camera's id, hence the name. */
  cameras: z.record(z.string().regex(/^[a-z0-9-]+(\/[a-z0-9-]+)?$/), zoneOverrides),
  values: runtimeSchema.partial(),
}
const current = z.strictObject({
  version: z.literal(2),
  ...ofZones,
  /** By id of the camera. */
  zones: z.record(z.string().regex(/^[a-z0-9-]+$/), zoneOverlay),
})
export type Overrides = z.output<typeof current>
/** Before there were zones. */
const first = z.strictObject({ version: z.literal(1), ...ofZones })

/** The file of the settings, in this version and earlier ones. */
const overridesSchema: z.ZodType<Overrides> = z.discriminatedUnion(
  'version',
  [current, first.transform((before): Overrides => ({ ...before, version: 2, zones: {} }))],
  { error: ({ input }) => (isNewer(input) ? 'the file is from a newer version of gapcam' : undefined) },
)

const isNewer = (input: unknown): boolean => Number((input as { readonly version?: unknown } | null)?.version) > 2

/** The settings in a state folder as they are now, without changing anything; a fault says why they cannot be read. */
export function readOverrides(folder: string): { readonly overrides: Overrides; readonly fault: string | null } {
  const file = join(folder, 'settings.json')
  try {
    return { overrides: overridesSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), fault: null }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const overrides: Overrides = { version: 2, cameras: {}, values: {}, zones: {} }
    return { overrides, fault: isMissing ? null : `${file} cannot be read: ${fileFaultOf(error)}` }
  }
}

export interface SettingsOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
  /** Where settings.json is; null keeps nothing. */
  readonly folder: string | null
  readonly log: Pick<Logger, 'warn'>
  /** Least time between two writes; see state-file.ts. */
  readonly everyMs?: number
}

/**
 * Opens the settings of a node. A file that is damaged or from a newer version is put aside with a warning.
 *
 *     const settings = openSettings({ config, cameras: config.cameras, folder, log })
 *     await settings.change({ zone: 'cam0', threshold: 0.7 })
 */
export function openSettings(options: SettingsOptions): Settings {
  const path = options.folder === null ? null : join(options.folder, 'settings.json')
  const file = openStateFile<Overrides>({
    path,
    schema: overridesSchema,
    empty: { version: 2, cameras: {}, values: {}, zones: {} },
    log: options.log,
    everyMs: options.everyMs,
  })
  const listeners = new Set<() => void>()
  let { config, cameras: given } = options
  const told = new Set<string>()
  const zoned = (): ZonedCamera[] =>
    given.map((camera) =>
      overlaid(camera, file.value.zones[camera.id], (sentence) => {
        if (!told.has(sentence)) options.log.warn({ camera: camera.id }, `${sentence}; it is left out`)
        told.add(sentence)
      }),
    )
  let cameras = zoned()
  let effective = effectiveOf(config, cameras, file.value)

  function refresh(): void {
    cameras = zoned()
    effective = effectiveOf(config, cameras, file.value, effective)
    for (const listener of [...listeners]) listener()
  }

  return {
    camera: (id) => entryOf(effective.cameras, 'camera', id),
    zone: (key) => entryOf(effective.zones, 'zone', key),
    findZone: (key) => effective.zones.get(key),
    get node() {
      return effective.node
    },
    get cameras() {
      return cameras
    },
    get overrides() {
      return file.value
    },
    change(change) {
      const next = changed(file.value, change, given)
      // An SD card is not written for a value that is already there.
      if (JSON.stringify(next) === JSON.stringify(file.value)) return Promise.resolve(path !== null)
      const kept = file.replace(next)
      refresh()
      return kept
    },
    rebase(otherConfig, otherCameras) {
      config = otherConfig
      given = otherCameras
      refresh()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: file.close,
  }
}

function entryOf<T>(entries: ReadonlyMap<string, T>, name: string, key: string): T {
  const entry = entries.get(key)
  if (entry === undefined) throw expected(`one of ${[...entries.keys()].join(', ')}`, name, key)
  return entry
}

/** A threshold for all zones is stored as one for each: with one place for a value, the last write wins. */
function changed(
  before: Overrides,
  { zone, values = {}, zones = {}, ...own }: SettingsChange,
  given: readonly CameraConfig[],
): Overrides {
  const { 'policy.threshold': threshold, ...others } = values
  const next = { ...before, cameras: { ...before.cameras }, values: { ...before.values } }
  const overlays = { ...before.zones, ...zones }
  const cameras = given.map((camera) => overlaid(camera, overlays[camera.id]))
  const keys = new Set([...cameras.flatMap(zonesOf).map(({ key }) => key), ...cameras.map(({ id }) => id)])
  for (const key of keys) {
    const change = { ...(key === zone ? own : {}), ...(threshold === undefined ? {} : { threshold }) }
    const merged = withoutNulls({ ...next.cameras[key], ...change })
    if (Object.keys(merged).length > 0) next.cameras[key] = merged
    else delete next.cameras[key]
  }
  // A removed zone leaves nothing behind; a camera that is not in the configuration now may return.
  for (const key of Object.keys(next.cameras)) {
    const [camera] = key.split('/') as [string]
    if (zones[camera] && !keys.has(key)) delete next.cameras[key]
  }
  next.values = withoutNulls({ ...next.values, ...others })
  return { ...next, zones: overlays }
}

function withoutNulls<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], null>
  }
}

interface Effective {
  readonly cameras: ReadonlyMap<string, CameraSettings>
  readonly zones: ReadonlyMap<string, ZoneSettings>
  readonly node: NodeSettings
}

/** What is the same as in `before` stays the same object. */
function effectiveOf(
  config: Config,
  cameras: readonly ZonedCamera[],
  { cameras: own, values }: Overrides,
  before?: Effective,
): Effective {
  const policy: PolicyOptions = { ...config.policy, ...policyOf(values) }
  const isEnabled = (key: string): boolean => own[key]?.enabled ?? true
  const zoneOf = ({ key, camera, roi, policy: differs }: ZoneDefinition): ZoneSettings => {
    const { threshold = differs.threshold ?? policy.threshold, roi: chosen = roi } = own[key] ?? {}
    const isSwitchedOn = isEnabled(key)
    const isSeen = isEnabled(camera) && isSwitchedOn
    const now = { isEnabled: isSeen, isSwitchedOn, policy: { ...policy, ...differs, threshold }, roi: chosen }
    const earlier = before?.zones.get(key)
    return earlier && JSON.stringify(earlier) === JSON.stringify(now) ? earlier : now
  }
  return {
    cameras: new Map(cameras.map(({ id }) => [id, { isEnabled: isEnabled(id) }])),
    zones: new Map(cameras.flatMap(zonesOf).map((definition) => [definition.key, zoneOf(definition)])),
    node: {
      'mqtt.stateEveryMs': values['mqtt.stateEveryMs'] ?? config.mqtt.stateEveryMs,
      'mqtt.resultEveryMs': values['mqtt.resultEveryMs'] ?? config.mqtt.resultEveryMs,
      logLevel: values.logLevel ?? config.logLevel,
    },
  }
}

/** The options of the policy among the values, without the prefix of their keys. The threshold is each zone's own. */
function policyOf({ 'policy.threshold': _threshold, ...values }: Overrides['values']): Partial<PolicyOptions> {
  const prefix = 'policy.'
  const options = Object.entries(values).filter(([key]) => key.startsWith(prefix))
  return Object.fromEntries(options.map(([key, value]) => [key.slice(prefix.length), value]))
}
