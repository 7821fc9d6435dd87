/** Files as exporters write them (scripts/networks/exporter-fixtures.py): whole on the native engine, with onnxruntime's results. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openModel, type Model } from '../../src/index.js'
import { loadModel } from '../../src/model/load.js'
import type { OpenModelOptions } from '../../src/library/model.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = join(projectRoot, 'test/fixtures/exporters')
const files = readdirSync(folder).filter((name) => name.endsWith('.onnx'))

async function outputsOf(name: string, options: OpenModelOptions): Promise<{ values: Float32Array; model: Model }> {
  const model = await openModel(join(folder, name), options)
  const [input] = model.inputs
  const outputs = await model.run(new Random(4).normals(input!.shape.reduce((a, b) => a * b, 1)))
  await model.close()
  return { values: Object.values(outputs)[0]!.data as Float32Array, model }
}

async function expectParity(name: string, options: OpenModelOptions = {}): Promise<void> {
  const { values: right } = await outputsOf(name, { ...options, engine: 'onnxruntime', threads: 1 })
  // Nothing but 'auto' here: an exporter's file that only runs on the fallback would be a gap to see.
  const { values, model } = await outputsOf(name, options)
  expect(model.describe()).toMatchObject({ engine: 'native', reason: 'covers the whole model' })
  expect(values).toHaveLength(7)
  const range = Math.max(...right) - Math.min(...right)
  expect(range).toBeGreaterThan(0)
  values.forEach((value, i) => expect(Math.abs(value - right[i]!)).toBeLessThanOrEqual(1e-4 * range))
}

it('there is a file of each exporter', () => {
  expect(files).toEqual([
    'tf2onnx.onnx',
    'timm-default.onnx',
    'timm-script.onnx',
    'torch-default.onnx',
    'torch-script.onnx',
  ])
})

describe.each(files)('%s', (name) => {
  it('runs whole on the native engine and gives what onnxruntime gives', () => expectParity(name))
})

it("torch's default exporter keeps its weights in a file of their own, which makes the digest with it", async () => {
  for (const name of ['torch-default.onnx', 'timm-default.onnx']) {
    expect(existsSync(join(folder, `${name}.data`))).toBe(true)
    expect((await loadModel(join(folder, name))).sha256).toMatch(/^[0-9a-f]{64}$/)
  }
})

it("a timm network of torch's script exporter, whose pads follow from the size, takes another input size on both engines", async () => {
  await expectParity('timm-script.onnx', { inputSize: { height: 51, width: 33 } })
})
