/** Small pictures of kept ones, for lists on the page. */
import { decodeFrames, isClip } from '../pixels/clip.js'
import { decodePicture } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import type { Binary } from './route.js'

/** The longer side of a thumbnail, in pixels. */
export const thumbnailSide = 160

/** A picture as a small JPEG; of a clip four of its frames, in rows of two. Rejects with PICTURE_INVALID; `name` is told then. */
export async function thumbnailOf(picture: Uint8Array, name: string): Promise<Binary> {
  if (isClip(picture)) return thumbnailOf(await encodeSheet(await decodeFrames(picture, name, 4)), name)
  const { data, width, height } = await decodePicture(picture, name)
  const scale = Math.min(1, thumbnailSide / Math.max(width, height))
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
  const small = scale === 1 ? data : (await decodePicture(picture, name, size)).data
  return { media: 'image/jpeg', bytes: await encodeJpeg({ rgb: small, ...size }) }
}

/** Four pictures of one size beside and below each other. */
async function encodeSheet(frames: readonly RgbImage[]): Promise<Uint8Array> {
  const { width, height } = frames[0]!
  const rgb = new Uint8Array(4 * width * height * 3)
  for (const [i, { data }] of frames.entries())
    for (let y = 0; y < height; y++) {
      const row = data.subarray(y * width * 3, (y + 1) * width * 3)
      rgb.set(row, (((i >> 1) * height + y) * 2 + (i & 1)) * width * 3)
    }
  return encodeJpeg({ rgb, width: 2 * width, height: 2 * height }, 95)
}
