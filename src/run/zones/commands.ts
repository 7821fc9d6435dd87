/**
 * The commands that add, change, rename and remove zones. They write the settings, above the configuration, and answer when
 * the zones are at work.
 */
import { createHash } from 'node:crypto'
import { sentenceOf } from '../../config/issues.js'
import { writtenZone } from '../../config/written.js'
import type { ZoneConfig } from '../../config/zones.js'
import { hasOwn, zonesOf, type ZoneDefinition, type ZonedCamera } from '../../zone/definition.js'
import { Refusal } from '../commands/refusal.js'
import type { Settings } from '../commands/settings.js'
import { withoutZone, withZone, type ZoneOverlay } from './overlay.js'

type Fields = Readonly<Record<string, unknown>>

/** What these commands need of the node. */
export interface ZoneTarget {
  /** Resolves when the zones are those of the settings. */
  readonly zonesApplied?: (() => Promise<void>) | undefined
  /** A label of a zone's rules that its model does not have, in one sentence with the nearest; null: there is none. */
  readonly labelFault?: ((zone: ZoneDefinition) => Promise<string | null>) | undefined
}

interface ZoneContext {
  readonly settings: Settings
  readonly target: ZoneTarget
}

/** A digest of a zone as it is written: it differs after every change. */
export function revisionOf(zone: ZoneConfig): string {
  return createHash('sha256')
    .update(JSON.stringify(writtenZone(zone)))
    .digest('hex')
    .slice(0, 12)
}

export interface ZoneSetting {
  readonly camera?: string | undefined
  readonly zone: string
  readonly rename?: string | undefined
  readonly revision?: string | undefined
  readonly values: Fields
}

/** Adds a zone or changes it. Throws Refusal, and then nothing has changed. */
export async function setZone(context: ZoneContext, given: ZoneSetting): Promise<Fields> {
  const { settings, target } = context
  // The labels of a model are read in between. Where others changed a setting meanwhile, theirs comes first.
  for (;;) {
    const { overrides } = settings
    const { camera, zone, overlay } = zoneAfter(settings, given)
    const [definition] = zonesOf({ ...camera, zones: [zone], keepsOwn: false })
    const fault = await target.labelFault?.(definition!)
    if (settings.overrides !== overrides) continue
    if (fault) throw new Refusal('invalid', fault)
    const isKept = await keep(context, camera.id, overlay)
    const name = given.rename ?? given.zone
    const now = settings.cameras.find(({ id }) => id === camera.id)?.zones?.find(({ id }) => id === name)
    return {
      camera: camera.id,
      zone: name,
      ...(now ? { values: writtenZone(now), revision: revisionOf(now) } : {}),
      ...(isKept ? {} : { kept: false }),
    }
  }
}

/** A zone with its camera and the camera's overlay, after a change of the present settings. Throws Refusal. */
function zoneAfter(
  settings: Settings,
  given: ZoneSetting,
): { readonly camera: ZonedCamera; readonly zone: ZoneConfig; readonly overlay: ZoneOverlay } {
  const camera = cameraOf(settings, given.camera)
  const before = camera.zones?.find(({ id }) => id === given.zone)
  if (given.revision !== undefined && (before === undefined || revisionOf(before) !== given.revision))
    throw new Refusal('failed', `zone ${camera.id}/${given.zone} was changed meanwhile; read it again and repeat`)
  const next = withZone(camera, settings.overrides.zones[camera.id], {
    name: given.zone,
    patch: given.values,
    ...(given.rename === undefined ? {} : { rename: given.rename }),
  })
  if ('fault' in next)
    throw new Refusal('invalid', typeof next.fault === 'string' ? next.fault : sentenceOf(next.fault, new Map()))
  return { camera, ...next }
}

/** Removes a zone, or the camera's own question. Throws Refusal. */
export async function removeZone(
  context: ZoneContext,
  given: { readonly camera?: string | undefined; readonly zone?: string | undefined },
): Promise<Fields> {
  const { settings } = context
  const camera = cameraOf(settings, given.camera)
  const { zones = [] } = camera
  const { zone = null } = given
  if (zone !== null && !zones.some(({ id }) => id === zone))
    throw new Refusal(
      'invalid',
      `zone: ${zone} is none of camera ${camera.id}${zones.length === 0 ? ', which has no zones' : `; it has ${zones.map(({ id }) => id).join(', ')}`}`,
    )
  if (zone === null && (zones.length === 0 || !hasOwn(camera)))
    throw new Refusal(
      'invalid',
      zones.length === 0
        ? `camera ${camera.id} has no zones; without its own question it would have none`
        : `camera ${camera.id} has no question about the whole picture`,
    )
  const isKept = await keep(context, camera.id, withoutZone(settings.overrides.zones[camera.id], zone))
  return { camera: camera.id, ...(zone === null ? {} : { zone }), ...(isKept ? {} : { kept: false }) }
}

function cameraOf(settings: Settings, given: string | undefined): ZonedCamera {
  const { cameras } = settings
  const camera = given === undefined && cameras.length === 1 ? cameras[0] : cameras.find(({ id }) => id === given)
  if (camera) return camera
  const known = cameras.map(({ id }) => id).join(', ')
  throw new Refusal(
    'invalid',
    given === undefined ? `camera: one of ${known} is needed` : `camera: ${given} is none of ${known}`,
  )
}

/** Takes effect at once; resolves when the zones are at work: false where the change could not be stored. */
async function keep({ settings, target }: ZoneContext, camera: string, overlay: ZoneOverlay): Promise<boolean> {
  const kept = settings.change({ zones: { [camera]: overlay } })
  await target.zonesApplied?.()
  return kept
}
