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
  return createFocus(level)(map)
}

/** `focusOf` for many maps: it keeps its memory from one map to the next of the same size. */
export function createFocus(level = focusLevel): (map: HeatMap) => Region | null {
  let memory: FocusMemory | null = null
  return (map) => {
    if (memory?.cells.width !== map.width || memory.cells.height !== map.height) memory = memoryFor(map)
    const fine = memory.finer ? memory.finer(map) : map
    const hottest = hottestOf(fine.values)
    const greatest = fine.values[hottest]!
    if (!(greatest > 0) || greatest === Infinity) return null
    return regionAround(fine, hottest, greatest * level, memory)
  }
}

/** What `createFocus` needs for maps of one size. */
interface FocusMemory {
  readonly cells: Pick<Grid, 'width' | 'height'>
  /** Interpolates a map; null where it is fine enough. */
  readonly finer: ((map: Grid) => Grid) | null
  /** For each place of the finer map: whether it was seen. */
  readonly isSeen: Uint8Array
  /** Places of runs that are not looked at yet. */
  readonly open: Int32Array
}

function memoryFor({ width, height }: HeatMap): FocusMemory {
  const factor = Math.max(1, Math.ceil(leastCells / Math.max(width, height)))
  const places = width * height * factor * factor
  return {
    cells: { width, height },
    finer: factor === 1 ? null : interpolator({ width, height }, factor),
    isSeen: new Uint8Array(places),
    open: new Int32Array(places),
  }
}

type Grid = Pick<HeatMap, 'width' | 'height' | 'values'>

function hottestOf(values: Float32Array): number {
  let hottest = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[hottest]!) hottest = i
  return hottest
}

/** The bounds of all places that reach `threshold` and connect to `start` by their sides, found run by run. */
function regionAround(
  { width, height, values }: Grid,
  start: number,
  threshold: number,
  { isSeen, open }: Pick<FocusMemory, 'isSeen' | 'open'>,
): Region {
  isSeen.fill(0)
  open[0] = start
  let count = 1
  let [left, top, right, bottom] = [width, height, 0, 0]
  while (count > 0) {
    const place = open[--count]!
    if (isSeen[place] === 1) continue
    const y = Math.floor(place / width)
    const row = y * width
    // The whole run of its row.
    let [begin, end] = [place, place]
    while (begin > row && values[begin - 1]! >= threshold) begin--
    for (; end < row + width && values[end]! >= threshold; end++) isSeen[end] = 1
    isSeen.fill(1, begin, place)
    left = Math.min(left, begin - row)
    right = Math.max(right, end - row)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
    // The first place of each run beside it.
    for (let side = y > 0 ? -1 : 1; side <= (y + 1 < height ? 1 : -1); side += 2) {
      const shift = side * width
      let isRun = false
      for (let i = begin + shift; i < end + shift; i++) {
        const isHot = values[i]! >= threshold
        if (isHot && !isRun && isSeen[i] === 0) open[count++] = i
        isRun = isHot
      }
    }
  }
  return { x: left / width, y: top / height, width: (right - left) / width, height: (bottom - top) / height }
}

/** The map with `factor` times as many places in each direction, bilinear between the centres of its cells. */
export function interpolated(map: Grid, factor: number): Grid {
  return interpolator(map, factor)(map)
}

/** `interpolated` for maps of one size; its result is valid until the next call. */
function interpolator(cells: Pick<Grid, 'width' | 'height'>, factor: number): (map: Grid) => Grid {
  const [width, height] = [cells.width * factor, cells.height * factor]
  const [columns, rows] = [tapsOf(cells.width, width), tapsOf(cells.height, height)]
  const wide = new Float64Array(width * cells.height)
  const values = new Float32Array(width * height)
  const grid = { width, height, values }
  return (map) => {
    // Across first, each row of the map once.
    for (let y = 0; y < cells.height; y++) mixAcross(map, y, columns, wide)
    for (let y = 0; y < height; y++) {
      const [upper, lower, share] = [rows.first[y]! * width, rows.second[y]! * width, rows.shares[y]!]
      for (let x = 0; x < width; x++) values[y * width + x] = wide[upper + x]! * (1 - share) + wide[lower + x]! * share
    }
    return grid
  }
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
