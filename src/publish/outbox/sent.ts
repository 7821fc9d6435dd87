/** What a broker has and a consumer has not acknowledged yet (application acknowledgements). */
import type { OutboxGap } from './ledger.js'
import type { OutboxEntry } from './outbox.js'
import { Ranges } from './ranges.js'

export interface Sent {
  readonly gaps: ReadonlySet<OutboxGap>
  readonly runs: readonly (readonly [number, number])[]
  /** Entries of the backlog among them. */
  readonly backlogCount: number
  add(entry: OutboxEntry, nowMs: number): void
  /** Takes out what a consumer has up to this number. */
  takeThrough(
    seq: number,
    nowMs: number,
  ): { readonly runs: readonly (readonly [number, number])[]; readonly gaps: readonly OutboxGap[] }
  /** Whether the consumer has been silent for too long; each time in a row it may take twice as long, up to ten times. */
  isOverdue(nowMs: number, resendMs: number): boolean
  clear(): void
}

export function createSent(): Sent {
  const live = new Ranges()
  const backlog = new Ranges()
  const gaps = new Set<OutboxGap>()
  let progressMs = 0
  let patience = 1
  const count = (): number => live.count + backlog.count + gaps.size

  return {
    gaps,
    get runs() {
      return [...live.runs, ...backlog.runs]
    },
    get backlogCount() {
      return backlog.count + gaps.size
    },
    add(entry, nowMs) {
      if (count() === 0) progressMs = nowMs
      if (entry.kind === 'gap') gaps.add(entry)
      else (entry.isLive ? live : backlog).add(entry.seq)
    },
    takeThrough(seq, nowMs) {
      const runs = [...live.takeThrough(seq), ...backlog.takeThrough(seq)]
      const taken = [...gaps].filter((gap) => gap.to <= seq)
      for (const gap of taken) gaps.delete(gap)
      if (runs.length + taken.length > 0) [progressMs, patience] = [nowMs, 1]
      return { runs, gaps: taken }
    },
    isOverdue(nowMs, resendMs) {
      if (count() === 0 || nowMs - progressMs < resendMs * patience) return false
      patience = Math.min(patience * 2, 10)
      return true
    },
    clear() {
      live.clear()
      backlog.clear()
      gaps.clear()
    },
  }
}
