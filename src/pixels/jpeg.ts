/** Encodes pictures as JPEG for snapshots and the page; sharp does it on a thread of libuv's pool. */
import { loadSharp } from './sharp.js'

/** Encodes RGB pixels (rows without padding). Quality 80 is enough to judge focus and light by. */
export async function encodeJpeg(
  { rgb, width, height }: { readonly rgb: Uint8Array; readonly width: number; readonly height: number },
  quality = 80,
): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer()
}
