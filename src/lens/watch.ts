/**
 * Detects when a camera no longer sees its scene: black, overexposed, covered, blurred, frozen or moved. It compares
 * statistics of the pictures with fixed limits and with a reference that it learns from this camera while nothing is
 * wrong. A problem is raised only after several equal checks in a row. docs/heat.md defines each problem and the limits
 * of the detection.
 */
import type { LensProblem } from '../decision/prediction.js'
import { appearanceOf, blend, correlation, hasMoved, type Appearance } from './appearance.js'
import type { LensStatistics } from './statistics.js'

/** How quickly problems are raised. */
export interface LensOptions {
  /** Equal checks in a row before a problem is raised, and checks without it before it is cleared. */
  readonly checks: number
  /** A picture without any change for this long is frozen. */
  readonly frozenAfterMs: number
}

/** The configuration's defaults. */
export const lensDefaults: LensOptions = { checks: 10, frozenAfterMs: 30_000 }

/** What is known about the source beside its pixels. */
export interface LensContext {
  /** A monotonic time. */
  readonly nowMs: number
  /** The source is a file or a drawn scene. It may stand still or change completely: it is never frozen or moved. */
  readonly isStill: boolean
  /** The source is known to be a live camera, so identical pictures mean a frozen one from the start. */
  readonly isLive?: boolean | undefined
  /** The frame is at least as large as the network's input. An enlarged frame looks like a blurred one. */
  readonly isDetailed: boolean
}

/** The usual appearance of this camera, as slow averages. */
interface Reference extends Appearance {
  /** The number of checks in the averages. */
  readonly age: number
}

/** Checks without a problem before pictures are compared with the reference. */
const leastAge = 25
/** Time constant of the averages in checks: a minute at five checks a second. */
const memory = 300
/** After this many checks as `moved` the new view becomes the reference: ten minutes at five checks a second. */
const adoptAfter = 3000
/** Changes of the picture before it can be frozen: a source that has never changed shows a still picture. */
const leastChanges = 10

/**
 * The watch over one camera.
 *
 *     const watch = new LensWatch()
 *     if (watch.observe(meter(input), { nowMs, isStill: false, isDetailed: true })) report(watch.problem)
 */
export class LensWatch {
  readonly #options: LensOptions
  #reference: Reference | null = null
  #recent: Appearance | null = null
  #problem: LensProblem | null = null
  #candidate: LensProblem | null = null
  #run = 0
  #movedFor = 0
  #changes = 0
  #last: Float32Array | null = null
  #lastChangeMs = 0
  #isStandstill = false

  constructor(options: LensOptions = lensDefaults) {
    this.#options = options
  }

  /** The current problem; null without one. */
  get problem(): LensProblem | null {
    return this.#problem
  }

  /** The picture of a live camera has not changed for `frozenAfterMs`. Unlike a problem, this holds from the next check on. */
  get isFrozen(): boolean {
    return this.#isStandstill
  }

  /** Judges one picture. Returns true when the problem has changed. */
  observe(statistics: LensStatistics, context: LensContext): boolean {
    const appearance = appearanceOf(statistics)
    const seen = this.#judge(statistics, appearance, context)
    this.#learn(appearance, seen)
    if (seen === this.#problem) {
      this.#candidate = this.#problem
      this.#run = 0
      return false
    }
    this.#run = seen === this.#candidate ? this.#run + 1 : 1
    this.#candidate = seen
    if (this.#run < this.#options.checks) return false
    this.#problem = seen
    this.#run = 0
    return true
  }

  /** Call this after the camera was opened again: it may be another one. The reference stays. */
  reset(): void {
    this.#last = null
    this.#changes = 0
    this.#recent = null
    this.#isStandstill = false
  }

  #judge(statistics: LensStatistics, appearance: Appearance, context: LensContext): LensProblem | null {
    const isFrozen = this.#hasStopped(statistics, context)
    this.#isStandstill = isFrozen && context.isLive === true
    const { mean, deviation, contrast, sharpness } = appearance
    const known = this.#reference && this.#reference.age >= leastAge ? this.#reference : null
    // A night picture is almost black, but its structure is still that of the scene.
    const isNight = known !== null && correlation(appearance.structure, known.structure) > 0.4
    if (mean < 12 && deviation < 1.5 && !isNight) return 'black'
    if (statistics.bright > 0.85 || (mean > 235 && deviation < 6)) return 'overexposed'
    if (contrast < 0.06 && contrast < (known ? known.contrast * 0.35 : 0.015)) return 'covered'
    if (
      context.isDetailed &&
      sharpness !== null &&
      sharpness < (known?.sharpness ? Math.min(0.33, known.sharpness * 0.75) : 0.29)
    )
      return 'blurred'
    if (isFrozen) return 'frozen'
    return known && !context.isStill && this.#isMoved(appearance, known) ? 'moved' : null
  }

  /** Whether no cell has changed for long enough. A sensor has noise: two pictures of a live camera always differ. */
  #hasStopped({ cells, fine }: LensStatistics, { nowMs, isStill, isLive = false }: LensContext): boolean {
    const before = this.#last
    const isSame =
      before !== null && before[cells.length] === Math.fround(fine) && cells.every((level, i) => level === before[i])
    if (!isSame) {
      this.#last ??= new Float32Array(cells.length + 1)
      this.#last.set(cells)
      this.#last[cells.length] = fine
      this.#lastChangeMs = nowMs
      this.#changes++
    }
    const isMovingPicture = isLive || (!isStill && this.#changes >= leastChanges)
    return isSame && isMovingPicture && nowMs - this.#lastChangeMs >= this.#options.frozenAfterMs
  }

  /** Whether the view differs and is steady. A passing crowd is not steady, and a parked car covers only a part. */
  #isMoved(appearance: Appearance, reference: Reference): boolean {
    const isSteady = this.#recent !== null && correlation(appearance.structure, this.#recent.structure) > 0.9
    return isSteady && hasMoved(reference.structure, appearance.structure)
  }

  #learn(appearance: Appearance, seen: LensProblem | null): void {
    this.#recent = this.#recent ? blend(this.#recent, appearance, 0.3) : appearance
    this.#movedFor = seen === 'moved' ? this.#movedFor + 1 : 0
    if (this.#movedFor >= adoptAfter) {
      this.#reference = { ...appearance, age: 1 }
      return
    }
    if (seen !== null || this.#problem !== null) return
    const { age } = this.#reference ?? { age: 0 }
    const share = 1 / Math.min(memory, age + 1)
    this.#reference = this.#reference
      ? { ...blend(this.#reference, appearance, share), age: age + 1 }
      : { ...appearance, age: 1 }
  }
}
