import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

const stateDir = mkdtempSync(join(tmpdir(), 'gapcam-memory-'))
afterAll(() => rmSync(stateDir, { recursive: true }))
afterEach(endAll)

// A bare Node has 41 MB, the weights of the model 18 MB. Measured: 135 MB at the first start, 120 MB with a kept plan.
test.each([
  ['at its first start', 165],
  ['with a kept plan', 145],
])('a node without page and broker stays within a small board’s memory %s', async (_, mostMb) => {
  const run = gapcam([
    ...['run', 'test://', '--broker', 'none', '--set', 'page.enabled=false', '--set', `stateDir=${stateDir}`],
    ...['--fps', '20', '--json', '--threshold', '0', '--model', `${projectRoot}models/efficientnet-lite0.onnx`],
  ])
  // The first photograph has left and the second is settled: 50 frames.
  await run.until(/"label":[^]*"label":/)
  const [, resident] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))!
  run.kill('SIGTERM')
  await run.ended
  expect(Number(resident) / 1024).toBeLessThan(mostMb)
})
