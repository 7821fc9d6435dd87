/**
 * Decodes pictures to RGB: orientation applied, CMYK and grey converted, alpha laid on black, 16 bits reduced to 8. sharp
 * reads every format but BMP. The size stays unless another is asked for; the pixel path resizes.
 */
import { readFile } from 'node:fs/promises'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import { decodeBmp, isBmp } from './bmp.js'
import type { RgbImage } from './image.js'
import { loadSharp } from './sharp.js'

/** Larger pictures are refused: 100 megapixels are 300 MB of RGB. */
const maxPixels = 100_000_000

/** Decodes a file. Rejects with PICTURE_INVALID and the file's name in the sentence. */
export async function decodeFile(file: string): Promise<RgbImage> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (error) {
    throw new GapcamError('PICTURE_INVALID', `picture ${file}: ${fileFaultOf(error)}`, {
      hint: 'Check the path and the permissions of the picture.',
    })
  }
  return decodePicture(bytes, file)
}

/**
 * Decodes the bytes of a picture, scaled to `size` where it is given; of an animated one the picture `page`. Rejects with
 * PICTURE_INVALID, and with PACKAGE_MISSING; `name` is for the sentence.
 *
 *     const { data, width, height } = await decodePicture(bytes, 'frame 7')
 */
export async function decodePicture(
  bytes: Uint8Array,
  name: string,
  size?: { readonly width: number; readonly height: number },
  page = 0,
): Promise<RgbImage> {
  if (bytes.length === 0) throw new GapcamError('PICTURE_INVALID', `picture ${name}: the file is empty`)
  try {
    return await decode(bytes, size, page)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    if (isHeic(bytes))
      throw new GapcamError('PICTURE_INVALID', `picture ${name}: it is HEIC, which gapcam does not read`, {
        cause: error,
        hint: 'Convert it to JPEG: heif-convert FILE.heic FILE.jpg, or let the phone take JPEG (most compatible).',
      })
    throw new GapcamError('PICTURE_INVALID', `picture ${name}: ${faultOf(messageOf(error))}`, { cause: error })
  }
}

/** Whether a file is HEIF with HEVC in it, as phones write it: its first box lists the brands. */
function isHeic(bytes: Uint8Array): boolean {
  return /^.{4}ftyp.{0,32}?(hei[cmsx]|hev[cmsx])/s.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'))
}

/** What sharp's messages mean. Those of a decoder, such as libpng, are quoted in one line behind it. */
const faults: readonly [RegExp, string][] = [
  [/unsupported image format/i, 'it is no picture of a known format'],
  [/exceeds pixel limit/i, `it has more than ${maxPixels / 1e6} million pixels`],
  [/premature end|unexpected end|truncated|out of data|end of (file|stream)/i, 'it is cut off'],
]

function faultOf(message: string): string {
  const lines = message.split('\n').map((line) => line.trim())
  const known = faults.find(([pattern]) => pattern.test(message))
  if (known) return known[1]
  // sharp's own first line says no more than that a warning counts.
  const said = lines.filter((line) => line !== '' && !/^Warning treated as error/.test(line))[0]
  return said === undefined ? 'it is damaged' : `it is damaged (${said})`
}

/**
 * What libjpeg warns of and decodes all the same: stray bytes between segments, and scan parameters that a sequential
 * JPEG does not use. Webcams send both. Missing data is another warning and stays an error.
 */
const harmlessWarnings =
  /extraneous bytes before marker|Invalid SOS parameters|unknown JFIF revision|Unknown Adobe color/i

interface Size {
  readonly width: number
  readonly height: number
}

async function decode(bytes: Uint8Array, size: Size | undefined, page: number): Promise<RgbImage> {
  try {
    return await read(bytes, size, { page, failOn: 'warning' })
  } catch (error) {
    if (!harmlessWarnings.test(messageOf(error))) throw error
    return read(bytes, size, { page, failOn: 'error' })
  }
}

async function read(
  bytes: Uint8Array,
  size: Size | undefined,
  how: { readonly page: number; readonly failOn: 'warning' | 'error' },
): Promise<RgbImage> {
  const sharp = await loadSharp()
  const bmp = isBmp(bytes) ? decodeBmp(bytes, maxPixels) : null
  const image = bmp
    ? sharp(bmp.data, { raw: { width: bmp.width, height: bmp.height, channels: 3 } })
    : sharp(bytes, { ...how, limitInputPixels: maxPixels, sequentialRead: true }).rotate()
  const { data, info } = await (size ? image.resize({ ...size, fit: 'fill' }) : image)
    .flatten({ background: '#000' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return { data: info.channels === 3 ? data : spread(data, info.channels), width: info.width, height: info.height }
}

/** Grey, which sharp leaves with one channel, as three. */
function spread(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3)
  for (let i = 0, at = 0; i < data.length; i += channels, at += 3) rgb.fill(data[i]!, at, at + 3)
  return rgb
}
