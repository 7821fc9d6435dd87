/**
 * Clips as bytes. gapcam writes the frames as JPEGs one after the other, which other programs know as Motion JPEG; a comment in the
 * first one tells such a clip from a photograph that carries further pictures. Animated GIF, WebP and AVIF are read too.
 */
import { GapcamError, messageOf } from '../errors.js'
import { frameOf } from '../frame.js'
import { decodePicture } from './decode.js'
import type { RgbImage } from './image.js'
import { encodeJpeg } from './jpeg.js'
import { JpegCutter } from './jpeg-cutter.js'
import { rgbOf } from './rgb.js'
import { loadSharp } from './sharp.js'
import { rgbLevels } from './spec.js'

const mark = Buffer.from('\xff\xfe\x00\x0dgapcam clip', 'latin1')
const startBytes = 2

const quality = 90

async function clipBytes(frames: readonly RgbImage[]): Promise<Buffer> {
  const pictures: Buffer[] = []
  for (const { data, width, height } of frames) pictures.push(await encodeJpeg({ rgb: data, width, height }, quality))
  const [first = Buffer.alloc(0), ...rest] = pictures
  return Buffer.concat([first.subarray(0, startBytes), mark, first.subarray(startBytes), ...rest])
}

/** Longer sides are scaled to this: networks over clips see less. */
const mostSide = 256

/** A clip of small frames, as it is kept: those of a network as they are, those of a camera scaled. */
export async function keptClip(frames: readonly RgbImage[]): Promise<Buffer> {
  const small: RgbImage[] = []
  for (const frame of frames) small.push(await scaled(frame))
  return clipBytes(small)
}

async function scaled(picture: RgbImage): Promise<RgbImage> {
  const scale = Math.min(1, mostSide / Math.max(picture.width, picture.height))
  if (scale === 1) return picture
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale))) as [
    number,
    number,
  ]
  return rgbOf(frameOf(picture), rgbLevels(width, height))
}

/** Whether a name is that of Motion JPEG. */
export function isMotionJpeg(name: string): boolean {
  return /\.mjpe?g$/i.test(name)
}

/** Whether bytes are a clip that `keptClip` made. */
export function isClip(bytes: Uint8Array): boolean {
  return mark.equals(bytes.subarray(startBytes, startBytes + mark.length))
}

/** The frames of a clip that `keptClip` made, or the one picture. Rejects with PICTURE_INVALID. */
export async function decodeShown(bytes: Uint8Array, name: string): Promise<readonly RgbImage[]> {
  return isClip(bytes) ? decodeFrames(bytes, name) : [await decodePicture(bytes, name)]
}

/** At most so many frames of a clip of any kind, evenly spread; one for a picture. Rejects with PICTURE_INVALID. */
export async function decodeFrames(bytes: Uint8Array, name: string, most = Infinity): Promise<readonly RgbImage[]> {
  if (bytes[0] === 0xff) {
    const pictures = picturesIn(bytes, name)
    return inTurn(spread(pictures.length, most), (i) => decodePicture(pictures[i]!, `${name}, frame ${i + 1}`))
  }
  const count = await pagesIn(bytes)
  if (count === 1) return [await decodePicture(bytes, name)]
  return inTurn(spread(count, most), (i) => decodePicture(bytes, `${name}, frame ${i + 1}`, undefined, i))
}

/** Numbers below `count`, at most so many, evenly spread from the first to the last. */
export function spread(count: number, most: number): readonly number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i)
  return Array.from({ length: most }, (_, i) => Math.round((i * (count - 1)) / (most - 1)))
}

function picturesIn(bytes: Uint8Array, name: string): readonly Uint8Array[] {
  try {
    const pictures = new JpegCutter().feed(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    // Decoding says what is wrong with a picture that has no end.
    return pictures.length === 0 ? [bytes] : pictures
  } catch (error) {
    throw new GapcamError('PICTURE_INVALID', `clip ${name}: ${messageOf(error)}`)
  }
}

/** Pictures of an animated file; 1 for others, and for what decoding refuses. */
async function pagesIn(bytes: Uint8Array): Promise<number> {
  const sharp = await loadSharp()
  const { pages = 1, format } = await sharp(bytes)
    .metadata()
    .catch(() => ({ pages: 1, format: undefined }))
  return format === 'gif' || format === 'webp' || format === 'heif' ? pages : 1
}

async function inTurn<T>(numbers: readonly number[], work: (i: number) => Promise<T>): Promise<readonly T[]> {
  const done: T[] = []
  for (const i of numbers) done.push(await work(i))
  return done
}
