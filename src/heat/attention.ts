/**
 * Where a camera's label has its evidence: the box in the frame, and how much of the heat lies in the region that is
 * to be watched. A label whose heat lies elsewhere is right for the wrong reason, or wrong.
 */
import { viewOf, type View } from '../pixels/geometry.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'
import { focusOf, heatAt } from './focus.js'
import type { HeatMap, HeatSource } from './map.js'

/** Corners in shares of the frame, in order around it; the last is joined to the first. */
export type Polygon = readonly (readonly [x: number, y: number])[]

export interface WatchRegion {
  readonly polygon: Polygon
  /** A label with a smaller share of its heat inside looks elsewhere. */
  readonly share: number
}

export interface Attention {
  /** In shares of the frame; absent where no place speaks for the class. */
  readonly focus?: Region
  /** Share of the heat inside the watched region, 0 to 1; absent without one, or without heat. */
  readonly watched?: number
  readonly isElsewhere: boolean
}

export interface AttentionOptions {
  readonly heat: HeatSource
  readonly spec: PreprocessSpec
  readonly watchRegion?: WatchRegion
}

/** Reads the map of the last run for a class; frames of another size than before are told by their size. */
export type Attend = (classIndex: number, frameWidth: number, frameHeight: number) => Attention

/** Places across and down at which a map is compared with the watched region. */
const samples = 48

export function createAttention({ heat, spec, watchRegion }: AttentionOptions): Attend {
  let known: {
    readonly width: number
    readonly height: number
    readonly view: View
    readonly inside: Uint8Array | null
  } | null = null
  return (classIndex, width, height) => {
    if (known?.width !== width || known.height !== height) {
      const view = viewOf(spec, width, height)
      known = { width, height, view, inside: watchRegion ? insideOf(view, watchRegion.polygon) : null }
    }
    const map = heat(classIndex)
    const box = focusOf(map)
    const focus = box && known.view.toFrame(box)
    const watched = known.inside && shareInside(map, known.inside)
    return {
      ...(focus ? { focus } : {}),
      ...(watched === null ? {} : { watched }),
      isElsewhere: watched !== null && watched < watchRegion!.share,
    }
  }
}

/** Of each sample of the input: 1 inside the polygon, 0 outside, 2 on the letterbox, which is nowhere. */
function insideOf(view: View, polygon: Polygon): Uint8Array {
  const inside = new Uint8Array(samples * samples)
  for (let i = 0; i < inside.length; i++) {
    const part = view.toFrame({
      x: (i % samples) / samples,
      y: Math.floor(i / samples) / samples,
      width: 1 / samples,
      height: 1 / samples,
    })
    inside[i] = part === null ? 2 : isInside(polygon, part.x + part.width / 2, part.y + part.height / 2) ? 1 : 0
  }
  return inside
}

/** Of the heat that speaks for the class; null where there is none. */
function shareInside(map: HeatMap, inside: Uint8Array): number | null {
  let [within, all] = [0, 0]
  for (let i = 0; i < inside.length; i++) {
    const value = heatAt(map, ((i % samples) + 0.5) / samples, (Math.floor(i / samples) + 0.5) / samples)
    if (!(value > 0) || inside[i] === 2) continue
    all += value
    if (inside[i] === 1) within += value
  }
  return all > 0 && all < Infinity ? within / all : null
}

/** The even-odd rule: a ray to the right crosses an odd number of sides. */
export function isInside(polygon: Polygon, x: number, y: number): boolean {
  let isOdd = false
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length]!
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) isOdd = !isOdd
  })
  return isOdd
}
