/**
 * Where the evidence for a camera's label lies: its box in the frame, and the share of the heat inside the watched region.
 * A label whose heat lies outside of it is wrong, or right for the wrong reason.
 */
import { viewOf, type View } from '../pixels/geometry.js'
import { isInside } from '../pixels/shape.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'
import { createFocus, heatAt } from './focus.js'
import type { HeatMap, HeatSource } from './map.js'

/** Corners in shares of the frame, in order around the polygon. The last corner connects to the first. */
export type Polygon = readonly (readonly [x: number, y: number])[]

/** The configured region in which the evidence for a label must lie. */
export interface WatchRegion {
  readonly polygon: Polygon
  /** With a smaller share of its heat inside, a label looks elsewhere. */
  readonly share: number
}

export interface Attention {
  /** In shares of the frame; absent when no place is evidence for the class. */
  readonly focus?: Region | undefined
  /** Share of the heat inside the watched region, 0 to 1; absent without a region or without heat. */
  readonly watched?: number | undefined
  /** Less than the required share of the heat lies inside the watched region. */
  readonly isElsewhere: boolean
}

export interface AttentionOptions {
  readonly heat: HeatSource
  readonly spec: PreprocessSpec
  readonly watchRegion?: WatchRegion | undefined
}

/** The attention of the last run for a class. The frame's size is given each time, because it may change. */
export type Attend = (classIndex: number, frameWidth: number, frameHeight: number) => Attention

/** Number of places across and down at which a map is compared with the watched region. */
const samples = 48

/**
 * Computes the attention of one camera.
 *
 *     const attend = createAttention({ heat, spec, watchRegion: { polygon, share: 0.5 } })
 *     const { focus, isElsewhere } = attend(classIndex, frame.width, frame.height)
 */
export function createAttention({ heat, spec, watchRegion }: AttentionOptions): Attend {
  let known: {
    readonly width: number
    readonly height: number
    readonly view: View
    readonly inside: Uint8Array | null
  } | null = null
  const focusOf = createFocus()
  return (classIndex, width, height) => {
    if (known?.width !== width || known.height !== height) {
      const view = viewOf(spec, width, height)
      known = { width, height, view, inside: watchRegion ? insideOf(view, watchRegion.polygon) : null }
    }
    const map = heat(classIndex)
    const box = focusOf(map)
    const focus = (box && known.view.toFrame(box)) ?? undefined
    const watched = (known.inside && shareInside(map, known.inside)) ?? undefined
    return { focus, watched, isElsewhere: watched !== undefined && watched < watchRegion!.share }
  }
}

/** For each sample of the input: 1 inside the polygon, 0 outside, 2 on the letterbox, which is not in the frame. */
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

/** The share of the positive heat that lies inside; null when there is no positive heat. */
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
