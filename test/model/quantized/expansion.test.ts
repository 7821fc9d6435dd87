/**
 * QLinear operators, of ONNX and of onnxruntime, on the same integers as onnxruntime: within one step in float32, and in 8
 * bits equal for products, sums and means.
 */
import { expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import type { ModelSpec, NodeSpec, Weight } from '../../onnx-builder.js'
import { modelFolder } from '../outputs.js'
import { byteSteps, code, expectSteps, integers, node } from './graphs.js'

const write = modelFolder()
const microsoft = 'com.microsoft'

const weights: Readonly<Record<string, Weight>> = {
  ...code('x', 0.02, 120),
  ...code('y', 0.05, 110),
  ...code('small', 1 / 256, 0),
  ...code('w', [0.01, 0.02, 0.015], 0, 'int8'),
  ...code('old', 0.01, 131),
  w: integers([3, 4, 3, 3], -127, 127, 1),
  old: integers([3, 4, 3, 3], 0, 255, 2),
  bias: { shape: [3], data: Int32Array.of(700, -9000, 12000) },
  b: integers([6, 5], 0, 255, 3),
  bt: integers([5, 6], -127, 127, 4),
  bt5: integers([5], -4000, 4000, 5),
  sizes: { shape: [2], data: BigInt64Array.of(24n, 6n) },
}
const model = (nodes: readonly NodeSpec[]): ModelSpec => ({
  nodes,
  weights,
  inputs: { input: [1, 4, 6, 6] },
  outputs: { y: null },
  codes: { input: 'uint8', y: 'uint8' },
  imports: { [microsoft]: 1 },
})
const q = (name: string): string => `${name} ${name}.s ${name}.z`
const x = 'input x.s x.z'
const gate = node('QLinearSigmoid', `${x} small.s small.z`, 'gate', {}, microsoft)
const rows: NodeSpec = node('Reshape', 'input sizes', 'rows')

const cases: readonly (readonly [string, readonly NodeSpec[]])[] = [
  [
    'QLinearConv with scales by channel',
    [node('QLinearConv', `${x} ${q('w')} y.s y.z bias`, 'y', { pads: [1, 1, 1, 1] })],
  ],
  ['QLinearConv of an old file', [node('QLinearConv', `${x} ${q('old')} y.s y.z`, 'y', { strides: [2, 2] })]],
  ['QLinearMatMul', [rows, node('QLinearMatMul', 'rows x.s x.z b old.s old.z y.s y.z', 'y')]],
  ['QLinearAdd', [gate, node('QLinearAdd', 'input x.s x.z gate small.s small.z y.s y.z', 'y', {}, microsoft)]],
  ['QLinearMul', [gate, node('QLinearMul', 'input x.s x.z gate small.s small.z y.s y.z', 'y', {}, microsoft)]],
  [
    'QLinearConcat',
    [gate, node('QLinearConcat', 'y.s y.z input x.s x.z gate small.s small.z', 'y', { axis: 1 }, microsoft)],
  ],
  [
    'QLinearAveragePool',
    [node('QLinearAveragePool', `${x} y.s y.z`, 'y', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, microsoft)],
  ],
  ['QLinearGlobalAveragePool', [node('QLinearGlobalAveragePool', `${x} small.s small.z`, 'y', {}, microsoft)]],
  ['QLinearSigmoid', [node('QLinearSigmoid', `${x} small.s small.z`, 'y', {}, microsoft)]],
  ['QLinearLeakyRelu', [node('QLinearLeakyRelu', `${x} y.s y.z`, 'y', { alpha: { float: 0.1 } }, microsoft)]],
  [
    'QLinearSoftmax',
    [rows, node('QLinearSoftmax', 'rows x.s x.z small.s small.z', 'y', { axis: -1, opset: 17 }, microsoft)],
  ],
  ['QGemm', [rows, node('QGemm', 'rows x.s x.z b old.s old.z bt5 y.s y.z', 'y', { alpha: { float: 1 } }, microsoft)]],
]

it.each(cases)('%s in float32', async (name, nodes) => {
  const spec = model(nodes)
  await expectSteps(write(name, spec), spec, 1)
})

const stepsOf: Readonly<Record<string, readonly string[]>> = {
  'QLinearConv with scales by channel': ['qconv2d'],
  'QLinearConv of an old file': ['qconv2d'],
  QLinearMatMul: ['qdense'],
  QGemm: ['qdense'],
  QLinearAdd: ['lookup', 'qbinary'],
  QLinearMul: ['lookup', 'qbinary'],
  QLinearConcat: ['lookup', 'lookup', 'lookup', 'concat'],
  QLinearAveragePool: ['qpool2d'],
  QLinearGlobalAveragePool: ['qreduce'],
  QLinearSigmoid: ['lookup'],
  QLinearLeakyRelu: ['lookup'],
  QLinearSoftmax: ['softmax'],
}
const nearly = ['QLinearMul', 'QLinearConcat', 'QLinearAveragePool', 'QLinearSoftmax']

it.each(cases)('%s in 8 bits', async (name, nodes) => {
  const spec = model(nodes)
  const path = write(name, spec)
  await expectSteps(path, spec, nearly.includes(name) ? 1 : 0, true)
  expect(byteSteps(spec).filter((kind) => !['quantize', 'dequantize', 'copy'].includes(kind))).toEqual(stepsOf[name])
})

it("a QLinear operator in onnxruntime's own layout is left to onnxruntime", async () => {
  const spec = model([node('QLinearGlobalAveragePool', `${x} small.s small.z`, 'y', { channels_last: 1 }, microsoft)])
  await expect(openModel(write('nhwc', spec), { engine: 'native' })).rejects.toThrow('QLinearGlobalAveragePool')
})
