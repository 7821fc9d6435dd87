/**
 * JPEGs at a half, a quarter or an eighth of their size. The addon asks the libvips that sharp brings; where that does not
 * serve (no addon, a colour profile, grey or CMYK, a warning), sharp decodes and scales, with the same size as the result.
 */
import { loadAddon, type NativeJpegShrinker } from '../addon.js'
import type { RgbImage } from './image.js'
import { loadSharp } from './sharp.js'

/** By how much libjpeg shrinks a picture while it decodes. */
export type JpegShrink = 1 | 2 | 4 | 8

let shrinker: NativeJpegShrinker | null | undefined

/**
 * The picture at 1/shrink of its size, `width` and `height` rounded up; null where only another decoder serves, which also
 * has the sentence of an error.
 */
export async function decodeShrunkJpeg(
  bytes: Uint8Array,
  { shrink, width, height }: { readonly shrink: JpegShrink; readonly width: number; readonly height: number },
): Promise<RgbImage | null> {
  await loadSharp()
  shrinker ??= newShrinker()
  const data = await shrinker?.decode(bytes, shrink, width, height)
  return data ? { data, width, height } : null
}

function newShrinker(): NativeJpegShrinker | null {
  const loaded = loadAddon()
  return 'addon' in loaded ? new loaded.addon.JpegShrinker() : null
}
