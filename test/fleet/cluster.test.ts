/** A cluster of three NATS servers of which one is killed, through the script that docs/fleet.md names. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

function onPath(name: string): string | null {
  const isProgram = (file: string): boolean => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  const files = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name))
  return files.find(isProgram) ?? null
}
const natsServer = onPath('nats-server')

it.skipIf(!natsServer)(
  'keeps sessions and events when members die (skipped where nats-server is not on the PATH)',
  async () => {
    const run = launch(process.execPath, [
      join(projectRoot, 'scripts/faults/cluster.mjs'),
      ...['nats', natsServer!, '--kills', '1', '--json'],
    ])
    expect(await run.ended).toBe(0)
    const rows = run
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { row: string })
    expect(rows).toMatchObject([
      { row: 'retained', elsewhere: ['open', 'open'] },
      { row: 'sessions', alive: { of20: 20 }, dead: { of20: 20 } },
      { row: 'shared' },
      { row: 'events', isDone: true, lost: 0, gaps: 0, unknown: 0 },
    ])
  },
  180_000,
)
