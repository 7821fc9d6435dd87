/** Ends the process at a deadline, also where the main thread hangs. */
import { loadAddon } from '../addon.js'
import { errorTable, exitStatus } from '../errors.js'
import { exitNow } from '../run/guard/watchdog.js'

/**
 * Ends the process with the status of a hang after `deadlineMs`, unless `end` is called before. A thread of the addon holds
 * a main thread that hangs; without the addon a timer holds everything else.
 */
export function holdDeadline(deadlineMs: number): { end(): void } {
  const sentence = `gapcam: the deadline of ${deadlineMs / 1000} s has passed; what was not delivered waits in the outbox\n`
  const leftMs = Math.max(1, deadlineMs - performance.now())
  const timer = setTimeout(() => {
    process.stderr.write(`${sentence}${errorTable.STAGE_HUNG.hint}\n`)
    exitNow(exitStatus.hung)
  }, leftMs)
  const loaded = loadAddon()
  const stop =
    'addon' in loaded ? loaded.addon.watchMainThread(Math.ceil(leftMs) + 250, exitStatus.hung, sentence) : null
  return {
    end() {
      clearTimeout(timer)
      stop?.stop()
    },
  }
}
