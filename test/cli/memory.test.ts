import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

const stateDir = mkdtempSync(join(tmpdir(), 'gapcam-memory-'))
afterAll(() => rmSync(stateDir, { recursive: true }))
afterEach(endAll)

// A bare Node has 41 MB, the weights of the model 18 MB. Measured: 121 MB at the first start, 113 MB with a kept plan.
test.each([
  ['at its first start', 150],
  ['with a kept plan', 135],
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

// Measured: 136 MB with a kept plan.
test('page and embedded broker add little, and the page of the bundled program gives metrics', async () => {
  const run = gapcam([
    ...['run', 'test://', '--broker', 'embedded', '--set', 'mqtt.port=0', '--set', 'page.port=0'],
    ...['--set', `stateDir=${stateDir}`, '--fps', '20', '--threshold', '0'],
    ...['--model', `${projectRoot}models/efficientnet-lite0.onnx`],
  ])
  const [, page] = await run.until(/^page +(http:\S+)/m)
  await run.until(/"label":[^]*"label":/)
  const [, resident] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))!
  expect(Number(resident) / 1024).toBeLessThan(160)
  const metrics = await fetch(`${page}/metrics`)
  expect([metrics.status, await metrics.text()]).toEqual([200, expect.stringContaining('# EOF')])
  run.kill('SIGTERM')
  await run.ended
})
