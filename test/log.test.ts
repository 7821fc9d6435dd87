/** The log in the format of the journal, if stderr is connected to it. */
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { forJournal } from '../src/log.js'
import { endAll, gapcam } from './process.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-log-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a failing run writes to stderr while JOURNAL_STREAM is `stream`; '' for the device and inode of stderr itself. */
async function stderrOf(name: string, stream: string): Promise<string> {
  const file = join(folder, name)
  const descriptor = openSync(file, 'w')
  const { dev, ino } = fstatSync(descriptor)
  const run = gapcam(['run', 'v4l2:///dev/video99', '--broker', 'none', '--json', '--set', 'page.enabled=false'], {
    stdio: ['ignore', 'pipe', descriptor],
    env: { JOURNAL_STREAM: stream || `${dev}:${ino}` },
  })
  expect(await run.ended).toBe(3)
  closeSync(descriptor)
  return readFileSync(file, 'utf8')
}

it('lines for the journal have a priority and no time; other lines are JSON', async () => {
  const journal = await stderrOf('journal', '')
  expect(journal).toMatch(/^<3>camera .*\/dev\/video99.* camera=cam0 code=CAMERA_NOT_FOUND$/m)
  expect(journal).toMatch(/^<3>gapcam: camera .*\/dev\/video99/m)
  expect(journal).not.toContain('"level"')
  // A program that a service starts with another stderr inherits the variable.
  expect(await stderrOf('other', '1:2')).toMatch(/^\{"level":"error".*video99/m)
})

it('every line of a text gets its priority', () => {
  expect(forJournal('warn', 'one\ntwo\n\nthree\n')).toBe('<4>one\n<4>two\n\n<4>three\n')
})
