/** The lens watches of cameras that have no question of their own, for the cameras and for their zones. */
import type { Config } from '../../config/schema.js'
import { CameraLens } from '../../zone/camera-lens.js'
import type { AnyZone } from '../../zone/missing.js'

/** One for each camera. */
export interface Lenses {
  of(camera: string): CameraLens
  /** What is found for a camera with these zones; null where its own question does the checks. */
  finding(zones: readonly Pick<AnyZone, 'key' | 'camera'>[]): CameraLens | null
  close(): void
}

/** Opens them as they are needed. */
export function openLenses(lens: Config['lens']): Lenses {
  const lenses = new Map<string, CameraLens>()
  const of = (camera: string): CameraLens => {
    const known = lenses.get(camera)
    if (known) return known
    const made = new CameraLens(lens)
    lenses.set(camera, made)
    return made
  }
  return {
    of,
    finding(zones) {
      const [first] = zones
      const hasOwn = zones.some(({ key, camera }) => key === camera)
      return first && !hasOwn ? of(first.camera) : null
    },
    close() {
      for (const each of lenses.values()) each.close()
    },
  }
}
