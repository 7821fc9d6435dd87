/** The motion gate over a made day, in its bounded form: the whole one is `scripts/bench/motion.mjs`. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { projectRoot, sharedFolder } from '../../shared.js'

interface Figures {
  readonly saved: number
  readonly zones: readonly {
    readonly zone: string
    readonly changes: number
    readonly missed: number
    readonly wrong: number
    readonly latestMs: number
  }[]
}

const shared = sharedFolder()

it.skipIf(shared === null)(
  'of a day with rain, leaves, insects and infrared, three quarters of the inferences are saved and no label is late',
  { timeout: 170_000 },
  () => {
    // 24 hours in 7 minutes: what is fast is as fast as it is, so motion is much more frequent than on a real day.
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [join(projectRoot, 'scripts/bench/motion.mjs'), '--compress', '200', '--shared', shared!, '--json'],
      { encoding: 'utf8' },
    )
    expect(status, stderr).toBe(0)
    const { saved, zones } = JSON.parse(stdout) as Figures
    expect(saved).toBeGreaterThan(0.75)
    for (const { zone, changes, missed, wrong, latestMs } of zones) {
      expect(changes, zone).toBeGreaterThan(8)
      expect([missed, wrong], zone).toEqual([0, 0])
      expect(latestMs, zone).toBeLessThanOrEqual(1000)
    }
  },
)
