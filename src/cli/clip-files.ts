/**
 * Clips as the command line gives them: a folder with the frames as pictures, a recording of `gapcam record`, an animated picture,
 * Motion JPEG, or a video. Of more frames than a clip has, so many are taken, evenly spread.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { isPicture, picturesIn } from '../camera/pictures.js'
import { isVideo, motionJpegOf } from '../camera/video-file.js'
import { clipDefaults } from '../decision/task.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { decodeFrames, isMotionJpeg, spread } from '../pixels/clip.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import { framesInRecording } from '../recording/clip.js'
import { recordingEnding } from '../recording/store.js'
import type { Shown } from '../teach/looks.js'

/** The frames of a clip: just so many. Rejects with PICTURE_INVALID, and with CAMERA_TOOL_MISSING for a video without ffmpeg. */
export async function readClip(path: string, frames: number): Promise<readonly RgbImage[]> {
  const info = await stat(path).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${path}: ${fileFaultOf(error)}`)
  })
  const found = info.isDirectory() ? await framesInFolder(path, frames) : await framesInFile(path, frames)
  if (found.length >= frames) return found
  const what = info.isDirectory()
    ? `it has ${found.length} pictures`
    : found.length === 1
      ? 'it is one picture'
      : `it has ${found.length} frames`
  throw new GapcamError(
    'PICTURE_INVALID',
    `${path} is no clip: ${what}, and the model looks at clips of ${frames} frames`,
    { hint: 'A clip is a folder with its frames as pictures, a recording, a video, or an animated picture.' },
  )
}

async function framesInFolder(folder: string, most: number): Promise<readonly RgbImage[]> {
  const files = await picturesIn(folder)
  const frames: RgbImage[] = []
  // Too few are counted by their names; what they show does not matter then.
  for (const i of spread(files.length, most)) frames.push(await decodeFile(files[i]!))
  return frames
}

async function framesInFile(file: string, most: number): Promise<readonly RgbImage[]> {
  if (isVideo(file)) return decodeFrames(await motionJpegOf(file), file, most)
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${file}: ${fileFaultOf(error)}`)
  })
  return extname(file) === recordingEnding ? framesInRecording(bytes, file, most) : decodeFrames(bytes, file, most)
}

/** What a folder shows: its pictures, or else the clips in it. */
export async function shownIn(folder: string): Promise<readonly string[]> {
  const pictures = await picturesIn(folder)
  if (pictures.length > 0) return pictures
  const clips: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    const isClip = entry.isDirectory() ? (await picturesIn(path)).length > 0 : isClipFile(entry.name)
    if (isClip) clips.push(path)
  }
  return clips.sort()
}

const isClipFile = (name: string): boolean => isVideo(name) || isMotionJpeg(name) || extname(name) === recordingEnding

/** A picture for a network over pictures, else a clip: of a network over clips one of its length. Rejects as `readClip`. */
export async function readShown(path: string, clip: { readonly frames: number } | null): Promise<Shown> {
  if (clip === null && isPicture(path)) return decodeFile(path)
  return readClip(path, (clip ?? clipDefaults).frames)
}
