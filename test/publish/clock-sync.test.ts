import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { watchClockSync } from '../../src/publish/clock-sync.js'
import { cleanUp, temporaryFolder, until } from './mosquitto.js'

const path = process.env['PATH']
afterEach(async () => {
  process.env['PATH'] = path
  await cleanUp()
})

it('timedated (a stand-in) says that the clock is set', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'timedatectl'), '#!/bin/sh\necho yes\n')
  chmodSync(join(folder, 'timedatectl'), 0o755)
  process.env['PATH'] = `${folder}:${path}`
  const sync = watchClockSync()
  await until(() => sync.isSynced(), 'the answer')
  sync.close()
})

it('without any source the clock is not set, and closing ends an open question', () => {
  process.env['PATH'] = temporaryFolder()
  const sync = watchClockSync()
  sync.close()
  expect(sync.isSynced()).toBe(existsSync('/run/systemd/timesync/synchronized'))
})
