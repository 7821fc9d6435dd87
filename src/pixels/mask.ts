/** The map of labels of a segmenter, and its picture over a frame. */
import type { View } from './geometry.js'
import { labelColour } from './label-colours.js'
import { loadSharp } from './sharp.js'

/** The number of a label for each place of the network's input, from the left top corner in rows. */
export interface LabelMask {
  readonly width: number
  readonly height: number
  readonly labels: Uint16Array
  /** The label that stands for nothing, which has no colour; null where each label is something. */
  readonly nothing: number | null
}

/** A map, and where it lies in the frame. */
export interface PlacedMask {
  readonly mask: LabelMask
  readonly view: View
}

/**
 * A PNG of this size to lie over the frame: each place in the colour of its label (`labelColour`), transparent where there
 * is nothing and where the network did not look. Rejects when sharp cannot be loaded.
 */
export async function encodeMask(
  { mask, view }: PlacedMask,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<Buffer> {
  const rgba = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const label = labelAt(mask, view.toInput((x + 0.5) / width, (y + 0.5) / height))
      if (label !== null && label !== mask.nothing) rgba.set([...labelColour(label), 255], (y * width + x) * 4)
    }
  }
  const sharp = await loadSharp()
  return sharp(rgba, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer()
}

/** The label at a place of the input, in shares; null outside of it. */
function labelAt({ width, height, labels }: LabelMask, [u, v]: readonly [number, number]): number | null {
  if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) return null
  return labels[Math.floor(v * height) * width + Math.floor(u * width)]!
}
