/**
 * The configuration together with what commands have set while gapcam ran: the rows that `config show` adds, and the YAML of
 * `config export`, which does the same without the settings.
 */
import { stringify } from 'yaml'
import type { LoadedConfig } from '../config/config.js'
import { secretKeys, type CameraConfig } from '../config/schema.js'
import { writtenKeys, writtenZone } from '../config/written.js'
import type { Overrides } from '../run/commands/settings.js'
import { overlaid } from '../run/zones/overlay.js'
import { redact } from '../secrets.js'
import { hasOwn, type ZonedCamera } from '../zone/definition.js'

/** One row of `config show`. */
export interface ShownRow {
  readonly key: string
  readonly value: unknown
  readonly origin: string
}

/** What the settings add to the rows of the configuration, and what they replace: the same key. */
export function settingRows({ config, origins }: LoadedConfig, overrides: Overrides): ShownRow[] {
  const values = Object.entries(overrides.values).map(([key, value]): ShownRow => ({ key, value, origin: 'settings' }))
  const zones = config.cameras.flatMap((camera) => {
    const set = overrides.zones[camera.id]?.set ?? {}
    return (overlaid(camera, overrides.zones[camera.id]).zones ?? []).map((zone): ShownRow => {
      const { id, ...rest } = writtenZone(zone)
      const origin = Object.hasOwn(set, id) ? 'settings' : (origins.get('cameras') ?? 'default')
      return { key: `cameras.${camera.id}.zones.${id}`, value: rest, origin }
    })
  })
  const ofPlaces = Object.entries(overrides.cameras).flatMap(([place, own]) =>
    Object.entries(own).map(
      ([name, value]): ShownRow => ({
        key: `cameras.${place.replace('/', '.zones.')}.${name}`,
        value,
        origin: 'settings',
      }),
    ),
  )
  return [...values, ...zones, ...ofPlaces]
}

/** YAML that does what the configuration does together with the settings; comments name what it cannot hold. */
export function exportedYaml({ config, origins }: LoadedConfig, overrides: Overrides): string {
  const notes: string[] = []
  const tree: Record<string, unknown> = {}
  const put = (key: string, value: unknown): void => {
    const [group, name] = key.split('.') as [string, string | undefined]
    if (name === undefined) tree[group] = value
    else tree[group] = { ...(tree[group] as object | undefined), [name]: value }
  }
  const written = writtenKeys(config)
  for (const [key, origin] of origins) {
    if (key === 'cameras' || origin === 'credential' || origin === 'default') continue
    const value = valueAt(written, key)
    if (value === undefined) continue
    if (secretKeys.includes(key)) notes.push(`${key} is a secret and is not exported`)
    else put(key, plain(key, value, notes))
  }
  for (const [key, value] of Object.entries(overrides.values)) put(key, value)
  if (config.cameras.length > 0) tree['cameras'] = config.cameras.map((camera) => cameraOf(camera, overrides, notes))
  for (const [place, { enabled }] of Object.entries(overrides.cameras))
    if (enabled === false) notes.push(`${place} is switched off, which only a command can do`)
  return notes.map((note) => `# ${note}\n`).join('') + stringify(tree)
}

function valueAt(written: Readonly<Record<string, unknown>>, key: string): unknown {
  const [group, name] = key.split('.') as [string, string | undefined]
  return name === undefined ? written[group] : (written[group] as Record<string, unknown> | undefined)?.[name]
}

/** A value as it is written. An address with a password is written without it. */
function plain(key: string, value: unknown, notes: string[]): unknown {
  if (typeof value !== 'string' || redact(value) === value) return value
  notes.push(`${key} holds a password, which is not exported`)
  return redact(withoutLogin(value))
}

const withoutLogin = (address: string): string => address.replace(/\/\/[^@/]*@/, '//')

function cameraOf(given: CameraConfig, overrides: Overrides, notes: string[]): Record<string, unknown> {
  const camera: ZonedCamera = overlaid(given, overrides.zones[given.id])
  const { zones = [], keepsOwn: _, ownModel: ___, wholePicture: __, roi, ...rest } = camera
  const own = overrides.cameras[camera.id] ?? {}
  const source =
    given.passwordFile === undefined
      ? plain(`the source of ${camera.id}`, rest.source, notes)
      : withoutLogin(rest.source)
  const chosen = own.roi ?? roi
  if (own.threshold !== undefined && hasOwn(camera))
    notes.push(`the threshold of ${camera.id} is ${own.threshold}, which only a command or policy.threshold can set`)
  return {
    ...rest,
    source,
    ...(chosen ? { roi: chosen } : {}),
    ...(zones.length > 0 && hasOwn(camera) ? { wholePicture: true } : {}),
    ...(zones.length > 0
      ? {
          zones: zones.map((zone) => {
            const { threshold } = overrides.cameras[`${camera.id}/${zone.id}`] ?? {}
            return writtenZone(threshold === undefined ? zone : { ...zone, policy: { ...zone.policy, threshold } })
          }),
        }
      : {}),
  }
}
