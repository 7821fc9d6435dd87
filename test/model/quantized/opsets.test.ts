/**
 * One small network of quantised integers at every opset that has them, in both forms: around operators on real numbers (QDQ) and
 * as operators on integers (QOperator). What differs between opsets: scales per channel (13), and whether limits, pads and axes are
 * attributes or inputs (11, 13, 18).
 */
import { it } from 'vitest'
import { floats, int64, type ModelSpec, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { modelFolder } from '../outputs.js'
import { code, dequantize, expectSteps, integers, node, quantize } from './graphs.js'

const write = modelFolder()
const opsets = Array.from({ length: 16 }, (_, i) => 10 + i)
const q = (name: string): string => `${name} ${name}.s ${name}.z`

const constants = (opset: number): Readonly<Record<string, Weight>> => ({
  ...code('input', 0.02, 120),
  ...code('c', 6 / 255, 0),
  ...code('m', 0.01, 0),
  ...code('y', 0.02, 110),
  ...code('w', opset < 13 ? 0.01 : [0.01, 0.02, 0.015, 0.012, 0.018], 0, 'int8'),
  ...code('v', 0.012, 0, 'int8'),
  w: integers([5, 4, 3, 3], -127, 127, 1),
  v: integers([5, 6], -127, 127, 2),
  low: floats([], [0]),
  high: floats([], [6]),
  pads: int64(0, 0, 1, 1, 0, 0, 1, 0),
  places: int64(2, 3),
})

/** A node whose last inputs were attributes before an opset. */
function since(first: number, opset: number, [old, now]: readonly [NodeSpec, NodeSpec]): NodeSpec {
  return opset < first ? old : now
}

function model(opset: number, nodes: readonly NodeSpec[]): ModelSpec {
  return {
    nodes,
    weights: constants(opset),
    inputs: { input: [1, 4, 9, 9] },
    outputs: { y: null },
    codes: { input: 'uint8', y: 'uint8' },
    opset,
    imports: { 'com.microsoft': 1 },
  }
}

const qdq = (opset: number): ModelSpec =>
  model(opset, [
    dequantize('input', 'x', 'input'),
    dequantize('w', 'weights', 'w', opset < 13 ? undefined : 0),
    node('Conv', 'x weights', 'conv', { pads: [1, 1, 1, 1], strides: [2, 2] }),
    since(11, opset, [
      node('Clip', 'conv', 'limited', { min: { float: 0 }, max: { float: 6 } }),
      node('Clip', 'conv low high', 'limited'),
    ]),
    quantize('limited', 'c', 'c'),
    dequantize('c', 'map', 'c'),
    since(11, opset, [
      node('Pad', 'map', 'padded', { pads: [0, 0, 1, 1, 0, 0, 1, 0] }),
      node('Pad', 'map pads', 'padded'),
    ]),
    since(18, opset, [
      node('ReduceMean', 'padded', 'mean', { axes: [2, 3], keepdims: 1 }),
      node('ReduceMean', 'padded places', 'mean', { keepdims: 1 }),
    ]),
    quantize('mean', 'm', 'm'),
    dequantize('m', 'means', 'm'),
    since(13, opset, [node('Squeeze', 'means', 'row', { axes: [2, 3] }), node('Squeeze', 'means places', 'row')]),
    dequantize('v', 'matrix', 'v'),
    node('MatMul', 'row matrix', 'scores'),
    quantize('scores', 'y', 'y'),
  ])

const qOperator = (opset: number): ModelSpec =>
  model(opset, [
    node('QLinearConv', `${q('input')} ${q('w')} c.s c.z`, 'c', { pads: [1, 1, 1, 1], strides: [2, 2] }),
    node('QLinearGlobalAveragePool', `${q('c')} m.s m.z`, 'm', {}, 'com.microsoft'),
    node('Flatten', 'm', 'row'),
    node('QLinearMatMul', `row m.s m.z ${q('v')} y.s y.z`, 'y'),
  ])

const forms = { QDQ: qdq, QOperator: qOperator }
const cases = Object.keys(forms).flatMap((form) => opsets.map((opset) => [form as keyof typeof forms, opset] as const))

it.each(cases)('%s at opset %i gives the integers of onnxruntime, in float32 and in 8 bits', async (form, opset) => {
  const spec = forms[form](opset)
  const path = write(`${form}-${opset}`, spec)
  for (const isExact of [false, true]) await expectSteps(path, spec, 1, isExact)
})
