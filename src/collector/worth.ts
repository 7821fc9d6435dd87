/**
 * Whether the picture of a prediction is worth a label: the model is unsure, the picture is novel, the label has just changed,
 * or chance picks it, so that confident mistakes are seen too. Called for each frame: it allocates nothing.
 */
import { unknownLabel, type Decision } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'

/** Why a picture is kept. `reported`: a person said that its label is wrong; `imported`: it came from a folder. */
export const reasons = ['unsure', 'novel', 'changed', 'audit', 'reported', 'imported'] as const
/** Why a picture is kept. */
export type Reason = (typeof reasons)[number]

/** A smaller lead of the best label over the second is unsure. */
const sureLead = 0.2

/** What `Worth` may vary. */
export interface WorthOptions {
  /** Mean time between two pictures that chance picks of one zone, milliseconds; 0: none. */
  readonly auditEveryMs: number
  /** Uniform in 0 up to 1; default Math.random. */
  readonly random?: (() => number) | undefined
}

/** Judges the frames of one zone, one after the other. */
export class Worth {
  readonly #auditEveryMs: number
  readonly #random: () => number
  #label: string | null = null
  #lastMs: number | null = null

  constructor({ auditEveryMs, random = Math.random }: WorthOptions) {
    this.#auditEveryMs = auditEveryMs
    this.#random = random
  }

  /** Null: the picture is not worth a label. `nowMs` is monotonic; `decision` is the one after this prediction. */
  judge(prediction: Prediction, decision: Decision, nowMs: number): Reason | null {
    const hasChanged = this.#hasChanged(decision)
    const isPicked = this.#isPicked(nowMs)
    if (prediction.novelty !== undefined && prediction.novelty.cause !== null) return 'novel'
    if (hasChanged) return 'changed'
    if (leadOf(prediction) < sureLead) return 'unsure'
    return isPicked ? 'audit' : null
  }

  /** Whether a label follows another one; the first label of a run follows none. */
  #hasChanged({ label }: Decision): boolean {
    if (label === unknownLabel || label === this.#label) return false
    const isFirst = this.#label === null
    this.#label = label
    return !isFirst
  }

  /** Whatever the frame rate is, pictures are picked once in `auditEveryMs` in the mean. */
  #isPicked(nowMs: number): boolean {
    const passedMs = this.#lastMs === null ? 0 : nowMs - this.#lastMs
    this.#lastMs = nowMs
    return this.#auditEveryMs > 0 && this.#random() < passedMs / this.#auditEveryMs
  }
}

function leadOf({ top }: Prediction): number {
  const [best, second] = [top[0], top[1]]
  return best === undefined ? 0 : best.score - (second?.score ?? 0)
}
