/** A model whose end is not covered runs in two parts, and gives what onnxruntime gives for all of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { Engine } from '../../src/engine/engine.js'
import { openEngine } from '../../src/engine/select.js'
import { modelOf } from '../../src/library/model.js'
import { floats, int64, writeModel, type ModelSpec } from '../onnx-builder.js'
import { Random } from '../random.js'

/** A convolution, scores of its places, and the two best: their number is known, their places only a run tells. */
function network(): ModelSpec {
  const random = new Random(3)
  const filters = Float32Array.from({ length: 8 * 3 * 9 }, () => random.next() - 0.5)
  return {
    nodes: [
      { op: 'Conv', inputs: ['picture', 'filters'], outputs: ['map'], attributes: { pads: [1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['map'], outputs: ['sharp'] },
      { op: 'Reshape', inputs: ['sharp', 'row'], outputs: ['scores'] },
      { op: 'TopK', inputs: ['scores', 'two'], outputs: ['best', 'place'] },
      { op: 'Greater', inputs: ['sharp', 'level'], outputs: ['is high'] },
      { op: 'NonZero', inputs: ['is high'], outputs: ['high'] },
    ],
    weights: { filters: floats([8, 3, 3, 3], filters), row: int64(1, -1), two: int64(2), level: floats([], [0.9]) },
    inputs: { picture: [1, 3, 8, 8] },
    outputs: { best: [1, 2], place: [1, 2], high: [4, 'found'], sharp: [1, 8, 8, 8] },
    integers: ['place', 'high'],
  }
}

async function open(
  path: string,
  choice: 'auto' | 'onnxruntime',
  extraOutputs: readonly string[] = [],
): Promise<Engine> {
  const engine = await openEngine(path, choice, { hasOpenOutputs: true, threads: 1, extraOutputs })
  onTestFinished(() => engine.close())
  return engine
}

/** The numbers of an output after a run, in the order of the file. */
async function outputsOf(engine: Engine, picture: Float32Array): Promise<Record<string, number[]>> {
  const outputs = await modelOf(engine).run(picture)
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as ArrayLike<number | bigint>, Number)]),
  )
}

it('computes the covered part natively and the rest on onnxruntime', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-split-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = writeModel(join(folder, 'model.onnx'), network())
  const [split, whole] = [await open(path, 'auto'), await open(path, 'onnxruntime')]
  const { engine, parts, reason } = split.describe()
  expect(engine).toBe('native')
  expect(parts).toEqual([
    { engine: 'native', what: expect.stringContaining('multiply-adds') },
    { engine: 'onnxruntime', what: 'the 3 nodes at the end: TopK, Greater, NonZero' },
  ])
  expect(reason).toContain('TopK not covered')
  const random = new Random(4)
  const lengths = new Set<number>()
  for (let i = 0; i < 6; i++) {
    const picture = Float32Array.from({ length: 192 }, () => (random.next() * (i + 1)) / 6)
    const [own, theirs] = [await outputsOf(split, picture), await outputsOf(whole, picture)]
    expect(Object.keys(own)).toEqual(Object.keys(theirs))
    for (const [name, values] of Object.entries(theirs)) {
      expect(own[name]).toHaveLength(values.length)
      values.forEach((value, k) => expect(own[name]![k]).toBeCloseTo(value, 4))
    }
    lengths.add(own['high']!.length)
  }
  expect(lengths.size).toBeGreaterThan(3)
})

it('gives inner values of both parts by name, such as the proposals of a detector', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-split-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { nodes, outputs, ...rest } = network()
  // What was an output is read by another node: an inner value whose size only a run tells.
  const counted = { op: 'Shape', inputs: ['high'], outputs: ['size'] }
  const { high: _, ...others } = outputs
  const spec = { ...rest, nodes: [...nodes, counted], outputs: { ...others, size: [2] }, integers: ['place', 'size'] }
  const path = writeModel(join(folder, 'model.onnx'), spec)
  const inner = ['high', 'scores', 'map']
  const [split, whole] = [await open(path, 'auto', inner), await open(path, 'onnxruntime', inner)]
  expect(split.describe().parts).toHaveLength(2)
  const random = new Random(9)
  for (let i = 0; i < 3; i++) {
    const picture = Float32Array.from({ length: 192 }, () => random.next())
    const [own, theirs] = [await outputsOf(split, picture), await outputsOf(whole, picture)]
    expect(Object.keys(theirs)).toEqual(expect.arrayContaining(inner))
    for (const name of [...inner, 'size']) {
      expect(own[name]).toHaveLength(theirs[name]!.length)
      theirs[name]!.forEach((value, k) => expect(own[name]![k]).toBeCloseTo(value, 4))
    }
  }
})

it('leaves a model to onnxruntime whose greater part is not covered', async () => {
  const { nodes, ...rest } = network()
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-split-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const first = { op: 'Det', inputs: ['picture'], outputs: ['determinants'] }
  const spread = { op: 'Mul', inputs: ['picture', 'sum'], outputs: ['scaled'] }
  const sum = { op: 'ReduceMean', inputs: ['determinants'], outputs: ['sum'] }
  const [conv, ...others] = nodes
  const changed = [first, sum, spread, { ...conv!, inputs: ['scaled', 'filters'] }, ...others]
  const engine = await open(writeModel(join(folder, 'model.onnx'), { ...rest, nodes: changed }), 'auto')
  expect(engine.describe()).toMatchObject({ engine: 'onnxruntime' })
  expect(engine.describe().parts).toBeUndefined()
})
