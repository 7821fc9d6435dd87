/** Quantised graphs as graphs of real numbers: what stays of the ranges, what becomes of moved integers and of ports. */
import { describe, expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import { openEngine } from '../../../src/engine/select.js'
import { compilePlan } from '../../../src/model/compile.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareNative } from '../../../src/model/prepare.js'
import { buildModel, floats, int64, type ModelSpec, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { modelFolder } from '../outputs.js'
import { code, dequantize, expectSteps, integers, node, quantize } from './graphs.js'

const write = modelFolder()
const weights: Readonly<Record<string, Weight>> = {
  ...code('x', 0.02, 120),
  ...code('y', 0.03, 100),
  ...code('six', 6 / 255, 0),
  ...code('w', [0.01, 0.02, 0.015, 0.01], 0, 'int8'),
  ...code('b', [0.0002, 0.0004, 0.0003, 0.0002], 0, 'int32'),
  w: integers([4, 4, 3, 3], -127, 127, 1),
  b: integers([4], -9000, 9000, 2),
  square: int64(1, 4, 6, 6),
  flat: int64(1, 144),
  pads: int64(0, 0, 1, 1, 0, 0, 1, 1),
  three: { shape: [], data: Uint8Array.of(3) },
  low: { shape: [], data: Uint8Array.of(60) },
  high: { shape: [], data: Uint8Array.of(200) },
  axes: int64(2),
  from: int64(1),
  to: int64(5),
  scale: floats([], [0.5]),
}
const model = (nodes: readonly NodeSpec[], extra: Partial<ModelSpec> = {}): ModelSpec => ({
  nodes,
  weights,
  inputs: { input: [1, 4, 6, 6] },
  outputs: { y: null },
  codes: { input: 'uint8', y: 'uint8' },
  ...extra,
})
const conv = (x: string, y: string): readonly NodeSpec[] => [
  dequantize('w', 'w.real', 'w', 0),
  dequantize('b', 'b.real', 'b', 0),
  node('Conv', `${x} w.real b.real`, y, { pads: [1, 1, 1, 1] }),
]

it('a Relu6 that lives in a range alone becomes the activation of the convolution', async () => {
  const spec = model(
    [dequantize('input', 'x', 'x'), ...conv('x', 'c'), quantize('c', 'q', 'six'), dequantize('q', 'y', 'six')],
    {
      codes: { input: 'uint8' },
    },
  )
  const compiled = compilePlan(prepareNative(parseModel(buildModel(spec)).graph))
  if (!('plan' in compiled)) throw new Error(compiled.unsupported[0]?.reason)
  expect(compiled.plan.steps[0]).toMatchObject({ kind: 'conv2d', parameters: { activation: 'clip', a: 0 } })
  expect(compiled.plan.steps[0]!.parameters).toHaveProperty('b', Math.fround(6))
})

describe('integers that are moved keep their code', () => {
  it.each<[string, readonly NodeSpec[]]>([
    ['Transpose', [node('Transpose', 'input', 'y', { perm: [0, 2, 3, 1] })]],
    ['Reshape', [node('Reshape', 'input flat', 'y')]],
    ['Pad', [node('Pad', 'input pads three', 'y')]],
    ['Pad with the integer 0', [node('Pad', 'input pads', 'y')]],
    ['MaxPool', [node('MaxPool', 'input', 'y', { kernel_shape: [2, 2] })]],
    ['Concat', [node('Concat', 'input input', 'y', { axis: 1 })]],
    ['Slice', [node('Slice', 'input from to axes', 'y')]],
    ['Clip', [node('Clip', 'input low high', 'y')]],
  ])('%s', async (name, [moved]) => {
    const spec = model([
      { ...moved!, outputs: ['moved'] },
      dequantize('moved', 'real', 'x'),
      node('Relu', 'real', 'positive'),
      quantize('positive', 'y', 'six'),
    ])
    await expectSteps(write(name, spec), spec, 1)
  })
})

it('a DequantizeLinear with another code scales the integers', async () => {
  const spec = model([
    dequantize('input', 'x', 'x'),
    quantize('x', 'q', 'x'),
    dequantize('q', 'other', 'y'),
    quantize('other', 'y', 'y'),
  ])
  await expectSteps(write('other code', spec), spec, 1)
})

it('a Cast of an integer input gives its numbers', async () => {
  const spec = model(
    [node('Cast', 'input', 'floats', { to: 1 }), node('Mul', 'floats scale', 'half'), quantize('half', 'y', 'half')],
    { weights: { ...weights, ...code('half', 1, 10) } },
  )
  await expectSteps(write('cast', spec), spec, 1)
})

it('integers in and out are integers of the file for the library, and a model of floats takes floats', async () => {
  const spec = model([dequantize('input', 'x', 'x'), ...conv('x', 'c'), quantize('c', 'y', 'y')])
  const opened = await openModel(write('ports', spec), { engine: 'native' })
  expect([...opened.inputs, ...opened.outputs]).toMatchObject([
    { name: 'input', type: 'uint8', shape: [1, 4, 6, 6] },
    { name: 'y', type: 'uint8', shape: [1, 4, 6, 6] },
  ])
  await opened.close()
  await expectSteps(write('ports', spec), spec, 1)
})

it('a feature map behind a DequantizeLinear can be an output under its own name', async () => {
  const spec = model([
    dequantize('input', 'x', 'x'),
    ...conv('x', 'c'),
    quantize('c', 'q', 'y'),
    dequantize('q', 'map', 'y'),
    node('GlobalAveragePool', 'map', 'mean'),
    quantize('mean', 'y', 'y'),
  ])
  const engine = await openEngine(write('map', spec), 'native', { extraOutputs: ['map'] })
  expect(engine.outputs.map(({ name }) => name)).toEqual(['y', 'map'])
  await engine.close()
})

it('an operator that computes with integers is the reason against the native engine', async () => {
  const spec = model([node('Abs', 'input', 'a'), dequantize('a', 'r', 'x'), quantize('r', 'y', 'y')])
  await expect(openModel(write('abs', spec), { engine: 'native' })).rejects.toThrow(
    /native engine: .*(Abs|type is uint8)/,
  )
})
