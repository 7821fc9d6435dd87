/** Measurements of the process itself. */
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { residentBytes } from '../src/metrics.js'
import { endAll, launch } from './process.js'
import { projectRoot } from './shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-metrics-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('resident memory is known even if no file descriptor is left', async () => {
  expect(residentBytes()).toBeGreaterThan(20e6)
  const script = join(folder, 'exhausted.mjs')
  writeFileSync(
    script,
    `
    import { openSync, writeSync } from 'node:fs'
    const { residentBytes } = await import('${projectRoot}dist/metrics.js')
    try { for (;;) openSync('/dev/null') } catch (error) { writeSync(1, error.code) }
    writeSync(1, ' ' + residentBytes())
  `,
  )
  const run = launch('/bin/bash', ['-c', 'ulimit -n 64; exec "$0" "$1"', process.execPath, script])
  expect(await run.ended, run.stderr()).toBe(0)
  const [code, bytes] = run.stdout().split(' ')
  expect(code).toBe('EMFILE')
  expect(Number(bytes)).toBeGreaterThan(20e6)
})
