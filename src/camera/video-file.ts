/** All pictures of a short video file, as Motion JPEG. A camera plays a video in time; this reads it at once. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { GapcamError, messageOf } from '../errors.js'
import { endingWithUs, requireProgram } from './programs.js'

const videoEndings = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|ts|wmv|flv|ogv|3gp)$/i

/** True for a path that ends like a video's. */
export function isVideo(path: string): boolean {
  return videoEndings.test(path)
}

/** More is no clip: pictures of so many seconds are read, at most this wide. */
const [mostSeconds, mostWidth, mostBytes] = [60, 640, 512 << 20]

/** Reads a video through ffmpeg. Rejects with CAMERA_TOOL_MISSING, and with PICTURE_INVALID for what ffmpeg cannot read. */
export async function motionJpegOf(path: string): Promise<Buffer> {
  const output = ['-map', '0:v:0', '-t', String(mostSeconds), '-vf', `scale=min(${mostWidth}\\,iw):-2`, '-q:v', '2']
  const [command, args] = endingWithUs(requireProgram('ffmpeg', path, 'ffmpeg'), [
    ...['-v', 'error', '-nostdin', '-i', `file:${path}`],
    ...output,
    ...['-f', 'mjpeg', 'pipe:1'],
  ])
  try {
    const { stdout } = await promisify(execFile)(command, args, { encoding: 'buffer', maxBuffer: mostBytes })
    return stdout
  } catch (error) {
    const [why] = messageOf(error)
      .split('\n')
      .filter((line) => line !== '')
      .slice(-1)
    throw new GapcamError('PICTURE_INVALID', `video ${path}: ffmpeg cannot read it: ${why}`, { cause: error })
  }
}
