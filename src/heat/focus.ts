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
  const open = [start]
  isSeen[start] = 1
  let [left, top, right, bottom] = [width, height, 0, 0]
  const visit = (place: number): void => {
    if (isSeen[place] === 1 || !(values[place]! >= threshold)) return
    isSeen[place] = 1
    open.push(place)
  }
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const [x, y] = [place % width, Math.floor(place / width)]
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
  const values = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) values[y * width + x] = heatAt(map, (x + 0.5) / width, (y + 0.5) / height)
  }
  return { width, height, values }
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
