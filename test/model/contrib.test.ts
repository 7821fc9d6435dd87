/** Operators that onnxruntime's optimizer writes: the native engine expands them and computes what onnxruntime computes. */
import { expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { floats, int64, type ModelSpec, type NodeSpec } from '../onnx-builder.js'
import { Random } from '../random.js'
import { expectParity, modelFolder } from './outputs.js'

const write = modelFolder()

type Attributes = NonNullable<NodeSpec['attributes']>
const own = (op: string, inputs: string, outputs: string, attributes: Attributes = {}): NodeSpec => ({
  op,
  inputs: inputs.split(' ').map((name) => (name === '-' ? '' : name)),
  outputs: outputs.split(' ').map((name) => (name === '-' ? '' : name)),
  attributes,
  domain: 'com.microsoft',
})
const conv = (activation: string, params: readonly number[] = [], inputs = 'input kernel bias'): NodeSpec =>
  own('FusedConv', inputs, 'y', {
    pads: [1, 1, 1, 1],
    activation,
    ...(params.length > 0 ? { activation_params: { floats: params } } : {}),
  })
const rows: NodeSpec = { op: 'Reshape', inputs: ['input', 'sizes'], outputs: ['rows'] }
const weights = {
  kernel: floats([5, 4, 3, 3], new Random(1).normals(180, 0.3)),
  bias: floats([5], new Random(2).normals(5)),
  same: floats([4, 4, 3, 3], new Random(3).normals(144, 0.3)),
  four: floats([4], new Random(4).normals(4)),
  sizes: int64(1, 12, 12),
  row: floats([12], new Random(5).normals(12)),
  other: floats([12], new Random(6).normals(12)),
}
const model = (nodes: readonly NodeSpec[]): ModelSpec => ({
  nodes,
  weights,
  inputs: { input: [1, 4, 6, 6] },
  outputs: { y: null },
  imports: { 'com.microsoft': 1 },
})

it.each<[string, readonly NodeSpec[]]>([
  ['FusedConv with Relu', [conv('Relu')]],
  ['FusedConv with LeakyRelu', [conv('LeakyRelu', [0.2])]],
  ['FusedConv with Clip', [conv('Clip', [-0.1, 0.6])]],
  ['FusedConv with HardSigmoid', [conv('HardSigmoid', [0.3, 0.4])]],
  ['FusedConv with Tanh', [conv('Tanh')]],
  ['FusedConv with Relu behind a sum', [conv('Relu', [], 'input same four input')]],
  ['FusedConv without bias', [conv('Sigmoid', [], 'input kernel')]],
  ['Gelu', [own('Gelu', 'input', 'y')]],
  ['BiasGelu', [rows, own('BiasGelu', 'rows row', 'y')]],
  ['FastGelu', [own('FastGelu', 'input', 'y')]],
  ['FastGelu with a bias', [rows, own('FastGelu', 'rows row', 'y')]],
  ['QuickGelu', [own('QuickGelu', 'input', 'y', { alpha: { float: 1.5 } })]],
  [
    'SkipLayerNormalization',
    [rows, own('SkipLayerNormalization', 'rows rows row other', 'y', { epsilon: { float: 1e-5 } })],
  ],
  [
    'SkipLayerNormalization with its sum',
    [
      rows,
      own('SkipLayerNormalization', 'rows rows row - other', 'n - - sum', { epsilon: { float: 1e-5 } }),
      { op: 'Mul', inputs: ['n', 'sum'], outputs: ['y'] },
    ],
  ],
  ['FusedMatMul', [rows, own('FusedMatMul', 'rows rows', 'y', { alpha: { float: 0.25 } })]],
])('%s computes what onnxruntime computes', async (name, nodes) => {
  await expectParity(write(name, model(nodes)))
})

it('an unsupported use of such an operator is the reason against the native engine', async () => {
  const path = write('transposed', model([rows, own('FusedMatMul', 'rows rows', 'y', { transB: 1 })]))
  await expect(openModel(path, { engine: 'native' })).rejects.toThrow(
    'FusedMatMul not covered; FusedMatMul_1: gapcam does not know operators of com.microsoft',
  )
})
