/**
 * Whether what a zone sees has drifted away from what it was taught: most looks of the last minutes are novel, far from the
 * taught pictures, or unsure, and that for long. A person who walks by is no drift.
 */
import type { Novelty } from '../decision/novelty.js'

/** What is usual at teaching time. */
export interface Usual {
  /** Mean distance of a taught picture to the nearest other one. */
  readonly distance: number
  /** Mean score of the best state. */
  readonly score: number
}

/** Looks count with this time constant. */
const memoryMs = 600_000
/** This share of unusual looks, for this long, is drift; below the other share it is over. */
const [mostShare, sustainedMs, overShare] = [0.5, 1_800_000, 0.2]
/** Beyond this part of the way from the usual distance to the limit a look is unusual. */
const farShare = 0.75
const unsureShare = 0.6

/** Watches one zone; no look allocates. */
export class DriftWatch {
  readonly #usual: Usual
  #share = 0
  #lastMs: number | null = null
  #aboveSinceMs: number | null = null
  /** The zone needs teaching. */
  isDrifted = false

  constructor(usual: Usual) {
    this.#usual = usual
  }

  /** Share of unusual looks of late. */
  get share(): number {
    return this.#share
  }

  /** Takes a look, and says whether it was unusual. `isDrifted` follows. */
  observe(novelty: Pick<Novelty, 'distance' | 'limit' | 'cause'>, score: number, nowMs: number): boolean {
    const { distance, score: usualScore } = this.#usual
    const far = distance + farShare * (novelty.limit - distance)
    const isUnusual = novelty.cause !== null || novelty.distance > far || score < usualScore * unsureShare
    const elapsedMs = Math.max(0, nowMs - (this.#lastMs ?? nowMs))
    this.#lastMs = nowMs
    this.#share += (1 - Math.exp(-elapsedMs / memoryMs)) * ((isUnusual ? 1 : 0) - this.#share)
    if (this.#share < mostShare) this.#aboveSinceMs = null
    else this.#aboveSinceMs ??= nowMs
    if (this.#aboveSinceMs !== null && nowMs - this.#aboveSinceMs >= sustainedMs) this.isDrifted = true
    if (this.#share < overShare) this.isDrifted = false
    return isUnusual
  }
}
