/**
 * Tells a zone whether a frame shows anything new in its region, in microseconds and without an inference. It belongs to one
 * zone. What it must not miss is written in docs/zones.md; `scripts/bench/motion.mjs` measures it over a made day.
 */
import type { Frame } from '../../frame.js'
import { createGridMeter, type GridMeter } from '../../pixels/grid.js'
import { boundsOf, isInside, isPolygon, withinPicture, type Shape } from '../../pixels/shape.js'
import { Background, motionSide } from './background.js'
import { motionTiming, movedBy, type MotionTiming, type Moved } from './timing.js'

/**
 * Show it each frame of the zone, and tell it of each inference, whatever its reason was.
 *
 *     const moved = gate.moved(frame, clock.now())
 *     if (moved && (await classify(frame))) gate.looked(moved, clock.now())
 */
export class MotionGate {
  readonly #timing: MotionTiming
  #measure: GridMeter
  #background: Background
  #beforeMs: number | null = null
  #lastMs = -Infinity
  #changedMs = -Infinity

  /** `shape` lies in the frame as the camera delivers it. */
  constructor(shape: Shape, timing: Partial<MotionTiming> = {}) {
    this.#timing = { ...motionTiming, ...timing }
    this.#measure = meterOf(shape)
    this.#background = new Background(cellsOf(shape))
  }

  /** Why this frame is worth an inference; null: nothing is new. Before the first inference each is. Throws FRAME_INVALID. */
  moved(frame: Frame, nowMs: number): Moved | null {
    this.#measure(frame, this.#background.picture)
    const difference = this.#background.compare(Math.max(0, nowMs - (this.#beforeMs ?? nowMs)))
    this.#beforeMs = nowMs
    if (difference === null) return 'motion'
    return movedBy(difference, { nowMs, lastMs: this.#lastMs, changedMs: this.#changedMs }, this.#timing)
  }

  /** The frame that was shown last was classified. Without this it stays as new as it was. */
  looked(reason: string, nowMs: number): void {
    this.#lastMs = nowMs
    if (reason === 'motion' || reason === 'exposure') this.#changedMs = nowMs
    // What settles is compared with the picture that began it, so a slow change adds up.
    if (reason !== 'settling' || !this.#background.hasReference) this.#background.accept()
  }

  /** The region has changed: what was learned of the other view is forgotten. */
  changeView(shape: Shape): void {
    this.#measure = meterOf(shape)
    this.#background = new Background(cellsOf(shape))
  }

  /** The camera was away: its next frame may show another scene. */
  reset(): void {
    this.#background.reset()
    this.#beforeMs = null
  }
}

function meterOf(shape: Shape): GridMeter {
  return createGridMeter(withinPicture(boundsOf(shape)), motionSide, motionSide, samples)
}

/** Samples across and down in each cell: of a colour frame more would take longer than all the rest. */
const samples = 3

/** 1 for each cell whose centre lies in the shape. */
function cellsOf(shape: Shape): Uint8Array {
  const cells = new Uint8Array(motionSide * motionSide).fill(1)
  if (!isPolygon(shape)) return cells
  const { x, y, width, height } = withinPicture(boundsOf(shape))
  const at = (cell: number): number => (cell + 0.5) / motionSide
  return cells.map((_, i) =>
    isInside(shape, x + at(i % motionSide) * width, y + at(Math.floor(i / motionSide)) * height) ? 1 : 0,
  )
}
