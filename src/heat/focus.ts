/**
 * The focus box of a heat map: the connected region around the hottest place whose heat stays above a share of its
 * maximum. The map of a network is coarse (7 by 7 for an input of 224 pixels), so it is interpolated first.
 */
import type { Region } from '../pixels/spec.js'
import type { HeatMap } from './map.js'

/**
 * Share of the maximum below which a place is outside the box. On composed scenes (test/heat/focus.test.ts) values from
 * 0.4 to 0.6 find the object equally often. With lower values the box is too large; with higher ones it misses parts.
 */
export const focusLevel = 0.5
/** The longer side of the interpolated map has at least this many cells. */
const leastCells = 28

/**
 * The focus box in shares of the network's input; null when no place is evidence for the class.
 *
 *     const box = focusOf(heat(classIndex))
 *     const inFrame = box && viewOf(spec, frame.width, frame.height).toFrame(box)
 */
export function focusOf(map: HeatMap, level = focusLevel): Region | null {
  const fine = interpolated(map, Math.max(1, Math.ceil(leastCells / Math.max(map.width, map.height))))
  let hottest = 0
  for (let i = 1; i < fine.values.length; i++) if (fine.values[i]! > fine.values[hottest]!) hottest = i
  const greatest = fine.values[hottest]!
  if (!(greatest > 0) || greatest === Infinity) return null
  return regionAround(fine, hottest, greatest * level)
}

type Grid = Pick<HeatMap, 'width' | 'height' | 'values'>

/** The bounds of all places that reach `threshold` and connect to `start` by their sides. */
function regionAround({ width, height, values }: Grid, start: number, threshold: number): Region {
  const isSeen = new Uint8Array(values.length)
  // Each place is opened at most once.
  const open = new Int32Array(values.length)
  let count = 0
  const visit = (place: number): void => {
    if (isSeen[place] === 1 || !(values[place]! >= threshold)) return
    isSeen[place] = 1
    open[count++] = place
  }
  visit(start)
  let [left, top, right, bottom] = [width, height, 0, 0]
  while (count > 0) {
    const place = open[--count]!
    const y = Math.floor(place / width)
    const x = place - y * width
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
    if (x > 0) visit(place - 1)
    if (x + 1 < width) visit(place + 1)
    if (y > 0) visit(place - width)
    if (y + 1 < height) visit(place + width)
  }
  return { x: left / width, y: top / height, width: (right - left) / width, height: (bottom - top) / height }
}

/** The map with `factor` times as many places in each direction, bilinear between the centres of its cells. */
export function interpolated(map: Grid, factor: number): Grid {
  const [width, height] = [map.width * factor, map.height * factor]
  const [columns, rows] = [tapsOf(map.width, width), tapsOf(map.height, height)]
  // Across first, each row of the map once.
  const wide = new Float64Array(width * map.height)
  for (let y = 0; y < map.height; y++) mixAcross(map, y, columns, wide)
  const values = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    const [upper, lower, share] = [rows.first[y]! * width, rows.second[y]! * width, rows.shares[y]!]
    for (let x = 0; x < width; x++) values[y * width + x] = wide[upper + x]! * (1 - share) + wide[lower + x]! * share
  }
  return { width, height, values }
}

/** For each place along one side: the two cells that it lies between, and the share of the second. */
interface Taps {
  readonly first: Int32Array
  readonly second: Int32Array
  readonly shares: Float64Array
}

function tapsOf(cells: number, places: number): Taps {
  const [first, second, shares] = [new Int32Array(places), new Int32Array(places), new Float64Array(places)]
  for (let i = 0; i < places; i++) {
    const at = Math.min(Math.max(((i + 0.5) / places) * cells - 0.5, 0), cells - 1)
    first[i] = Math.floor(at)
    second[i] = Math.min(first[i]! + 1, cells - 1)
    shares[i] = at - first[i]!
  }
  return { first, second, shares }
}

function mixAcross(
  { width: cells, values }: Grid,
  y: number,
  { first, second, shares }: Taps,
  wide: Float64Array,
): void {
  const [from, to] = [y * cells, y * shares.length]
  for (let x = 0; x < shares.length; x++)
    wide[to + x] = values[from + first[x]!]! * (1 - shares[x]!) + values[from + second[x]!]! * shares[x]!
}

/** The heat at a place in shares of the map, bilinear. Beyond the outermost centres it is that of the nearest cells. */
export function heatAt({ width, height, values }: Grid, x: number, y: number): number {
  const u = Math.min(Math.max(x * width - 0.5, 0), width - 1)
  const v = Math.min(Math.max(y * height - 0.5, 0), height - 1)
  const [left, top] = [Math.floor(u), Math.floor(v)]
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)]
  const [across, down] = [u - left, v - top]
  const upper = values[top * width + left]! * (1 - across) + values[top * width + right]! * across
  const lower = values[bottom * width + left]! * (1 - across) + values[bottom * width + right]! * across
  return upper * (1 - down) + lower * down
}
