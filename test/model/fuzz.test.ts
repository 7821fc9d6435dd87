/** Mutated model files, a short run of scripts/fuzz/model.mjs. docs/robustness.md lists what longer runs found. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { GapcamError } from '../../src/errors.js'
import { loadModel } from '../../src/model/load.js'
import { writeModel } from '../onnx-builder.js'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-fuzz-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('mutated models open or are refused with a sentence, and the native engine accepts every compiled plan', async () => {
  const run = launch(
    process.execPath,
    [join(projectRoot, 'scripts/fuzz/model.mjs'), '--seconds', '10', '--seed', '1'],
    { cwd: folder, env: cleanEnvironment() },
  )
  expect(await run.ended, run.stderr()).toBe(0)
  const counts = JSON.parse(run.stdout()) as Record<string, number>
  expect(counts['findings']).toBe(0)
  // Some mutations must pass the parser, so that the compiler is tested too.
  for (const outcome of ['refused', 'not covered', 'compiled']) expect(counts[outcome], outcome).toBeGreaterThan(10)
}, 60_000)

it('control characters in names from a file are escaped in messages', async () => {
  const file = writeModel(join(folder, 'names.onnx'), {
    nodes: [{ op: 'Relu', inputs: ['nothing\n\u001b[2J'], outputs: ['output'] }],
    inputs: { input: [1, 2] },
    outputs: { output: [1, 2] },
  })
  const error = await loadModel(file).then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(GapcamError)
  expect((error as GapcamError).message).toContain('nothing\\u000a\\u001b[2J')
})
