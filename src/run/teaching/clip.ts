/** What of a zone is taught: its present picture, or its present clip where its network takes clips. */
import { resolve } from 'node:path'
import type { Clock } from '../../clock.js'
import { GapcamError } from '../../errors.js'
import { decodeFrames, isClip, keptClip } from '../../pixels/clip.js'
import { framesInRecording } from '../../recording/clip.js'
import { isRecording } from '../../recording/format.js'
import { noClip } from '../../teach/looks.js'
import type { HeadRecord } from '../../teach/record.js'
import type { ZoneDefinition } from '../../zone/definition.js'
import type { AnyZone } from '../../zone/missing.js'
import type { NodeCamera } from '../cameras/camera.js'
import type { Settings } from '../commands/settings.js'
import { crop } from '../zones/crop.js'
import type { Zones } from '../zones/zones.js'

/** The network over clips of a zone, and how it takes them. */
export interface TaughtClip {
  readonly frames: number
  readonly everyMs: number
  /** Of its file; undefined: the node's. */
  readonly path: string | undefined
}

/** How a zone is taught clips: by the network of its head, else by that of its model; null for pictures. */
export function clipOf({ served }: Pick<HeadRecord, 'served'>, zone: AnyZone | undefined): TaughtClip | null {
  if (served) return served.model.clip ? { ...served.model.clip, path: served.model.path } : null
  const { clip, path } = zone?.classifier ?? {}
  if (clip?.form !== 'clips' || path === undefined) return null
  return { frames: clip.frames, everyMs: clip.everyMs, path: resolve(path) }
}

/** The bytes of a given file as they are taught: a clip of the right length for a network over clips. Rejects with PICTURE_INVALID. */
export async function shownAs(clip: TaughtClip | null, bytes: Uint8Array): Promise<Uint8Array> {
  if (clip === null) return bytes
  const name = 'that was given'
  const frames = isRecording(bytes)
    ? await framesInRecording(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), name, clip.frames)
    : await decodeFrames(bytes, name, clip.frames)
  if (frames.length < clip.frames) throw noClip(clip.path ?? '', clip, frames.length)
  return isClip(bytes) ? bytes : keptClip(frames)
}

/** Where the present picture of a zone comes from. */
export interface PresentOptions {
  readonly camera: (id: string) => Pick<NodeCamera, 'capture'> | undefined
  readonly zones: Pick<Zones, 'find' | 'shot'>
  readonly settings: Pick<Settings, 'findZone'>
  readonly clock: Pick<Clock, 'wall'>
}

/** Longer sides are scaled down to this: networks see less. */
const mostSide = 512

/** What the zone sees now, with its time. Rejects with CAMERA_LOST where it sees nothing. */
export async function presentOf(
  { camera, zones, settings, clock }: PresentOptions,
  definition: ZoneDefinition,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly atMs: number }> {
  const source = camera(definition.camera)
  if (!source) throw new GapcamError('CAMERA_LOST', `${definition.camera} was removed`)
  const { key } = definition
  const frames = await zones.shot(key)
  if (frames) return { bytes: await keptClip(frames), atMs: clock.wall() }
  const picture = await source.capture({ maxSide: 1280, signal })
  const roi = settings.findZone(key)?.roi ?? null
  const bytes = await crop(picture, { definition, roi, mostSide, classifier: zones.find(key)?.classifier ?? null })
  return { bytes, atMs: picture.wallTime }
}
