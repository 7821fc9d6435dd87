/** Mutated model files, a short run of scripts/fuzz/model.mjs. docs/robustness.md lists what longer runs found. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zipSync } from 'fflate'
import { afterAll, afterEach, expect, it } from 'vitest'
import { GapcamError } from '../../src/errors.js'
import { loadModel } from '../../src/model/load.js'
import { writeModel } from '../onnx-builder.js'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'
import { randomModel } from './tflite/random-models.js'
import { tfliteModel } from './tflite/tflite-builder.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-fuzz-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the fuzzer for some seconds on its own files or on others; returns how many mutations had which outcome. */
async function fuzz(seconds: number, files: readonly string[] = []): Promise<Readonly<Record<string, number>>> {
  const run = launch(
    process.execPath,
    [join(projectRoot, 'scripts/fuzz/model.mjs'), '--seconds', String(seconds), '--seed', '1', ...files],
    { cwd: folder, env: cleanEnvironment() },
  )
  expect(await run.ended, run.stderr()).toBe(0)
  const counts = JSON.parse(run.stdout()) as Record<string, number>
  expect(counts['findings']).toBe(0)
  return counts
}

it('mutated ONNX models open or are refused with a sentence, and the native engine accepts every compiled plan', async () => {
  const counts = await fuzz(10)
  // Some mutations must pass the parser, so that the compiler is tested too.
  for (const outcome of ['refused', 'not covered', 'compiled']) expect(counts[outcome], outcome).toBeGreaterThan(10)
}, 60_000)

it('so do mutated TFLite models and zip archives with models', async () => {
  const target = process.env['GAPCAM_WRITE_TFLITE'] ?? folder
  const labels = new TextEncoder().encode('cat\ndog\n')
  const files = Array.from({ length: 12 }, (_, seed) => {
    const model = tfliteModel(randomModel(seed).model)
    const [file, bytes] =
      seed % 3 === 0
        ? [`${seed}.zip`, zipSync({ 'model.tflite': model, 'labels.txt': labels }, { level: seed % 2 === 0 ? 6 : 0 })]
        : [`${seed}.tflite`, model]
    writeFileSync(join(target, file), bytes)
    return join(target, file)
  })
  const counts = await fuzz(8, files)
  for (const outcome of ['refused', 'compiled']) expect(counts[outcome], outcome).toBeGreaterThan(10)
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
