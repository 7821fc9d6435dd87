/** The colour scale of heat maps, for drawn pictures and for the page: matplotlib's viridis. Pure: no imports. */

/** Levels from 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number]

/** Eleven colours of viridis (van der Walt and Smith; CC0) at even steps of lightness, linear between them. */
const anchors: readonly Colour[] = [
  [68, 1, 84],
  [72, 35, 116],
  [64, 67, 135],
  [52, 94, 141],
  [41, 120, 142],
  [32, 144, 140],
  [34, 167, 132],
  [68, 190, 112],
  [121, 209, 81],
  [189, 222, 38],
  [253, 231, 36],
]

/** The colour of a share. Shares below 0 and above 1 get the colours of 0 and 1. */
export function viridis(share: number): Colour {
  const place = Math.min(Math.max(share, 0), 1) * (anchors.length - 1)
  const low = Math.min(Math.floor(place), anchors.length - 2)
  const [a, b] = [anchors[low]!, anchors[low + 1]!]
  const mix = (i: 0 | 1 | 2): number => a[i] + (place - low) * (b[i] - a[i])
  return [mix(0), mix(1), mix(2)]
}
