/** Tells when the engine cannot keep up with the zones: how often each gets its turn, and how many turns were skipped. */
import type { Logger } from '../../log.js'
import type { AnyZone } from '../../zone/missing.js'

const everyMs = 60_000

/** Call the result about once a second. It warns at most once a minute. */
export function watchOverload(
  zones: readonly Pick<AnyZone, 'frames' | 'skipped'>[],
  log: Pick<Logger, 'warn'>,
): (nowMs: number) => void {
  let last = { ms: -Infinity, skipped: 0, frames: 0 }
  return (nowMs) => {
    if (nowMs - last.ms < everyMs) return
    const sum = (of: 'frames' | 'skipped'): number => zones.reduce((total, zone) => total + zone[of], 0)
    const now = { ms: nowMs, skipped: sum('skipped'), frames: sum('frames') }
    const skipped = now.skipped - last.skipped
    const seconds = (now.ms - last.ms) / 1000
    if (skipped > 0 && Number.isFinite(seconds)) {
      const made = (now.frames - last.frames) / seconds
      log.warn(
        { skipped },
        `the engine cannot keep up with ${zones.length} zones: ${skipped} looks were skipped in a minute. It makes ${made.toFixed(1)} looks a second, ${(made / zones.length).toFixed(2)} for each zone; a trigger other than always, or a smaller model, needs fewer`,
      )
    }
    last = now
  }
}
