/** All connected regions of a map above a level; `focus.ts` has the one around the hottest place. */
import type { Region } from '../pixels/spec.js'
import type { HeatMap } from './map.js'

/** The bounds of a region, and its share of the map's positive heat. */
export interface HeatRegion extends Region {
  readonly share: number
}

/** Every region in which the heat reaches this share of the map's maximum, in shares of the map; none without heat. */
export function regionsAbove(
  { width, height, values }: Pick<HeatMap, 'width' | 'height' | 'values'>,
  level: number,
): HeatRegion[] {
  let [greatest, sum] = [0, 0]
  for (const value of values) {
    if (value > greatest) greatest = value
    if (value > 0) sum += value
  }
  if (!(greatest > 0 && Number.isFinite(sum))) return []
  const isSeen = new Uint8Array(values.length)
  const regions: HeatRegion[] = []
  for (let start = 0; start < values.length; start++)
    if (isSeen[start] === 0 && values[start]! >= greatest * level)
      regions.push(regionFrom({ width, height, values }, start, { threshold: greatest * level, sum, isSeen }))
  return regions
}

interface Search {
  readonly threshold: number
  readonly sum: number
  readonly isSeen: Uint8Array
}

function regionFrom(
  { width, height, values }: Pick<HeatMap, 'width' | 'height' | 'values'>,
  start: number,
  { threshold, sum, isSeen }: Search,
): HeatRegion {
  let [left, top, right, bottom, heat] = [width, height, 0, 0, 0]
  const open = [start]
  isSeen[start] = 1
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const [x, y] = [place % width, Math.floor(place / width)]
    heat += values[place]!
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
    for (const next of [x > 0 ? place - 1 : -1, x + 1 < width ? place + 1 : -1, place - width, place + width]) {
      if (next < 0 || next >= values.length || isSeen[next] === 1 || !(values[next]! >= threshold)) continue
      isSeen[next] = 1
      open.push(next)
    }
  }
  return {
    x: left / width,
    y: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
    share: heat / sum,
  }
}
