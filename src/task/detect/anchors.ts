/** The anchors of a layout as numbers: centre x, centre y, width and height in shares of the input, one after the other. */
import type { DetectLayout } from '../../model/metadata/detect.js'

/**
 * Anchors given one by one, or the centres of the cells of a grid for each stride (pixels of the input). Strides in a row that are
 * equal share one grid: all anchors of a cell lie beside each other.
 */
export function anchorsOf(
  anchors: Exclude<DetectLayout['anchors'], undefined | 'none'>,
  { width, height }: { readonly width: number; readonly height: number },
): Float32Array {
  if (!('strides' in anchors)) return Float32Array.from(anchors.flat())
  const { strides, perPlace } = anchors
  const numbers: number[] = []
  for (let first = 0, next = 0; first < strides.length; first = next) {
    const stride = strides[first]!
    while (strides[next] === stride) next++
    const [across, down] = [Math.ceil(width / stride), Math.ceil(height / stride)]
    const ofCell = perPlace * (next - first)
    for (let y = 0; y < down; y++)
      for (let x = 0; x < across; x++)
        for (let k = 0; k < ofCell; k++) numbers.push((x + 0.5) / across, (y + 0.5) / down, 1, 1)
  }
  return Float32Array.from(numbers)
}
