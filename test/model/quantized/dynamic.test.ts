/** Networks that quantise their activations with a scale of each run compute with real activations. */
import { expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import { floats, type ModelSpec, type NodeSpec } from '../../onnx-builder.js'
import { Random } from '../../random.js'
import { modelFolder, outputsOf } from '../outputs.js'
import { code, integers, node } from './graphs.js'

const write = modelFolder()
const kernel = integers([5, 4, 3, 3], 0, 255, 1)
const matrix = integers([6, 7], -128, 127, 2)
const real = (shape: readonly number[], stored: { data: ArrayLike<number | bigint> }, scale: number, zero: number) =>
  floats(
    shape,
    Array.from(stored.data, (value) => (Number(value) - zero) * scale),
  )
const weights = {
  ...code('k', 0.02, 119),
  ...code('m', 0.01, 0, 'int8'),
  kernel,
  matrix,
  bias: floats([5, 1, 1], new Random(3).normals(5)),
  column: floats([7], new Random(4).normals(7)),
  'kernel.real': real([5, 4, 3, 3], kernel, 0.02, 119),
  'matrix.real': real([6, 7], matrix, 0.01, 0),
}
const model = (nodes: readonly NodeSpec[]): ModelSpec => ({
  nodes,
  weights,
  inputs: { input: [1, 4, 6, 6] },
  outputs: { y: null },
  imports: { 'com.microsoft': 1 },
})
const quantizer = node('DynamicQuantizeLinear', 'input', 'q q.s q.z')

it.each<[string, readonly NodeSpec[], readonly NodeSpec[]]>([
  [
    'ConvInteger',
    [
      quantizer,
      node('ConvInteger', 'q kernel q.z k.z', 'sum', { pads: [1, 1, 1, 1] }),
      node('Cast', 'sum', 'floats', { to: 1 }),
      node('Mul', 'q.s k.s', 'scale'),
      node('Mul', 'floats scale', 'product'),
      node('Add', 'product bias', 'y'),
    ],
    [node('Conv', 'input kernel.real', 'product', { pads: [1, 1, 1, 1] }), node('Add', 'product bias', 'y')],
  ],
  [
    'MatMulInteger',
    [
      quantizer,
      node('MatMulInteger', 'q matrix q.z m.z', 'sum'),
      node('Cast', 'sum', 'floats', { to: 1 }),
      node('Mul', 'q.s m.s', 'scale'),
      node('Mul', 'floats scale', 'y'),
    ],
    [node('MatMul', 'input matrix.real', 'y')],
  ],
  [
    'MatMulIntegerToFloat',
    [quantizer, node('MatMulIntegerToFloat', 'q matrix q.s m.s q.z m.z column', 'y', {}, 'com.microsoft')],
    [node('MatMul', 'input matrix.real', 'product'), node('Add', 'product column', 'y')],
  ],
  [
    'DynamicQuantizeMatMul',
    [node('DynamicQuantizeMatMul', 'input matrix m.s m.z column', 'y', {}, 'com.microsoft')],
    [node('MatMul', 'input matrix.real', 'product'), node('Add', 'product column', 'y')],
  ],
])('%s computes what the dequantised weights compute', async (name, dynamic, plain) => {
  const [found] = await outputsOf(write(`${name} dynamic`, model(dynamic)), 'native')
  const [right] = await outputsOf(write(`${name} plain`, model(plain)), 'onnxruntime')
  const [rounded] = await outputsOf(write(`${name} dynamic`, model(dynamic)), 'onnxruntime')
  const range = Math.max(...right!) - Math.min(...right!)
  const worst = (other: Float32Array): number =>
    Math.max(...Array.from(right!, (value, i) => Math.abs(value - other[i]!))) / range
  expect(found).toHaveLength(right!.length)
  expect(worst(found!)).toBeLessThan(1e-5)
  expect(worst(rounded!)).toBeLessThan(0.05)
  expect(worst(rounded!)).toBeGreaterThan(worst(found!))
})

it('a scale that leaves the network is not replaced: onnxruntime serves the model', async () => {
  const spec = { ...model([quantizer, node('Identity', 'q.s', 'y')]) }
  await expect(openModel(write('scale', spec), { engine: 'native' })).rejects.toThrow('DynamicQuantizeLinear')
})
