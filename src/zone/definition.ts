/** Which zones a configured camera has. The rest of the program asks here and never derives zones from cameras itself. */
import type { CameraConfig } from '../config/schema.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'

/** A zone as it is configured. */
export interface ZoneDefinition {
  /** Names the zone in settings, recordings, commands, metrics and topics. Unique in the node. */
  readonly key: string
  /** Id of the camera that delivers its frames. */
  readonly camera: string
  /** Null: the whole frame. A setting can override it. */
  readonly roi: Region | null
  /** How the camera hangs. */
  readonly turn: Pick<PreprocessSpec, 'rotate' | 'flipX' | 'flipY'>
  readonly watchRegion: CameraConfig['watchRegion'] | undefined
}

/** The zones of a camera: one that fills the picture and carries the camera's id, so its topics are the camera's own. */
export function zonesOf(camera: CameraConfig): readonly ZoneDefinition[] {
  const { id, roi = null, rotate, flipX, flipY, watchRegion } = camera
  return [{ key: id, camera: id, roi, turn: { rotate, flipX, flipY }, watchRegion }]
}
