/** How a graph's tail says what its outputs are: each way in which exporters spell probabilities, integers and logits. */
import { describe, expect, it } from 'vitest'
import { FactFinder } from '../../../src/model/metadata/fact-finder.js'
import { parseManifest } from '../../../src/model/metadata/manifest.js'
import { probedReading, readingOf, type Reading } from '../../../src/model/metadata/reading.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareNative } from '../../../src/model/prepare.js'
import { buildModel, floats, int64, type ModelSpec, type NodeSpec, type Weight } from '../../onnx-builder.js'

const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
  domain = '',
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: outputs.split(' '), attributes, domain })

const weights: Record<string, Weight> = {
  kernel: floats([4, 3, 1, 1], [1, -2, 3, -1, 2, -3, 2, 1, 0, 1, 1, -2]),
  matrix: floats(
    [4, 4],
    Array.from({ length: 16 }, (_, i) => Math.sin(i)),
  ),
  mixing: floats([4, 2], [0.5, 0, 0.5, 0, 0, 1, 0, 1]),
  half: floats([], [0.5]),
  one: floats([], [1]),
  hundred: floats([], [100]),
  third: floats([], [0.3]),
  rest: floats([], [0.7]),
  tiny: floats([], [1e-9]),
  low: floats([], [1e-6]),
  high: floats([], [0.999999]),
  zero: floats([], [0]),
  scale: floats([], [1 / 256]),
  step: floats([], [0.25]),
  zp: { shape: [], data: Uint8Array.of(0) },
  mid: { shape: [], data: Uint8Array.of(128) },
  flat: int64(1, 4),
  map: int64(1, 4, 1, 1),
  swap: int64(3, 2, 1, 0),
  some: int64(2, 0),
  from: int64(1),
  to: int64(4),
  axis: int64(1),
  front: int64(0),
}

/** The reading of `y`, made by `tail` from the logits `z` [1, 4]; `z2` is a second head. */
function read(tail: readonly NodeSpec[], opset = 17): Reading {
  const spec: ModelSpec = {
    nodes: [
      node('Conv', 'input kernel', 'map4'),
      node('GlobalAveragePool', 'map4', 'pooled'),
      node('Flatten', 'pooled', 'flat4'),
      node('Gemm', 'flat4 matrix', 'z'),
      node('MatMul', 'flat4 matrix', 'z2'),
      ...tail,
    ],
    weights,
    inputs: { input: [1, 3, 4, 4] },
    outputs: { y: null },
    opset,
    imports: { 'com.microsoft': 1 },
  }
  const { graph } = prepareNative(parseModel(buildModel(spec)).graph)
  return readingOf(new FactFinder(graph).of('y'))
}

const softmax = (output: string): NodeSpec => node('Softmax', 'z', output, { axis: 1 })

describe('probabilities that sum to 1', () => {
  it.each<[string, NodeSpec[], number?]>([
    ['a softmax', [softmax('y')]],
    [
      "torch's softmax of a map between transpositions, before opset 13",
      [
        node('Reshape', 'z map', 'a'),
        node('Transpose', 'a', 'b', { perm: [0, 3, 2, 1] }),
        node('Softmax', 'b', 'c', { axis: 3 }),
        node('Transpose', 'c', 'd', { perm: [0, 3, 2, 1] }),
        node('Flatten', 'd', 'y'),
      ],
      11,
    ],
    [
      'a dropout, a cast and an identity behind it',
      [softmax('a'), node('Dropout', 'a', 'b'), node('Cast', 'b', 'c', { to: 1 }), node('Identity', 'c', 'y')],
    ],
    ['a clip for safety behind it', [softmax('a'), node('Clip', 'a low high', 'y')]],
    ['a gather that changes the order', [softmax('a'), node('Gather', 'a swap', 'y', { axis: 1 })]],
    [
      'exponentials over their sum',
      [node('Exp', 'z', 'e'), node('ReduceSum', 'e axis', 's', { keepdims: 1 }), node('Div', 'e s', 'y')],
    ],
    [
      'exponentials over their sum and a small constant',
      [
        node('Exp', 'z', 'e'),
        node('ReduceSum', 'e axis', 's', { keepdims: 1 }),
        node('Add', 's tiny', 't'),
        node('Div', 'e t', 'y'),
      ],
    ],
    [
      'exponentials times the reciprocal of their sum',
      [
        node('Exp', 'z', 'e'),
        node('ReduceSum', 'e axis', 's', { keepdims: 1 }),
        node('Reciprocal', 's', 'r'),
        node('Mul', 'r e', 'y'),
      ],
    ],
    ['the exponential of a log-softmax', [node('LogSoftmax', 'z', 'l', { axis: 1 }), node('Exp', 'l', 'y')]],
    ['the mean of two heads', [softmax('a'), node('Softmax', 'z2', 'b', { axis: 1 }), node('Mean', 'a b', 'y')]],
    [
      'half of the sum of two heads',
      [softmax('a'), node('Softmax', 'z2', 'b', { axis: 1 }), node('Add', 'a b', 's'), node('Mul', 's half', 'y')],
    ],
    [
      'a weighted sum of two heads',
      [
        softmax('a'),
        node('Softmax', 'z2', 'b', { axis: 1 }),
        node('Mul', 'a third', 'c'),
        node('Mul', 'rest b', 'd'),
        node('Add', 'c d', 'y'),
      ],
    ],
    [
      'the mean of stacked heads',
      [
        softmax('a'),
        node('Softmax', 'z2', 'b', { axis: 1 }),
        node('Concat', 'a b', 'c', { axis: 0 }),
        node('ReduceMean', 'c', 'y', { axes: [0], keepdims: 1 }),
      ],
    ],
    [
      'an L1 norm of values that are not negative',
      [node('Relu', 'z', 'r'), node('LpNormalization', 'r', 'y', { p: 1, axis: 1 })],
    ],
    [
      'a softmax with its bias',
      [node('BiasSoftmax', 'z z2', 'y', { axis: 1, is_inner_broadcast: 1 }, 'com.microsoft')],
    ],
    [
      'a softmax that was quantised and back',
      [softmax('a'), node('QuantizeLinear', 'a scale zp', 'q'), node('DequantizeLinear', 'q scale zp', 'y')],
    ],
  ])('%s', (_, tail, opset) => {
    expect(read(tail, opset)).toEqual({
      activation: 'none',
      quantization: null,
      sentence: 'probabilities that sum to 1, by the graph',
      isCertain: true,
    })
  })
})

describe('independent probabilities', () => {
  it.each<[string, NodeSpec[]]>([
    ['a sigmoid', [node('Sigmoid', 'z', 'y')]],
    ['a hard sigmoid', [node('HardSigmoid', 'z', 'y')]],
    [
      'a sigmoid spelled out',
      [node('Neg', 'z', 'n'), node('Exp', 'n', 'e'), node('Add', 'e one', 's'), node('Reciprocal', 's', 'y')],
    ],
    [
      'a sigmoid by the hyperbolic tangent',
      [node('Tanh', 'z', 't'), node('Mul', 't half', 'h'), node('Add', 'h half', 'y')],
    ],
    ['a slice of a softmax', [softmax('a'), node('Slice', 'a from to axis', 'y')]],
    ['a few classes of a softmax', [softmax('a'), node('Gather', 'a some', 'y', { axis: 1 })]],
    ['a softmax beside a sigmoid', [softmax('a'), node('Sigmoid', 'z2', 'b'), node('Concat', 'a b', 'y', { axis: 1 })]],
    ['the product of two sigmoids', [node('Sigmoid', 'z', 'a'), node('Sigmoid', 'z2', 'b'), node('Mul', 'a b', 'y')]],
    ['the greatest of two sigmoids', [node('Sigmoid', 'z', 'a'), node('Sigmoid', 'z2', 'b'), node('Max', 'a b', 'y')]],
    ['mixtures of the classes of a softmax', [softmax('a'), node('MatMul', 'a mixing', 'y')]],
    ['what is left of 1', [node('Sigmoid', 'z', 'a'), node('Sub', 'one a', 'y')]],
  ])('%s', (_, tail) => {
    expect(read(tail)).toMatchObject({ activation: 'none', isCertain: true, sentence: expect.stringContaining('prob') })
  })

  it('two softmaxes side by side stay as they are', () => {
    const tail = [softmax('a'), node('Softmax', 'z2', 'b', { axis: 1 }), node('Concat', 'a b', 'y', { axis: 1 })]
    expect(read(tail)).toMatchObject({ activation: 'none', quantization: null })
  })

  it('logarithms of a sigmoid are raised again', () => {
    expect(read([node('Sigmoid', 'z', 'a'), node('Log', 'a', 'y')])).toMatchObject({ activation: 'exp' })
  })
})

describe('shares of another whole', () => {
  it.each<[string, NodeSpec[], number]>([
    ['a softmax in per cent', [softmax('a'), node('Mul', 'a hundred', 'y')], 100],
    ['the sum of two heads', [softmax('a'), node('Softmax', 'z2', 'b', { axis: 1 }), node('Sum', 'a b', 'y')], 2],
    ['a sigmoid in per cent', [node('Sigmoid', 'z', 'a'), node('Mul', 'hundred a', 'y')], 100],
  ])('%s', (_, tail, whole) => {
    const { activation, quantization, isCertain } = read(tail)
    expect([activation, isCertain]).toEqual(['none', true])
    expect(quantization?.scale).toBeCloseTo(1 / whole, 8)
  })
})

describe('8-bit outputs', () => {
  const code = { scale: 1 / 256, zeroPoint: 0 }
  it.each<[string, NodeSpec[], Partial<Reading>]>([
    [
      'a quantised softmax',
      [softmax('a'), node('QuantizeLinear', 'a scale zp', 'y')],
      { activation: 'none', quantization: code },
    ],
    [
      'behind a squeeze',
      [softmax('a'), node('QuantizeLinear', 'a scale zp', 'q'), node('Squeeze', 'q front', 'y')],
      { activation: 'none', quantization: code },
    ],
    [
      'behind a transposition and a reshape',
      [
        softmax('a'),
        node('QuantizeLinear', 'a scale zp', 'q'),
        node('Transpose', 'q', 't', { perm: [1, 0] }),
        node('Reshape', 't flat', 'y'),
      ],
      { activation: 'none', quantization: code },
    ],
    [
      'with a scale that is computed',
      [node('Mul', 'half half', 's'), node('QuantizeLinear', 'z s mid', 'y')],
      { activation: 'softmax', quantization: { scale: 0.25, zeroPoint: 128 } },
    ],
    [
      "onnxruntime's softmax of integers",
      [
        node('QuantizeLinear', 'z step mid', 'q'),
        node('QLinearSoftmax', 'q step mid scale zp', 'y', { axis: -1, opset: 17 }, 'com.microsoft'),
      ],
      { activation: 'none', quantization: code },
    ],
    [
      "onnxruntime's sigmoid of integers",
      [
        node('QuantizeLinear', 'z step mid', 'q'),
        node('QLinearSigmoid', 'q step mid scale zp', 'y', {}, 'com.microsoft'),
      ],
      { activation: 'none', quantization: code },
    ],
  ])('%s', (_, tail, expected) => expect(read(tail)).toMatchObject({ ...expected, isCertain: true }))
})

describe('logits', () => {
  it.each<[string, NodeSpec[]]>([
    ['of a linear layer', [node('Identity', 'z', 'y')]],
    ['with a bias and a temperature', [node('Add', 'z third', 'a'), node('Div', 'a half', 'y')]],
    ['the sum of two heads', [node('Add', 'z z2', 'y')]],
    ['log-probabilities', [node('LogSoftmax', 'z', 'y', { axis: 1 })]],
  ])('%s get a softmax', (_, tail) => expect(read(tail)).toMatchObject({ activation: 'softmax', isCertain: true }))

  it.each<[string, NodeSpec[]]>([
    ['an operator without a rule', [node('Selu', 'z', 'y')]],
    ['a rectified layer', [node('Relu', 'z', 'y')]],
  ])('are only a guess behind %s', (_, tail) =>
    expect(read(tail)).toMatchObject({ activation: 'softmax', isCertain: false }),
  )
})

describe('the outputs of test pictures', () => {
  const guess: Reading = { activation: 'softmax', quantization: null, sentence: 'a guess', isCertain: false }
  it.each<[string, number[][], Partial<Reading>]>([
    [
      'that sum to 1 are probabilities',
      [
        [0.2, 0.8],
        [0.5, 0.5],
      ],
      { activation: 'none', quantization: null },
    ],
    [
      'that do not are independent',
      [
        [0.9, 0.8],
        [0, 0.1],
      ],
      { activation: 'none', sentence: expect.stringContaining('independent') as unknown as string },
    ],
    [
      'that sum to 100 are per cent',
      [
        [20, 80],
        [50, 50],
      ],
      { activation: 'none', quantization: { scale: 0.01, zeroPoint: 0 } },
    ],
    [
      'that leave 0 to 1 are logits',
      [
        [0.2, 0.8],
        [0.5, 1.5],
      ],
      { activation: 'softmax' },
    ],
    ['that are not numbers say nothing', [[NaN, 0.5]], { activation: 'softmax' }],
  ])('%s', (_, rows, expected) => expect(probedReading(guess, rows)).toMatchObject(expected))
})

it.each(['mean: [1, 2]', 'std: 0.5', 'fill: black'])(
  'the manifest %s is refused with what the field must be',
  (text) => {
    expect(() => parseManifest(text, 'gate.yaml')).toThrow(
      /^manifest gate\.yaml: (mean|std|fill): must be a list of three numbers, one for each channel, or of one for all$/,
    )
  },
)
