import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { cli, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

// A bare Node has 41 MB, the weights of the model 18 MB. The bound leaves 30 % above what was measured.
const mostMb = 165

test('a node without a page stays within a small board’s memory', async () => {
  const run = launch(process.execPath, [
    cli,
    ...['run', 'test://', '--broker', 'none', '--node', 'memory', '--set', 'page.enabled=false', '--fps', '20'],
    ...['--json', '--threshold', '0', '--model', `${projectRoot}models/efficientnet-lite0.onnx`],
  ])
  // The first photograph has left and the second is settled: 50 frames.
  await run.until(/"label":[^]*"label":/)
  const [, resident] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))!
  run.kill('SIGTERM')
  await run.ended
  expect(Number(resident) / 1024).toBeLessThan(mostMb)
})
