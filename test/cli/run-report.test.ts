/** The time of day in the lines of `gapcam run`: local, with the offset of this machine's zone. */
import { expect, it } from 'vitest'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

it.each([
  ['Europe/Berlin', '2026-07-01T12:05:09Z', '14:05:09+02:00'],
  ['Asia/Kolkata', '2026-07-01T12:05:09Z', '17:35:09+05:30'],
  ['America/Sao_Paulo', '2026-07-01T01:05:09Z', '22:05:09-03:00'],
  ['America/St_Johns', '2026-01-01T12:05:09Z', '08:35:09-03:30'],
  ['UTC', '2026-07-01T12:05:09Z', '12:05:09+00:00'],
])('in %s %s is %s', async (zone, time, wanted) => {
  const run = launch(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { localTime } from '${projectRoot}dist/cli/run-report.js'\nconsole.log(localTime(new Date('${time}')))`,
    ],
    { env: { ...process.env, TZ: zone } },
  )
  expect(await run.ended, run.stderr()).toBe(0)
  expect(run.stdout().trim()).toBe(wanted)
})
