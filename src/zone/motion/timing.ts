/**
 * When a difference is a reason to classify a picture: a pure function of what was seen and of time. It fails open: motion
 * that goes on is looked at again and again, and what has begun is looked at for a while, because it may go on too
 * slowly to be seen.
 */
import type { Difference } from './background.js'

/** Why a picture is worth an inference: something else is seen, the light is another, or one of these happened just now. */
export type Moved = 'motion' | 'exposure' | 'settling'

export interface MotionTiming {
  /** How long each picture is classified after motion or other light. */
  readonly holdMs: number
  /** Time between classified pictures while the same motion goes on. */
  readonly ongoingMs: number
  /** How long a picture is classified now and then after motion or other light, and the time between these. */
  readonly watchMs: number
  readonly watchEveryMs: number
}

/** `ongoingMs` and two pictures more are less than a second at 10 pictures a second. */
export const motionTiming: MotionTiming = { holdMs: 200, ongoingMs: 600, watchMs: 2800, watchEveryMs: 900 }

/** Why this picture is worth an inference; null: it is not. Times are monotonic: the last inference, and the last change. */
export function movedBy(
  { motion, light }: Difference,
  times: { readonly nowMs: number; readonly lastMs: number; readonly changedMs: number },
  timing: MotionTiming,
): Moved | null {
  const [sinceMs, changedMs] = [times.nowMs - times.lastMs, times.nowMs - times.changedMs]
  const isDue = (kind: 'none' | 'ongoing' | 'new'): boolean =>
    kind === 'new' || (kind === 'ongoing' && sinceMs >= timing.ongoingMs)
  if (isDue(motion)) return 'motion'
  if (isDue(light)) return 'exposure'
  const isWatched = changedMs < timing.watchMs && sinceMs >= timing.watchEveryMs
  return changedMs < timing.holdMs || isWatched ? 'settling' : null
}
