/** The fleet simulator in its bounded size: the script that also runs ten thousand nodes. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { endAll, jsonLines, launch } from '../process.js'
import { hasMosquitto } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

describe.skipIf(!hasMosquitto)('two hundred virtual nodes (skipped where mosquitto is not installed)', () => {
  it.each(['restart', 'backlog', 'rollout'])(
    'hold the scenario %s',
    async (scenario) => {
      const script = join(projectRoot, 'scripts/fleet/simulate.mjs')
      const run = launch(process.execPath, [script, '--nodes', '200', '--scenario', scenario])
      const status = await run.ended
      expect(
        jsonLines(run.stdout()).map(({ scenario: name, held }) => [name, held]),
        run.stderr(),
      ).toEqual([
        ['power-on', true],
        [scenario, true],
      ])
      expect(status).toBe(0)
    },
    240_000,
  )
})
