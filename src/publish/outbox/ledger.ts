/**
 * What the outbox knows about all its events: which numbers are done, which are lost, and which start of the program
 * gave which numbers. It is kept in memory and written to the log as JSON.
 */
import { Ranges } from './ranges.js'

/** Events of one camera that were dropped or damaged. It is sent in their place. */
export interface OutboxGap {
  readonly kind: 'gap'
  /** Empty where it is not known. */
  readonly camera: string
  readonly from: number
  to: number
  missing: number
  /** It is being sent, or sent and not acknowledged: it must not change. */
  isOffered: boolean
}

/** One start of the program: its id, and the first number that it gave. */
export interface Boot {
  readonly id: string
  readonly from: number
}

/** When a segment was begun, by the running time of one boot and by the wall clock. */
export interface WriteTime {
  readonly boot: string
  readonly monoMs: number
  readonly wallMs: number
  readonly isClockSynced: boolean
}

/** Limit of the starts that are remembered; the oldest are forgotten first. */
const maxBoots = 256
/** Beyond this, the gaps of each camera become one. */
const maxGaps = 64

interface LedgerJson {
  readonly stamp: WriteTime
  readonly lost: number
  readonly done: unknown
  readonly boots: Boot[]
  readonly gaps: Omit<OutboxGap, 'kind' | 'isOffered'>[]
}

export class Ledger {
  /** Numbers that need not be sent any more: delivered, or lost and recorded as a gap. */
  readonly done: Ranges
  readonly gaps: OutboxGap[]
  readonly boots: Boot[]
  /** Events lost over the life of the folder. */
  lost: number

  constructor(done = new Ranges(), gaps: OutboxGap[] = [], boots: Boot[] = [], lost = 0) {
    this.done = done
    this.gaps = gaps
    this.boots = boots
    this.lost = lost
  }

  /** The payload of a `state` record. */
  toJson(stamp: WriteTime): string {
    const { done, boots, lost } = this
    const gaps = this.gaps.map(({ camera, from, to, missing }) => ({ camera, from, to, missing }))
    return JSON.stringify({ stamp, lost, done: done.runs, boots, gaps })
  }

  /** Reads the payload of a `state` record. Throws for any other text. */
  static fromJson(text: string): { readonly ledger: Ledger; readonly writtenAt: WriteTime } {
    const { stamp, lost, done, boots, gaps } = JSON.parse(text) as LedgerJson
    const read = gaps.map((gap): OutboxGap => ({ ...gap, kind: 'gap', isOffered: false }))
    return { ledger: new Ledger(Ranges.from(done), read, boots, lost), writtenAt: stamp }
  }

  /**
   * An event of a camera is lost: the camera's gap grows, or a new one begins. `isOwn` is false for an event whose
   * number belongs to another event on disk.
   */
  lose(camera: string, seq: number, isOwn = true): void {
    this.lost++
    if (isOwn) this.done.add(seq)
    const gap = this.gaps.findLast((candidate) => candidate.camera === camera && !candidate.isOffered)
    if (!gap) this.gaps.push({ kind: 'gap', camera, from: seq, to: seq, missing: 1, isOffered: false })
    else {
      gap.to = Math.max(gap.to, seq)
      gap.missing++
    }
  }

  removeGap(gap: OutboxGap): void {
    const place = this.gaps.indexOf(gap)
    if (place >= 0) this.gaps.splice(place, 1)
  }

  /** Bounds the number of gaps, which grows when a link breaks often while events are lost. */
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

  /** A new start of the program, whose first number is `from`. Starts of which everything is done are forgotten. */
  addBoot(id: string, from: number): void {
    const through = this.done.nextMissing(1)
    for (let i = this.boots.length - 2; i >= 0; i--) {
      const next = this.boots[i + 1]!.from
      if (next <= through || next === this.boots[i]!.from) this.boots.splice(i, 1)
    }
    if (this.boots.at(-1)?.from === from) this.boots.pop()
    this.boots.push({ id, from })
    if (this.boots.length > maxBoots) this.boots.splice(0, this.boots.length - maxBoots)
  }

  /** The last number that a start of the program gave, `last` for the present one; null for an unknown start. */
  lastOf(boot: string, last: number): number | null {
    const i = this.boots.findIndex(({ id }) => id === boot)
    if (i < 0) return null
    return i + 1 < this.boots.length ? this.boots[i + 1]!.from - 1 : last
  }
}
