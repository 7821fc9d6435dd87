/** Small pictures of kept ones, for lists on the page. */
import { decodePicture } from '../pixels/decode.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import type { Binary } from './route.js'

/** The longer side of a thumbnail, in pixels. */
export const thumbnailSide = 160

/** A picture as a small JPEG. Rejects with PICTURE_INVALID; `name` is told then. */
export async function thumbnailOf(picture: Uint8Array, name: string): Promise<Binary> {
  const { data, width, height } = await decodePicture(picture, name)
  const scale = Math.min(1, thumbnailSide / Math.max(width, height))
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
  const small = scale === 1 ? data : (await decodePicture(picture, name, size)).data
  return { media: 'image/jpeg', bytes: await encodeJpeg({ rgb: small, ...size }) }
}
