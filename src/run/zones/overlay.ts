/**
 * Zones that commands have set, above those of the configuration: pure functions from a camera of the file and its overlay
 * to the camera as it runs, and from a command to the next overlay.
 */
import { z } from 'zod'
import type { CameraConfig } from '../../config/schema.js'
import { writtenZone } from '../../config/written.js'
import { zone, zones, type ZoneConfig, type ZoneInput } from '../../config/zones.js'
import { id } from '../../config/id.js'
import type { ZonedCamera } from '../../zone/definition.js'

/** What commands have changed of one camera's zones. */
export const zoneOverlay = z.strictObject({
  /** By id: zones that replace those of the file, or come after them. As they are written, without their id. */
  set: z.record(id, z.record(z.string(), z.unknown())).default({}),
  /** Zones of the file that were removed. */
  removed: z.array(id).default([]),
  /** The question about the whole picture was removed. */
  isOwnRemoved: z.boolean().default(false),
  /** The taught head that answers the camera's own question. */
  ownModel: z.string().optional(),
})
export type ZoneOverlay = z.output<typeof zoneOverlay>

const noOverlay: ZoneOverlay = { set: {}, removed: [], isOwnRemoved: false }

/**
 * The camera with its zones. A list of zones in the file replaces the question about the whole picture; zones of commands
 * leave it until it is removed. `onFault` hears of a stored zone that cannot be read any more; it is left out.
 */
export function overlaid(
  camera: CameraConfig,
  overlay: ZoneOverlay = noOverlay,
  onFault?: (sentence: string) => void,
): ZonedCamera {
  const { set, removed, isOwnRemoved, ownModel } = overlay
  const own = camera.zones ?? []
  const stored = new Map(
    Object.entries(set).flatMap(([name, input]): [string, ZoneConfig][] => {
      const read = zone.safeParse({ ...input, id: name })
      if (read.success) return [[name, read.data]]
      onFault?.(`zone ${camera.id}/${name} of the settings cannot be used: ${read.error.issues[0]!.message}`)
      return []
    }),
  )
  const ofFile = own.filter((each) => !removed.includes(each.id)).map((each) => stored.get(each.id) ?? each)
  const added = [...stored.values()].filter((each) => !own.some((other) => other.id === each.id))
  const all = [...ofFile, ...added]
  const taught = ownModel === undefined ? {} : { ownModel }
  if (all.length === 0) return { ...camera, ...(camera.zones === undefined ? {} : { zones: [] }), ...taught }
  return {
    ...camera,
    ...taught,
    zones: all,
    keepsOwn: (own.length === 0 || camera.wholePicture === true) && !isOwnRemoved,
  }
}

/** Keys of a zone to change; null removes a key. */
export type ZonePatch = Readonly<Record<string, unknown>>

/**
 * The overlay after a zone is added or changed. `rename` gives it another id. A fault is one sentence about what is wrong;
 * then nothing changes.
 */
export function withZone(
  camera: ZonedCamera,
  overlay: ZoneOverlay = noOverlay,
  { name, patch, rename = name }: { readonly name: string; readonly patch: ZonePatch; readonly rename?: string },
): { readonly overlay: ZoneOverlay; readonly zone: ZoneConfig } | { readonly fault: z.ZodError | string } {
  const before = camera.zones?.find((each) => each.id === name)
  if (rename !== name && !before) return { fault: `there is no zone ${name} to rename` }
  if (rename !== name && camera.zones?.some((each) => each.id === rename))
    return { fault: `there is a zone ${rename} already` }
  const merged = { ...(before ? writtenZone(before) : {}), ...patch, id: rename }
  const input = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null && value !== undefined))
  const read = zone.safeParse(input)
  if (!read.success) return { fault: read.error }
  const others = (camera.zones ?? []).filter((each) => each.id !== name)
  const all = zones.safeParse([...others.map(writtenZone), input])
  if (!all.success) return { fault: all.error }
  const base = rename === name ? overlay : withoutZone(overlay, name)
  const { id: _, ...stored } = input as ZoneInput
  return {
    zone: read.data,
    overlay: {
      ...base,
      set: { ...base.set, [rename]: stored },
      removed: base.removed.filter((other) => other !== rename),
    },
  }
}

/** The overlay after a zone, or the camera's own question (null), gets another model. */
export function withModel(
  camera: ZonedCamera,
  overlay: ZoneOverlay = noOverlay,
  { zone: name, model }: { readonly zone: string | null; readonly model: string },
): { readonly overlay: ZoneOverlay } | { readonly fault: string } {
  if (name === null) return { overlay: { ...overlay, ownModel: model } }
  const next = withZone(camera, overlay, { name, patch: { model } })
  return 'overlay' in next
    ? next
    : { fault: typeof next.fault === 'string' ? next.fault : next.fault.issues[0]!.message }
}

/** The overlay after a zone is removed; null for the camera's own question. */
export function withoutZone(overlay: ZoneOverlay = noOverlay, name: string | null): ZoneOverlay {
  if (name === null) return { ...overlay, isOwnRemoved: true }
  const { [name]: _, ...set } = overlay.set
  return { ...overlay, set, removed: [...overlay.removed.filter((other) => other !== name), name] }
}
