/**
 * TFLite models against what TFLite itself computes. The expected outputs are LiteRT's, kept in test/fixtures/tflite.json;
 * scripts/networks/tflite_goldens.py makes them anew from the files that this test writes into GAPCAM_WRITE_TFLITE.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import type { TensorData } from '../../../src/tensor.js'
import { projectRoot } from '../../shared.js'
import { mediapipeModels } from './mediapipe-models.js'
import { inputOf, tfliteModels } from './models.js'
import { tfliteModel } from './tflite-builder.js'

const folder = process.env['GAPCAM_WRITE_TFLITE'] ?? mkdtempSync(join(tmpdir(), 'gapcam-tflite-'))
afterAll(() => {
  if (process.env['GAPCAM_WRITE_TFLITE'] === undefined) rmSync(folder, { recursive: true, force: true })
})

const file = join(projectRoot, 'test/fixtures/tflite.json')
const goldens = (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}) as Record<
  string,
  { readonly sha256: string; readonly output: readonly number[] }
>

const models = { ...tfliteModels, ...mediapipeModels }

it.each(Object.keys(models))('%s computes what LiteRT computes', async (name) => {
  const spec = models[name]!
  const bytes = tfliteModel(spec)
  const path = join(folder, `${name}.tflite`)
  writeFileSync(path, bytes)
  writeFileSync(join(folder, `${name}.input`), inputOf(spec))
  const golden = goldens[name]
  expect(golden?.sha256, 'the fixture is of another model').toBe(createHash('sha256').update(bytes).digest('hex'))
  const { type = 'float32' } = spec.tensors[spec.inputs[0]!]!
  const model = await openModel(path, { integers: true })
  try {
    expect(model.inputs[0]!.type).toBe(type)
    const [output] = Object.values(await model.run(inputOf(spec)))
    const values = Array.from(output!.data as Exclude<TensorData, BigInt64Array | BigUint64Array>)
    const isQuantized = output!.type !== 'float32'
    expect(values).toHaveLength(golden!.output.length)
    // Runtimes round 8-bit results differently by at most one step (TFLite's own kernels among themselves, too).
    values.forEach((value, i) =>
      expect(Math.abs(value - golden!.output[i]!), `element ${i}`).toBeLessThanOrEqual(isQuantized ? 1 : 1e-5),
    )
  } finally {
    await model.close()
  }
})
