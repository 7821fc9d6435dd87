/** Networks over clips [1,C,T,H,W] run natively as networks over frames, and compute what onnxruntime computes. */
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { prepareGraph } from '../../src/model/prepare.js'
import {
  buildModel,
  floats,
  int64,
  type AttributeValue,
  type ModelSpec,
  type NodeSpec,
  type Weight,
} from '../onnx-builder.js'
import { Random } from '../random.js'
import { expectParity, modelFolder } from './outputs.js'

const write = modelFolder()
const channels = 6
const clip = [1, channels, 5, 9, 8]

const random = (seed: number, ...shape: number[]): Weight =>
  floats(
    shape,
    new Random(seed).normals(
      shape.reduce((product, size) => product * size, 1),
      0.3,
    ),
  )

/** A node. Inputs and outputs are names separated by spaces. */
const node = (op: string, inputs: string, output: string, attributes: NodeSpec['attributes'] = {}): NodeSpec => ({
  op,
  inputs: inputs.split(' '),
  outputs: [output],
  attributes,
})

const model = (nodes: readonly NodeSpec[], weights: Readonly<Record<string, Weight>> = {}, opset = 17): ModelSpec => ({
  nodes,
  weights,
  inputs: { input: clip },
  outputs: { y: null },
  opset,
})

const convolution = (shape: readonly number[], attributes: Record<string, AttributeValue> = {}): ModelSpec =>
  model([node('Conv', 'input w b', 'y', attributes)], { w: random(1, ...shape), b: random(2, shape[0]!) })

const convolutions: readonly (readonly [string, ModelSpec])[] = [
  ['without padding', convolution([4, 6, 3, 3, 3])],
  ['with padding on all sides', convolution([4, 6, 3, 3, 3], { pads: [1, 1, 1, 1, 1, 1] })],
  ['with padding that differs', convolution([4, 6, 3, 2, 3], { pads: [2, 1, 0, 1, 0, 2] })],
  ['with steps over time and place', convolution([4, 6, 3, 3, 3], { pads: [1, 1, 1, 1, 1, 1], strides: [2, 2, 1] })],
  ['with gaps in time', convolution([4, 6, 2, 3, 3], { dilations: [3, 1, 2] })],
  ['with auto_pad', convolution([4, 6, 2, 3, 3], { auto_pad: 'SAME_UPPER', strides: [2, 1, 2] })],
  ['over time alone', convolution([4, 6, 3, 1, 1], { pads: [1, 0, 0, 1, 0, 0] })],
  ['over each frame alone', convolution([4, 6, 1, 3, 3], { pads: [0, 1, 1, 0, 1, 1] })],
  ['of every second frame', convolution([4, 6, 1, 1, 1], { strides: [2, 1, 1] })],
  ['in groups', convolution([4, 3, 3, 3, 3], { group: 2, pads: [1, 1, 1, 1, 1, 1] })],
  ['for each channel', convolution([6, 1, 3, 3, 3], { group: 6, pads: [1, 1, 1, 1, 1, 1] })],
]

const pool = (op: string, attributes: Record<string, AttributeValue>): ModelSpec =>
  model([node(op, 'input', 'y', attributes)])
const half = { kernel_shape: [2, 2, 2], strides: [2, 2, 2] }
const overlapping = { kernel_shape: [3, 3, 3], strides: [2, 2, 2], pads: [1, 1, 1, 1, 1, 1] }
const pools: readonly (readonly [string, ModelSpec])[] = [
  ['maximum', pool('MaxPool', half)],
  ['maximum with ceil_mode', pool('MaxPool', { ...half, ceil_mode: 1 })],
  ['maximum of windows that overlap', pool('MaxPool', overlapping)],
  ['mean', pool('AveragePool', half)],
  ['mean of windows that overlap', pool('AveragePool', overlapping)],
  ['mean that counts padding', pool('AveragePool', { ...overlapping, count_include_pad: 1 })],
  ['mean over time alone', pool('AveragePool', { kernel_shape: [5, 1, 1] })],
]

const [w, deep] = [random(3, 6, 6, 3, 3, 3), random(4, 6, 1, 3, 3, 3)]
const same = { pads: [1, 1, 1, 1, 1, 1] }
const conv = node('Conv', 'input w', 'a', same)
const blocks: readonly (readonly [string, ModelSpec])[] = [
  [
    'a residual block with norms and a head (torchvision r3d)',
    model(
      [
        conv,
        node('BatchNormalization', 'a scale b mean var', 'b1'),
        node('Relu', 'b1', 'c'),
        node('Conv', 'c w', 'd', same),
        node('Add', 'd input', 'e'),
        node('Relu', 'e', 'f'),
        node('GlobalAveragePool', 'f', 'g'),
        node('Flatten', 'g', 'h'),
        node('Gemm', 'h head', 'y', { transB: 1 }),
      ],
      {
        w,
        scale: random(5, 6),
        b: random(6, 6),
        mean: random(7, 6),
        var: floats([6], [1, 2, 1, 3, 1, 2]),
        head: random(8, 3, 6),
      },
    ),
  ],
  [
    'a gate per channel (X3D)',
    model(
      [
        node('Conv', 'input deep', 'a', { ...same, group: 6 }),
        node('ReduceMean', 'a', 'm', { axes: [2, 3, 4], keepdims: 1 }),
        node('Conv', 'm gate', 's'),
        node('Sigmoid', 's', 't'),
        node('Mul', 'a t', 'u'),
        node('Mul', 'u two', 'v'),
        node('Add', 'v each', 'x'),
        node('ReduceMean', 'x', 'y', { axes: [-3, -2, -1], keepdims: 0 }),
      ],
      { deep, gate: random(9, 6, 6, 1, 1, 1), two: floats([], [2]), each: random(10, 1, 6, 1, 1, 1) },
    ),
  ],
  [
    'fully connected layers behind the last pool (C3D)',
    model(
      [
        conv,
        node('Relu', 'a', 'r'),
        node('MaxPool', 'r', 'p', { ...half, pads: [0, 0, 0, 0, 1, 0] }),
        node('Flatten', 'p', 'f'),
        node('Gemm', 'f head', 'y'),
      ],
      { w, head: random(11, 6 * 2 * 5 * 4, 7) },
    ),
  ],
  [
    'nodes that read the clip itself between the convolutions',
    model(
      [
        conv,
        node('Slice', 'a from to time', 's'),
        node('Conv', 's w', 'c', same),
        node('Concat', 'c c', 'j', { axis: 1 }),
        node('Transpose', 'j', 'y', { perm: [0, 2, 3, 4, 1] }),
      ],
      { w, from: int64(1), to: int64(4), time: int64(2) },
    ),
  ],
  [
    'the maximum of two branches, and a mean of time alone',
    model(
      [
        conv,
        node('Max', 'a input', 'b'),
        node('ReduceMean', 'b', 'c', { axes: [2], keepdims: 1 }),
        node('Softplus', 'c', 'y'),
      ],
      { w },
    ),
  ],
]

describe.each([
  ['a convolution', convolutions],
  ['a pool', pools],
  ['a network', blocks],
] as const)('%s over a clip', (kind, cases) => {
  it.each(cases)('%s', async (name, spec) => {
    const compiled = compilePlan(prepareGraph(parseModel(buildModel(spec)).graph))
    expect('plan' in compiled ? [] : compiled.unsupported).toEqual([])
    await expectParity(write(`${kind} ${name}`, spec))
  })
})

it('refuses a batch of clips with the reason', () => {
  const spec = { ...convolution([4, 6, 3, 3, 3]), inputs: { input: [2, ...clip.slice(1)] } }
  const compiled = compilePlan(prepareGraph(parseModel(buildModel(spec)).graph))
  expect('plan' in compiled ? [] : compiled.unsupported).toEqual([
    { node: 'the graph', op: '', reason: expect.stringContaining('2 clips at once; gapcam computes one clip') },
  ])
})
