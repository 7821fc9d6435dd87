/**
 * From a heat map to the box behind a label: the region around the hottest place that stays above a share of its heat.
 * A network's map is coarse (7 by 7 for a picture of 224), so it is interpolated first, as the picture over it would be.
 */
import type { Region } from '../pixels/spec.js'
import type { HeatMap } from './map.js'

/**
 * Of the greatest heat: what lies below does not belong to the box. On composed scenes (test/heat/focus.test.ts) boxes
 * from 0.4 to 0.6 find the object equally often; lower ones are too large, higher ones miss parts of it.
 */
export const focusLevel = 0.5
/** Cells that the longer side has at least, once interpolated. */
const leastCells = 28

/** The box in shares of the network's input; null where no place speaks for the class. */
export function focusOf(map: HeatMap, level = focusLevel): Region | null {
  const fine = interpolated(map, Math.max(1, Math.ceil(leastCells / Math.max(map.width, map.height))))
  let hottest = 0
  for (let i = 1; i < fine.values.length; i++) if (fine.values[i]! > fine.values[hottest]!) hottest = i
  const greatest = fine.values[hottest]!
  if (!(greatest > 0) || greatest === Infinity) return null
  return regionAround(fine, hottest, greatest * level)
}

type Grid = Pick<HeatMap, 'width' | 'height' | 'values'>

/** The bounds of the places connected with `start` (by their sides) that reach `threshold`. */
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

/** `factor` times as many places in each direction, bilinear between the centres of cells. */
export function interpolated(map: Grid, factor: number): Grid {
  const [width, height] = [map.width * factor, map.height * factor]
  const values = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) values[y * width + x] = heatAt(map, (x + 0.5) / width, (y + 0.5) / height)
  }
  return { width, height, values }
}

/** The heat at a place in shares of the map; that of the nearest cells beyond their centres. */
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
