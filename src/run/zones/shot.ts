/** The present clip of a zone, as it is taught. */
import { isWithoutCamera } from '../../decision/decision.js'
import { GapcamError } from '../../errors.js'
import type { RgbImage } from '../../pixels/image.js'
import type { AnyZone } from '../../zone/missing.js'
import type { EngineTurns } from '../../zone/zone-options.js'

/**
 * The frames of the present clip as the zone's network sees them, oldest first; null for a zone whose network takes pictures.
 * Rejects with CAMERA_LOST where there is no whole clip.
 */
export async function shotOf(zone: AnyZone, turns: EngineTurns): Promise<readonly RgbImage[] | null> {
  if (zone.classifier?.clip?.form !== 'clips') return null
  const { reason, detail } = zone.decision
  // The frames lie in the engine's input, which other zones use too.
  const take = async (): Promise<readonly RgbImage[] | null> => zone.view?.current.shot?.() ?? null
  const frames = isWithoutCamera(zone.decision)
    ? null
    : await turns.take(take, { lastMs: performance.now(), untilMs: Infinity })
  if (frames) return frames
  throw new GapcamError('CAMERA_LOST', `zone ${zone.key} has no whole clip: ${detail ?? reason ?? 'it has just begun'}`)
}
