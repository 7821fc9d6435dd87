/** Bundles survive programs that are killed in the middle of a change; the whole campaign is scripts/faults/bundles.mjs. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

it('after each of 10 kills the pointer names whole bundles, and the next program goes on', async () => {
  const run = launch(process.execPath, [
    join(projectRoot, 'scripts/faults/bundles.mjs'),
    '--kills',
    '10',
    '--seed',
    '3',
  ])
  expect(await run.ended, run.stderr()).toBe(0)
  const { kills, changes, failures } = JSON.parse(run.stdout()) as {
    kills: number
    changes: number
    failures: string[]
  }
  expect({ kills, failures }).toEqual({ kills: 10, failures: [] })
  expect(changes).toBeGreaterThan(0)
}, 120_000)
