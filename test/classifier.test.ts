/** Classifiers whose models have more outputs than the scores (labels, counts, feature maps), or work at one size only. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openClassifier } from '../src/classifier.js'
import { nchwToNhwc } from '../src/engine/layout.js'
import { floats, int64, writeModel, type ModelSpec, type NodeSpec } from './onnx-builder.js'
import { Random } from './random.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-classifier-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: outputs.split(' '), attributes })
const model = (outputs: ModelSpec['outputs']): ModelSpec => ({
  nodes: [
    node('Conv', 'input kernel', 'map', { pads: [1, 1, 1, 1] }),
    node('GlobalAveragePool', 'map', 'pooled'),
    node('Flatten', 'pooled', 'flat'),
    node('Gemm', 'flat matrix', 'logits'),
    node('Softmax', 'logits', 'scores', { axis: 1 }),
    node('ArgMax', 'scores', 'label', { axis: 1, keepdims: 0 }),
    node('TopK', 'scores two', 'best places'),
    node('ReduceMax', 'scores', 'largest', { axes: [1], keepdims: 1 }),
  ],
  weights: {
    kernel: floats([4, 3, 3, 3], new Random(1).normals(108, 0.3)),
    matrix: floats([4, 6], new Random(2).normals(24, 1)),
    two: int64(2),
  },
  inputs: { input: [1, 3, 9, 8] },
  outputs,
  integers: ['label', 'places'],
})

it.each<[string, ModelSpec['outputs'], string]>([
  ['the label behind them', { scores: [1, 6], label: ['batch'] }, 'scores'],
  ['one number before them', { largest: [1, 1], scores: [1, 6] }, 'scores'],
  ['a map before them', { map: [1, 4, 9, 8], logits: [1, 6] }, 'logits'],
  ['the places of the best behind them', { scores: [1, 6], places: [1, 2], best: [1, 2] }, 'scores'],
])('scores with %s are computed natively and alone', async (name, outputs, wanted) => {
  const path = writeModel(join(folder, `${name.replace(/\W/g, '')}.onnx`), model(outputs))
  const results: Float32Array[] = []
  for (const engine of ['auto', 'onnxruntime'] as const) {
    const classifier = await openClassifier({ model: path, engine, heat: true, threads: 1 })
    const picture = new Random(3).normals(216)
    const input = classifier.input.data as Float32Array
    if (classifier.input.inFileOrder) input.set(picture)
    else nchwToNhwc(picture, [1, 3, 9, 8], input)
    await classifier.engine.run()
    expect(classifier.output.name).toBe(wanted)
    expect(classifier.labels).toHaveLength(6)
    expect('heat' in classifier.heat).toBe(true)
    if (engine === 'auto') expect(classifier.engine.describe()).toMatchObject({ engine: 'native' })
    results.push(Float32Array.from(classifier.output.data as Float32Array))
    await classifier.close()
  }
  results[0]!.forEach((score, i) => expect(score).toBeCloseTo(results[1]![i]!, 5))
})

it('a model that works at another size than the one it was opened with says what each engine says, and the size', async () => {
  const path = writeModel(join(folder, 'fixed.onnx'), {
    nodes: [node('Reshape', 'input sizes', 'row'), node('MatMul', 'row matrix', 'y')],
    weights: { sizes: int64(1, 192), matrix: floats([192, 2], new Random(1).normals(384)) },
    inputs: { input: [1, 3, 'height', 'width'] },
    outputs: { y: null },
  })
  await expect(openClassifier({ model: path })).rejects.toThrow(
    /^onnxruntime: .*; native engine not used with input size 224x224: Reshape not covered; Reshape_0: \[1, 3, 224, 224\] cannot be reshaped/,
  )
})
