/** Collectors that are killed, by the script that also runs the full size. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { endAll, launch } from '../process.js'
import { hasMosquitto } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { hasPostgres } from './databases.js'

afterEach(endAll)

async function kills(database: string, count: number): Promise<void> {
  const script = join(projectRoot, 'scripts/faults/collect.mjs')
  const run = launch(process.execPath, [script, '--kills', String(count), '--database', database])
  const status = await run.ended
  expect(JSON.parse(run.stdout() || '{}'), run.stderr()).toMatchObject({ lost: 0, doubled: 0, isHeld: true })
  expect(status).toBe(0)
}

describe.skipIf(!hasMosquitto)('killed at any moment (skipped where mosquitto is not installed)', () => {
  it('two collectors side by side lose and double nothing in SQLite', () => kills('sqlite', 8), 240_000)

  it.skipIf(!hasPostgres)(
    'nor in PostgreSQL, which crashes too (skipped where it is not installed)',
    () => kills('postgres', 20),
    240_000,
  )
})
