/**
 * When a zone looks: at every frame, when something moves, at intervals, by the clock, or when it is asked. It says why for
 * each look. A zone always looks at its first frame, after its camera's return and after a setting changed, and goes on
 * looking until a new label is settled.
 */
import { nextTime } from '../config/schedule.js'
import type { ZoneConfig } from '../config/zones.js'
import type { Moved } from './motion/timing.js'

/** Why a zone looked at a frame. */
export const lookReasons = [
  'always',
  'start',
  'return',
  'setting',
  'command',
  'gpio',
  'interval',
  'cron',
  'motion',
  'exposure',
  'max_idle',
  'settling',
] as const
export type LookReason = (typeof lookReasons)[number]

/** What a look can be asked for. */
export type AskedReason = Extract<LookReason, 'start' | 'return' | 'setting' | 'command' | 'gpio'>

/** What a trigger knows of a frame. */
export interface Moment {
  /** Monotonic, milliseconds. */
  readonly nowMs: number
  /** Wall time, milliseconds. */
  readonly wallMs: number
  /** A label is on its way: frames in a row agree, but not enough of them. */
  readonly isSettling: boolean
}

export interface TriggerOptions {
  readonly trigger: NonNullable<ZoneConfig['trigger']>
  readonly timezone?: string | undefined
  /** Looks that a label may need until it settles. */
  readonly mostSettling: number
  /** For `motion`: whether the frame differs, and why it counts. Called once for each frame. Default: it does. */
  readonly moved?: (() => Moved | null) | undefined
  /** A run of a cron line is told when it comes later than this, and each run that did not come. */
  readonly onLate?: ((sentence: string) => void) | undefined
}

const lateMs = 60_000
/** A wall clock that goes back by more than this was set. */
const setBackMs = 1000
/** Missed runs are counted up to this many. */
const mostMissed = 1000

/** The trigger of one zone. Call `reason` for each frame, and `looked` after each look. */
export class Trigger {
  readonly #options: TriggerOptions
  #asked: AskedReason | null = 'start'
  /** Why the last look was made, where nothing came of it. */
  #failed: LookReason | null = null
  #lastMs = -Infinity
  #settlingLooks = 0
  #cronMs: number | null = null
  #wallMs: number | null = null

  constructor(options: TriggerOptions) {
    this.#options = options
  }

  /** The zone looks at its next frame, whatever else is set. The first reason counts. */
  ask(reason: AskedReason): void {
    this.#asked ??= reason
  }

  /** Why the zone looks at this frame; null: it does not. */
  reason(moment: Moment): LookReason | null {
    const { kind } = this.#options.trigger
    const moved = kind === 'motion' ? this.#moved() : null
    const scheduled = kind === 'cron' ? this.#cron(moment.wallMs) : false
    const due = this.#asked ?? this.#failed
    if (due) return due
    if (kind === 'always') return 'always'
    if (scheduled) return 'cron'
    if (moment.isSettling && this.#settlingLooks < this.#options.mostSettling) return 'settling'
    return moved ?? this.#due(moment.nowMs)
  }

  /** The zone looked for this reason. A look that was skipped is not one. */
  looked(reason: LookReason, { nowMs, wallMs }: Pick<Moment, 'nowMs' | 'wallMs'>): void {
    this.#asked = null
    this.#failed = null
    this.#lastMs = nowMs
    this.#settlingLooks = reason === 'settling' ? this.#settlingLooks + 1 : 0
    if (reason === 'cron') this.#cronMs = this.#next(wallMs)
  }

  /** Nothing came of the look: its frame was damaged, or its outputs were. The zone looks at its next frame for the same reason. */
  failed(reason: LookReason): void {
    this.#failed = reason
  }

  #due(nowMs: number): LookReason | null {
    const { trigger } = this.#options
    const idleMs = nowMs - this.#lastMs
    if (trigger.kind === 'every') return idleMs >= trigger.everyMs ? 'interval' : null
    return trigger.kind === 'motion' && idleMs >= trigger.maxIdleMs ? 'max_idle' : null
  }

  /** Without a gate each frame counts as moved: it fails open. */
  #moved(): Moved | null {
    const { moved } = this.#options
    return moved ? moved() : 'motion'
  }

  /** Whether a run of the cron line is due. A clock that was set back starts the schedule again. */
  #cron(wallMs: number): boolean {
    const wasSetBack = this.#wallMs !== null && wallMs < this.#wallMs - setBackMs
    this.#wallMs = wallMs
    if (this.#cronMs === null || wasSetBack) {
      this.#cronMs = this.#next(wallMs)
      return false
    }
    if (wallMs < this.#cronMs) return false
    this.#tellLate(this.#cronMs, wallMs)
    return true
  }

  #tellLate(dueMs: number, wallMs: number): void {
    const { trigger, timezone, onLate } = this.#options
    if (trigger.kind !== 'cron' || wallMs - dueMs < lateMs || !onLate) return
    let missed = 0
    for (let at = nextTime(trigger.line, timezone, dueMs); at !== null && at <= wallMs && missed < mostMissed; missed++)
      at = nextTime(trigger.line, timezone, at)
    const minutes = Math.round((wallMs - dueMs) / 60_000)
    const others = missed === 0 ? '' : `; ${missed} more did not happen`
    onLate(`the run of ${new Date(dueMs).toISOString()} comes ${minutes} min late${others}`)
    // A run that waits for its turn is told once.
    this.#cronMs = wallMs
  }

  #next(wallMs: number): number | null {
    const { trigger, timezone } = this.#options
    return trigger.kind === 'cron' ? nextTime(trigger.line, timezone, wallMs) : null
  }
}
