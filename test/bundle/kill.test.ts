/** Bundles survive programs that are killed and files that are damaged; the whole campaigns are the scripts named here. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

async function campaign<Report>(script: string, ...args: string[]): Promise<Report> {
  const run = launch(process.execPath, [join(projectRoot, 'scripts', script), ...args])
  expect(await run.ended, run.stderr() + run.stdout()).toBe(0)
  return JSON.parse(run.stdout()) as Report
}

it('after each of 10 kills the pointer names whole bundles, and the next program goes on', async () => {
  const { kills, changes, failures } = await campaign<{ kills: number; changes: number; failures: string[] }>(
    'faults/bundles.mjs',
    '--kills',
    '10',
    '--seed',
    '3',
  )
  expect({ kills, failures }).toEqual({ kills: 10, failures: [] })
  expect(changes).toBeGreaterThan(0)
}, 120_000)

it('each of 300 damaged or forged bundles is refused, or is what its manifest says', async () => {
  const { count, refused, findings } = await campaign<{
    count: number
    refused: Record<string, number>
    findings: string[]
  }>('fuzz/bundle.mjs', '--count', '300', '--seed', '7')
  expect({ count, findings }).toEqual({ count: 300, findings: [] })
  expect(Object.values(refused).reduce((sum, n) => sum + n)).toBeGreaterThan(200)
}, 120_000)
