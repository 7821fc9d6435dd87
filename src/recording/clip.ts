/** A recording as a clip: the pictures of its frames, without what was made of them. */
import { GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { spread } from '../pixels/clip.js'
import type { RgbImage } from '../pixels/image.js'
import { rgbOf } from '../pixels/rgb.js'
import { rgbLevels } from '../pixels/spec.js'
import { readRecording } from './format.js'

/** At most so many frames of a recording, evenly spread; `name` is its file's in errors. Rejects with PICTURE_INVALID. */
export async function framesInRecording(bytes: Buffer, name: string, most: number): Promise<readonly RgbImage[]> {
  try {
    const { frames } = readRecording(bytes)
    const pictures: RgbImage[] = []
    for (const i of spread(frames.length, most)) {
      const { width, height, format, stride, pixels } = frames[i]!
      pictures.push(
        await rgbOf({ ...frameOf({ data: pixels, width, height }), format, stride }, rgbLevels(width, height)),
      )
    }
    return pictures
  } catch (error) {
    if (!(error instanceof GapcamError) || error.code === 'PICTURE_INVALID') throw error
    throw new GapcamError('PICTURE_INVALID', `recording ${name}: ${error.message}`, { cause: error })
  }
}
