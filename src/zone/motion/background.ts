/**
 * What a zone's picture usually looks like, and how far a picture differs from the one that was last classified: by other
 * light, and by cells in which something else is seen. It learns the noise of the sensor and of each cell, so leaves and
 * rain become usual. Small things show in fine cells, faint ones in coarse cells. No allocation of arrays for a picture.
 */
import { Cells, type Expected } from './cells.js'
import { fitLight, sameLight, type Light } from './light.js'
import { noiseBetween } from './noise.js'
import { Novelty } from './novelty.js'

/** Cells across and down of the finest grid. */
export const motionSide = 32
/** The grids, from fine to coarse: each has half the cells across, and half the noise. */
const sides = [32, 16, 8] as const
/** Differences in levels that never count, by grid. */
const leastLevels = [2.5, 2, 1.5] as const
/** What one cell counts, by grid. */
const weights = [1, 2, 3] as const

/** How a picture differs from the reference. `ongoing`: it does, but no more than the pictures before it. */
export interface Difference {
  readonly motion: 'none' | 'ongoing' | 'new'
  readonly light: 'none' | 'ongoing' | 'new'
}

/** Noise below this, in levels, is rounding. */
const leastNoise = 0.4
/** What must differ in two pictures in a row, and at once, in weighted cells. */
const [leastHeld, leastAtOnce] = [2, 12]
/** A change of light by this share of a cell's level. */
const leastLight = 0.12
/** Levels below this are as dark as black. */
const darkest = 12
/** Time constant of what is usual of the whole picture, milliseconds. */
const usualMs = 10_000
/** Quiet pictures after the reference that are averaged into it against the noise. */
const mostAveraged = 8

/** The background of one zone. */
export class Background {
  readonly #grids: readonly Cells[]
  readonly #before = new Float32Array(motionSide * motionSide)
  readonly #usual = { held: new Novelty(leastHeld), atOnce: new Novelty(leastAtOnce), light: new Novelty(leastLight) }
  #light: Light = sameLight
  #noise = leastNoise
  #averaged = 1
  #isEmpty = true

  /** `counts`: 1 for each of the finest cells that belongs to the zone; default all. */
  constructor(counts: Uint8Array = new Uint8Array(motionSide * motionSide).fill(1)) {
    this.#grids = sides.map((side, i) => new Cells(reducedCounts(counts, side), leastLevels[i]!))
  }

  /** Write the next picture here: `motionSide` · `motionSide` levels from 0 to 255, row by row. */
  get picture(): Float32Array {
    return this.#grids[0]!.levels
  }

  /** Whether there is a picture to compare with. */
  get hasReference(): boolean {
    return !this.#isEmpty
  }

  /** Compares the picture with the reference; null before there is one. `dtMs`: since the picture before. */
  compare(dtMs: number): Difference | null {
    for (let i = 1; i < sides.length; i++) halve(this.#grids[i - 1]!.levels, sides[i - 1]!, this.#grids[i]!.levels)
    if (this.#isEmpty) {
      for (const grid of this.#grids) grid.restart()
      this.#before.set(this.picture)
      return null
    }
    const seen = Math.max(leastNoise, noiseBetween(this.#before, this.picture))
    this.#noise += (seen > this.#noise ? 0.5 : 0.1) * (seen - this.#noise)
    this.#before.set(this.picture)
    const middle = this.#grids[1]!
    this.#light = fitLight(middle.reference, middle.levels, this.#light, 3 * this.#noise)
    const { held, atOnce } = this.#countDifferent(dtMs)
    const share = 1 - Math.exp(-dtMs / usualMs)
    const [isNewHeld, isNewAtOnce] = [this.#usual.held.observe(held, share), this.#usual.atOnce.observe(atOnce, share)]
    const change = lightChange(middle.reference, this.#light)
    const isNewLight = this.#usual.light.observe(change, share)
    const isMoved = held >= leastHeld || atOnce >= leastAtOnce
    return {
      motion: !isMoved ? 'none' : isNewHeld || isNewAtOnce ? 'new' : 'ongoing',
      light: change < leastLight ? 'none' : isNewLight ? 'new' : 'ongoing',
    }
  }

  /** The picture that was compared last was classified: it is the reference from now on. */
  accept(): void {
    for (const grid of this.#grids) grid.accept()
    this.#light = sameLight
    this.#averaged = 1
    this.#isEmpty = false
  }

  /** Forgets everything: the camera was away. */
  reset(): void {
    this.#isEmpty = true
    this.#noise = leastNoise
    for (const usual of Object.values(this.#usual)) usual.reset()
  }

  #countDifferent(dtMs: number): { readonly held: number; readonly atOnce: number } {
    let [held, atOnce] = [0, 0]
    this.#grids.forEach((grid, i) => {
      grid.compare(this.#expected(i, dtMs))
      held += weights[i]! * grid.held
      atOnce += weights[i]! * grid.differing
    })
    if (held === 0 && atOnce <= 1 && this.#averaged < mostAveraged) {
      this.#averaged++
      this.#grids.forEach((grid, i) => grid.average(this.#expected(i, dtMs)))
    }
    return { held, atOnce }
  }

  #expected(grid: number, dtMs: number): Expected {
    const { gain, offset } = this.#light
    return { gain, offset, noise: Math.max(leastNoise / 2, this.#noise / (1 << grid)), averaged: this.#averaged, dtMs }
  }
}

/** The greatest change of light against a picture, as a share, over its usual and its bright levels. */
function lightChange(levels: Float32Array, { gain, offset }: Light): number {
  let [sum, squares] = [0, 0]
  for (const level of levels) {
    sum += level
    squares += level * level
  }
  const mean = sum / levels.length
  const deviation = Math.sqrt(Math.max(0, squares / levels.length - mean * mean))
  const at = (level: number): number => Math.abs((gain - 1) * level + offset) / Math.max(level, darkest)
  return Math.max(at(mean), at(mean + deviation))
}

/** Means of two by two. */
function halve(from: Float32Array, side: number, to: Float32Array): void {
  const half = side / 2
  for (let y = 0; y < half; y++)
    for (let x = 0; x < half; x++) {
      const at = 2 * y * side + 2 * x
      to[y * half + x] = (from[at]! + from[at + 1]! + from[at + side]! + from[at + side + 1]!) / 4
    }
}

/** A coarse cell belongs to the zone when at least half of its fine ones do. */
function reducedCounts(counts: Uint8Array, side: number): Uint8Array {
  const share = new Float32Array(side * side)
  const times = motionSide / side
  counts.forEach((count, i) => {
    const [x, y] = [Math.floor((i % motionSide) / times), Math.floor(Math.floor(i / motionSide) / times)]
    share[y * side + x]! += count / (times * times)
  })
  return Uint8Array.from(share, (value) => (value >= 0.5 ? 1 : 0))
}
