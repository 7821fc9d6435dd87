/** `gapcam model wait`: how a bundle does on probation, for updaters: they confirm it or take it back by the exit status. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entry } from '../bundle/phases.js'
import { systemClock, type Clock } from '../clock.js'
import { GapcamError } from '../errors.js'

export interface WaitOptions {
  readonly name: string
  /** What is waited for. */
  readonly digest: string
  /** How long it is to serve. */
  readonly seconds: number
  /** How long a node has to start with it. */
  readonly startSeconds: number
  /** What is kept of the name now. */
  readonly entry: () => Entry | undefined
  readonly clock?: Clock | undefined
  readonly pause?: ((ms: number) => Promise<void>) | undefined
}

const lookEveryMs = 500

/**
 * Resolves when the bundle has served for so long without a fault, or was confirmed meanwhile. Rejects with BUNDLE_STATE as soon as
 * another one serves, where no node starts with it, and at the end where one had to start again.
 */
export async function waitOnProbation(options: WaitOptions): Promise<void> {
  const { name, digest, seconds, startSeconds, entry, clock = systemClock, pause = sleep } = options
  const short = `${name} ${digest.slice(0, 12)}`
  let [endMs, hasStarted] = [clock.now() + startSeconds * 1000, false]
  for (;;) {
    const now = entry()
    if (now?.serving?.digest !== digest)
      throw new GapcamError('BUNDLE_STATE', `${short} does not serve any more${now?.fault ? `: ${now.fault}` : ''}`)
    if (now.phase === 'settled') return
    // Zero again after a run of some minutes that goes on, or that ended well.
    if (!hasStarted && now.starts > 0) [endMs, hasStarted] = [clock.now() + seconds * 1000, true]
    if (clock.now() >= endMs) {
      if (!hasStarted)
        throw new GapcamError('BUNDLE_STATE', `no node has started with ${short} in ${startSeconds} s`, {
          hint: 'Start gapcam run on this device, with the same state directory.',
        })
      if (now.starts > 1) throw new GapcamError('BUNDLE_STATE', `${short} had to start ${now.starts} times`)
      return
    }
    await pause(Math.min(lookEveryMs, endMs - clock.now()))
  }
}
