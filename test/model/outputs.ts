/** Runs small models on an engine and compares results: the set-up that tests of the compiler share. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { openModel } from '../../src/index.js'
import { elementCount } from '../../src/tensor.js'
import { writeModel, type ModelSpec } from '../onnx-builder.js'
import { Random } from '../random.js'

/** Writes models into a temporary folder, which is removed after the tests of the file. */
export function modelFolder(): (name: string, spec: ModelSpec) => string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-model-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (name, spec) => writeModel(join(folder, `${name.replace(/\W+/g, '-')}.onnx`), spec)
}

/** All float32 outputs of a model for one random input (seeded). */
export async function outputsOf(
  path: string,
  engine: 'native' | 'onnxruntime',
  seed = 9,
): Promise<readonly Float32Array[]> {
  const model = await openModel(path, { engine, threads: 1 })
  try {
    const outputs = await model.run(new Random(seed).normals(elementCount(model.inputs[0]!.shape)))
    return Object.values(outputs).map(({ data }) => data as Float32Array)
  } finally {
    await model.close()
  }
}

/** The native engine's first output is within `tolerance` of that of onnxruntime, relative to the range of the values. */
export async function expectParity(path: string, tolerance = 1e-4): Promise<void> {
  const [[found], [right]] = [await outputsOf(path, 'native'), await outputsOf(path, 'onnxruntime')]
  const values = Array.from(right!)
  const range = Math.max(...values) - Math.min(...values)
  expect(range).toBeGreaterThan(0)
  expect(found).toHaveLength(values.length)
  const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - found![i]!)), 0)
  expect(worst).toBeLessThanOrEqual(tolerance * range)
}
