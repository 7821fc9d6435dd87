/** JPEG of a picture, by sharp on a thread of libuv's: for snapshots and the page. */
import { loadSharp } from './sharp.js'

/** Encodes RGB pixels. Good enough at 80 to judge focus and light by. */
export async function encodeJpeg(
  { rgb, width, height }: { readonly rgb: Uint8Array; readonly width: number; readonly height: number },
  quality = 80,
): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer()
}
