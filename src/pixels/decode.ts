/**
 * Pictures to RGB, by sharp, at full size: orientation applied, CMYK and grey converted, alpha laid on black, 16 bit
 * reduced to 8. Nothing is resized here; that is the pixel path's work.
 */
import { readFile } from 'node:fs/promises'
import { GapcamError, messageOf } from '../errors.js'
import { loadSharp } from './sharp.js'

/** Decoded pixels of a picture file. */
export interface RgbImage {
  /** RGB, rows without padding. */
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}

/** Pictures beyond this are refused: 100 megapixels are 300 MB of RGB. */
const maxPixels = 100_000_000

/** Decodes a file. Rejects with PICTURE_INVALID, the file in the sentence. */
export async function decodeFile(file: string): Promise<RgbImage> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : messageOf(error)
    throw new GapcamError('PICTURE_INVALID', `picture ${file}: ${why}`)
  }
  return decodePicture(bytes, file)
}

/** Decodes the bytes of a picture; `name` is for the sentence when they are none. */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<RgbImage> {
  if (bytes.length === 0) throw new GapcamError('PICTURE_INVALID', `picture ${name}: the file is empty`)
  const sharp = await loadSharp()
  try {
    const image = sharp(bytes, { failOn: 'warning', limitInputPixels: maxPixels, sequentialRead: true })
    const { data, info } = await image
      .rotate()
      .flatten({ background: '#000' })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return { data: info.channels === 3 ? data : spread(data, info.channels), width: info.width, height: info.height }
  } catch (error) {
    throw new GapcamError('PICTURE_INVALID', `picture ${name}: ${messageOf(error).split('\n')[0]}`, { cause: error })
  }
}

/** Grey, which sharp leaves with one channel, as three. */
function spread(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3)
  for (let i = 0, at = 0; i < data.length; i += channels, at += 3) rgb.fill(data[i]!, at, at + 3)
  return rgb
}
