/** Times for people, in the zone of the machine. */
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { projectRoot } from './shared.js'

it.each([
  ['Europe/Berlin', '2026-07-01 14:05:12+02:00'],
  ['Asia/Kolkata', '2026-07-01 17:35:12+05:30'],
  ['America/St_Johns', '2026-07-01 09:35:12-02:30'],
  ['UTC', '2026-07-01 12:05:12+00:00'],
])('in %s a time has the local date, the local time and the offset', (zone, expected) => {
  const program = `import { localDateTime } from '${projectRoot}dist/clock.js'
    console.log(localDateTime(new Date('2026-07-01T12:05:12Z')))`
  const args = ['--input-type=module', '-e', program]
  const written = execFileSync(process.execPath, args, { env: { ...process.env, TZ: zone }, encoding: 'utf8' })
  expect(written.trim()).toBe(expected)
})
