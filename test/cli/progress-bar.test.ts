/** Progress on a terminal: a real pseudo-terminal, made by util-linux's script(1). */
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { cleanEnvironment, cli, endAll, launch, type Running } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

const model = join(projectRoot, 'models/convnet-gap.onnx')

/** `gapcam bench` for some seconds with all its streams on a terminal. */
function benchOnTerminal(seconds: number): Running {
  const command = `exec '${process.execPath}' '${cli}' bench --engine native --input-size 32 --seconds ${seconds} '${model}'`
  return launch('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...cleanEnvironment(), TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

it('a command that takes more than two seconds shows a bar, then its table', async () => {
  const run = benchOnTerminal(3)
  expect(await run.ended, run.stdout()).toBe(0)
  expect(run.stdout()).not.toContain('INF')
  expect(run.stdout()).toMatch(/bench .* [6-9]\d% \| \d s left/)
  expect(run.stdout()).toMatch(/model +engine +target[\s\S]*convnet-gap\.onnx +native/)
})

it('a faster command shows no bar', async () => {
  const run = benchOnTerminal(0.3)
  expect(await run.ended, run.stdout()).toBe(0)
  expect(run.stdout()).not.toContain('s left')
})

it('Ctrl-C ends a command while the bar is shown', async () => {
  const run = benchOnTerminal(60)
  await run.until(/s left/)
  run.type('\x03')
  expect(await run.ended).toBe(130)
})
