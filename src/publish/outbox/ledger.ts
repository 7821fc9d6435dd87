/** What is known of all events at once: who has which, what was lost, and which numbers were given since which start. */
import { Ranges } from './ranges.js'

/** A hole in a camera's events, in place of those that were dropped or damaged. */
export interface OutboxGap {
  readonly kind: 'gap'
  readonly camera: string
  readonly from: number
  to: number
  missing: number
}

/** One start of the program: its id, and the first number that it gave. */
export interface Boot {
  readonly id: string
  readonly from: number
}

/** When something was written, as far as a clock can be believed. */
export interface WriteTime {
  readonly boot: string
  readonly monoMs: number
  readonly wallMs: number
  readonly isClockSynced: boolean
}

/** More starts than this while nobody takes events: the oldest that gave fewest numbers are forgotten first. */
const maxBoots = 256

const maxGaps = 64

export class Ledger {
  /** Numbers that need not be sent any more: somebody has them, or they are lost and told as a gap. */
  readonly done: Ranges
  readonly gaps: OutboxGap[]
  readonly boots: Boot[]
  /** Events lost, ever. */
  lost: number

  constructor(done = new Ranges(), gaps: OutboxGap[] = [], boots: Boot[] = [], lost = 0) {
    this.done = done
    this.gaps = gaps
    this.boots = boots
    this.lost = lost
  }

  /** The payload of a state record. */
  toJson(stamp: WriteTime): string {
    const { done, gaps, boots, lost } = this
    return JSON.stringify({
      stamp,
      lost,
      done: done.runs,
      boots,
      gaps: gaps.map(({ camera, from, to, missing }) => ({ camera, from, to, missing })),
    })
  }

  /** Throws for text that is no state. */
  static fromJson(text: string): { readonly ledger: Ledger; readonly stamp: WriteTime } {
    const { stamp, lost, done, boots, gaps } = JSON.parse(text) as {
      stamp: WriteTime
      lost: number
      done: unknown
      boots: Boot[]
      gaps: Omit<OutboxGap, 'kind'>[]
    }
    return {
      ledger: new Ledger(
        Ranges.from(done),
        gaps.map((gap) => ({ ...gap, kind: 'gap' })),
        boots,
        lost,
      ),
      stamp,
    }
  }

  /**
   * An event of a camera is lost: its hole grows, or begins. `isOpen` says whether a hole may still grow: one under way
   * may not. `isOwn`: its number is no other event's.
   */
  lose(camera: string, seq: number, isOpen: (gap: OutboxGap) => boolean, isOwn = true): void {
    this.lost++
    if (isOwn) this.done.add(seq)
    const gap = this.gaps.findLast((candidate) => candidate.camera === camera && isOpen(candidate))
    if (!gap) this.gaps.push({ kind: 'gap', camera, from: seq, to: seq, missing: 1 })
    else {
      gap.to = Math.max(gap.to, seq)
      gap.missing++
    }
  }

  /** Links that come and go while events are lost would otherwise leave a hole more each time. */
  mergeGaps(): void {
    if (this.gaps.length <= maxGaps) return
    const first = new Map<string, OutboxGap>()
    for (const gap of this.gaps.splice(0)) {
      const known = first.get(gap.camera)
      if (!known) first.set(gap.camera, gap)
      else {
        known.to = Math.max(known.to, gap.to)
        known.missing += gap.missing
      }
    }
    this.gaps.push(...first.values())
  }

  /** A new start of the program, which will number from here. */
  addBoot(id: string, from: number): void {
    const through = this.done.nextMissing(1)
    for (let i = this.boots.length - 2; i >= 0; i--) {
      // All that it gave is done, or it gave nothing.
      if (this.boots[i + 1]!.from <= through || this.boots[i + 1]!.from === this.boots[i]!.from) this.boots.splice(i, 1)
    }
    if (this.boots.at(-1)?.from === from) this.boots.pop()
    this.boots.push({ id, from })
    if (this.boots.length > maxBoots) this.boots.splice(0, this.boots.length - maxBoots)
  }

  /** The last number that a start of the program gave, `last` for the present one; null for one that is not known. */
  lastOf(boot: string, last: number): number | null {
    const i = this.boots.findIndex(({ id }) => id === boot)
    if (i < 0) return null
    return i + 1 < this.boots.length ? this.boots[i + 1]!.from - 1 : last
  }
}
