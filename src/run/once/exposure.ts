/** Tells when a camera that was just opened has adjusted its exposure: its pictures are about equally bright for a while. */
import type { Frame } from '../../frame.js'
import { createGridMeter } from '../../pixels/grid.js'

/** The pictures of this time are compared. */
const spanMs = 400
/** Levels, of 255, by which the brightness may differ. */
const tolerance = 4
/** At least so many pictures are compared. */
const leastFrames = 3

/** The brightness of the first pictures of a camera, in the order in which they come. */
export class Exposure {
  readonly #seen: { readonly level: number; readonly nowMs: number }[] = []

  /** Takes the mean brightness of a picture, from 0 to 255. True when the exposure has settled. */
  isSettled(level: number, nowMs: number): boolean {
    const seen = this.#seen
    seen.push({ level, nowMs })
    const isLong = nowMs - seen[0]!.nowMs >= spanMs && seen.length >= leastFrames
    while (seen.length > leastFrames && nowMs - seen[1]!.nowMs >= spanMs) seen.shift()
    const levels = seen.map((each) => each.level)
    return isLong && Math.max(...levels) - Math.min(...levels) <= tolerance
  }
}

/** A meter of a frame's mean brightness, from 0 to 255. It throws FRAME_INVALID. */
export function brightnessMeter(): (frame: Frame) => number {
  const measure = createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, 8, 8)
  const cells = new Float32Array(64)
  return (frame) => {
    measure(frame, cells)
    return cells.reduce((sum, cell) => sum + cell, 0) / cells.length
  }
}
