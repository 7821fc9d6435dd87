/** Application acknowledgements: what the broker has and a consumer has not acknowledged yet. */
import type { OutboxGap } from './ledger.js'
import type { OutboxEntry } from './outbox.js'
import { Ranges } from './ranges.js'

type Run = readonly [from: number, to: number]

/** The pause before everything is sent again grows to this many times the first. */
const maxPatience = 10

export class Sent {
  readonly #live = new Ranges()
  readonly #backlog = new Ranges()
  readonly #gaps = new Set<OutboxGap>()
  #progressMs = 0
  #patience = 1

  get runs(): readonly Run[] {
    return [...this.#live.runs, ...this.#backlog.runs]
  }

  /** How many entries of the backlog are here. */
  get backlogCount(): number {
    return this.#backlog.count + this.#gaps.size
  }

  add(entry: OutboxEntry, nowMs: number): void {
    if (this.#isEmpty()) this.#progressMs = nowMs
    if (entry.kind === 'gap') this.#gaps.add(entry)
    else (entry.isLive ? this.#live : this.#backlog).add(entry.seq)
  }

  /** Removes and returns what a consumer has: everything up to this number. */
  takeThrough(seq: number, nowMs: number): { readonly runs: readonly Run[]; readonly gaps: readonly OutboxGap[] } {
    const runs = [...this.#live.takeThrough(seq), ...this.#backlog.takeThrough(seq)]
    const gaps = [...this.#gaps].filter(({ to }) => to <= seq)
    for (const gap of gaps) this.#gaps.delete(gap)
    if (runs.length + gaps.length > 0) [this.#progressMs, this.#patience] = [nowMs, 1]
    return { runs, gaps }
  }

  /**
   * True when the consumer has been silent for too long. Each time in a row it gets twice as long, up to ten times
   * `resendMs`.
   */
  isOverdue(nowMs: number, resendMs: number): boolean {
    if (this.#isEmpty() || nowMs - this.#progressMs < resendMs * this.#patience) return false
    this.#patience = Math.min(this.#patience * 2, maxPatience)
    return true
  }

  clear(): void {
    this.#live.clear()
    this.#backlog.clear()
    this.#gaps.clear()
  }

  #isEmpty(): boolean {
    return this.#live.count + this.#backlog.count + this.#gaps.size === 0
  }
}
