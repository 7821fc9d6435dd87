/** Pictures at the least size that serves: JPEGs shrink while they are decoded, and are decoded again where all is wanted. */
import { frameOf, type Frame } from '../frame.js'
import { decodePicture } from '../pixels/decode.js'
import { jpegSize } from '../pixels/jpeg-size.js'
import { decodeShrunkJpeg, type JpegShrink } from '../pixels/shrunk-jpeg.js'
import { jpegShrink, scaleNeeded, shrunkSize, type PictureNeed, type Size } from './decode-size.js'

/** What is known of a picture that is not decoded yet. */
export interface EncodedPicture {
  readonly bytes: Uint8Array
  /** For the sentence of an error. */
  readonly name: string
  readonly facts: Partial<Pick<Frame, 'seq' | 'capturedNs' | 'wallTime'>>
}

/** The least longer side of a shrunk picture: motion and the view are measured on it too. */
const leastSide = 160

/**
 * Decodes a picture for what zones need of it, or all of it where they need all or nothing is known of them. A shrunk frame
 * has `full`. Rejects with PICTURE_INVALID.
 */
export async function decodeFitting(picture: EncodedPicture, needs: readonly PictureNeed[]): Promise<Frame> {
  const full = needs.length === 0 ? null : jpegSize(picture.bytes)
  const size = full && fittingSize(full, needs)
  if (full === null || size === null) return decodeWhole(picture)
  const image = await decodeShrunkJpeg(picture.bytes, size)
  const frame = image ? { ...frameOf(image), ...picture.facts } : await decodeWhole(picture, size)
  return { ...frame, fullSize: full, full: () => decodeWhole(picture) }
}

/** The size to which libjpeg shrinks a picture, and by how much; null: none but its own size serves. */
export function fittingSize(
  full: Size,
  needs: readonly PictureNeed[],
): (Size & { readonly shrink: JpegShrink }) | null {
  const scale = Math.max(scaleNeeded(full, needs), Math.min(1, leastSide / Math.max(full.width, full.height)))
  const shrink = jpegShrink(scale)
  return shrink === 1 ? null : { ...shrunkSize(full, shrink), shrink }
}

async function decodeWhole({ bytes, name, facts }: EncodedPicture, size?: Size): Promise<Frame> {
  const image = await decodePicture(bytes, name, size)
  return { ...frameOf(image), ...facts }
}
