/** How a candidate compares with the model that serves, picture by picture: pure counting, no allocation per picture. */

/** When a candidate is good enough to serve without a person; see `models.confirm`. */
export interface ConfirmRule {
  /** Least time since the comparison began. */
  readonly afterMs: number
  /** Least share of pictures with the same label. */
  readonly agreement: number
  /** The candidate's mean time may be this many times the serving model's. */
  readonly noSlower: number
}

/** What is known of a candidate after some pictures. */
export interface Agreement {
  readonly compared: number
  readonly agreed: number
  /** Pictures that the candidate could not judge. */
  readonly failed: number
  readonly servingMs: number
  readonly candidateMs: number
  /** The mean difference of the best label's score, candidate less serving. */
  readonly drift: number
  /** Changes of label that occurred most often. */
  readonly changes: readonly { readonly from: string; readonly to: string; readonly count: number }[]
}

/** What one model said of a picture. */
export interface Answer {
  readonly label: string
  readonly score: number
  /** Time of the inference. */
  readonly ms: number
}

/** Fewer pictures say nothing of agreement. */
export const leastPictures = 50
const mostChanges = 100

/** Counts answers of both models about the same pictures. */
export class AgreementCounter {
  #compared = 0
  #agreed = 0
  #failed = 0
  #servingMs = 0
  #candidateMs = 0
  #drift = 0
  readonly #changes = new Map<string, { readonly from: string; readonly to: string; count: number }>()

  /** Adds a picture; `candidate` is null where the candidate failed. Returns whether the label differs. */
  add(serving: Answer, candidate: Answer | null): boolean {
    if (!candidate) {
      this.#failed++
      return false
    }
    this.#compared++
    this.#servingMs += serving.ms
    this.#candidateMs += candidate.ms
    this.#drift += candidate.score - serving.score
    if (serving.label === candidate.label) {
      this.#agreed++
      return false
    }
    const key = `${serving.label}\n${candidate.label}`
    const change = this.#changes.get(key)
    if (change) change.count++
    else if (this.#changes.size < mostChanges)
      this.#changes.set(key, { from: serving.label, to: candidate.label, count: 1 })
    return true
  }

  /** What was counted so far, with the ten most frequent changes. */
  report(): Agreement {
    const mean = (sum: number): number => (this.#compared === 0 ? 0 : sum / this.#compared)
    return {
      compared: this.#compared,
      agreed: this.#agreed,
      failed: this.#failed,
      servingMs: mean(this.#servingMs),
      candidateMs: mean(this.#candidateMs),
      drift: mean(this.#drift),
      changes: [...this.#changes.values()].toSorted((a, b) => b.count - a.count).slice(0, 10),
    }
  }
}

/** What still speaks against a confirmation by rule, in one sentence; null: nothing does. */
export function objectionTo(
  { compared, agreed, failed, servingMs, candidateMs }: Agreement,
  rule: ConfirmRule,
  elapsedMs: number,
): string | null {
  if (failed > 0) return `it failed on ${failed} ${failed === 1 ? 'picture' : 'pictures'}`
  if (elapsedMs < rule.afterMs)
    return `it has been compared for ${Math.floor(elapsedMs / 1000)} s of ${rule.afterMs / 1000} s`
  if (compared < leastPictures) return `${compared} of ${leastPictures} pictures are compared`
  if (agreed / compared < rule.agreement)
    return `it agrees on ${((agreed / compared) * 100).toFixed(1)} % of the pictures; ${(rule.agreement * 100).toFixed(1)} % are wanted`
  if (candidateMs > servingMs * rule.noSlower)
    return `it takes ${(candidateMs / servingMs).toFixed(2)} times as long; ${rule.noSlower} times is allowed`
  return null
}
