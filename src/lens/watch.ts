/**
 * Says when a camera has gone blind: black, overexposed, covered, blurred, frozen or moved. It judges statistics of the
 * pictures against fixed bounds and against what this very camera showed while all was well, and says nothing until
 * the same has been seen several times in a row. docs/heat.md defines each word and says what it cannot tell.
 */
import type { LensProblem } from '../decision/prediction.js'
import { appearanceOf, blend, correlation, hasMoved, type Appearance } from './appearance.js'
import type { LensStatistics } from './statistics.js'

export interface LensOptions {
  /** Checks in a row that must see the same before a problem is raised, and none before it is cleared. */
  readonly checks: number
  /** A picture that has not changed in a single pixel for so long is frozen. */
  readonly frozenAfterMs: number
}

export const lensDefaults: LensOptions = { checks: 10, frozenAfterMs: 30_000 }

/** What is known of the source, beside its pixels. */
export interface LensContext {
  readonly nowMs: number
  /** Pictures of a file or a drawn scene: they may stand still and change altogether, and mean nothing by it. */
  readonly isStill: boolean
  /** Whether the frame has at least the detail of the network's input; else it cannot be told from a blurred one. */
  readonly isDetailed: boolean
}

/** How this camera looks when nothing is wrong: slow averages. */
interface Reference extends Appearance {
  /** Checks that went into it. */
  readonly age: number
}

/** Healthy checks before the camera's own look is held against it. */
const leastAge = 25
/** The averages follow in about so many checks: a minute at five a second. */
const memory = 300
/** A camera that stays moved for so many checks is where it is meant to be: ten minutes at five a second. */
const adoptAfter = 3000
/** Changes of the picture before a standstill means anything: a source that has never changed is a still picture. */
const leastChanges = 10

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

  constructor(options: LensOptions = lensDefaults) {
    this.#options = options
  }

  /** The problem that stands; null while all is well. */
  get problem(): LensProblem | null {
    return this.#problem
  }

  /** Takes one picture's statistics in; true when the problem has changed. */
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

  /** The camera was opened anew: it may be another one, and time has passed. */
  reset(): void {
    this.#last = null
    this.#changes = 0
    this.#recent = null
  }

  #judge(statistics: LensStatistics, appearance: Appearance, context: LensContext): LensProblem | null {
    const isFrozen = this.#isFrozen(statistics, context)
    const { mean, deviation, contrast, sharpness } = appearance
    const known = this.#reference && this.#reference.age >= leastAge ? this.#reference : null
    // At night a camera shows next to nothing, but what it shows is still its scene.
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

  /** The same picture in every cell. Sensors have noise: no two pictures of a camera that sees anything are alike. */
  #isFrozen({ cells, fine }: LensStatistics, { nowMs, isStill }: LensContext): boolean {
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
    return (
      isSame && !isStill && this.#changes >= leastChanges && nowMs - this.#lastChangeMs >= this.#options.frozenAfterMs
    )
  }

  /** Another view that stays: a passing crowd changes from picture to picture, a parked car covers a part. */
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
