/** Networks with QuantizeLinear and DequantizeLinear on bytes: which steps they become, and what they compute. */
import { describe, expect, it } from 'vitest'
import { floats, int64, type ModelSpec, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { Random } from '../../random.js'
import { modelFolder } from '../outputs.js'
import { byteSteps, code, dequantize, expectSteps, integers, node, quantize, valuesOf } from './graphs.js'

const write = modelFolder()
/** The constants of the convolution that makes `y`: three kernels and a bias. onnxruntime refuses constants that layers share. */
const layer = (y: string, seed: number): Record<string, Weight> => ({
  ...code(`${y}.scale`, [0.01, 0.02, 0.015, 0.012], 0, 'int8'),
  ...code(`${y}.bias`, [0.0002, 0.0004, 0.0003, 0.00024], 0, 'int32'),
  [`${y}.full`]: integers([4, 4, 3, 3], -127, 127, seed),
  [`${y}.point`]: integers([4, 4, 1, 1], -127, 127, seed + 1),
  [`${y}.depth`]: integers([4, 1, 3, 3], -127, 127, seed + 2),
  [`${y}.bias`]: integers([4], -9000, 9000, seed + 3),
})

const weights: Readonly<Record<string, Weight>> = {
  ...code('x', 0.02, 120),
  ...code('y', 0.05, 110),
  ...code('z', 0.04, 97),
  ...code('sum', 0.06, 120),
  ...code('six', 6 / 255, 0),
  ...code('small', 1 / 256, 0),
  ...code('s', 0.04, -5, 'int8'),
  ...layer('c', 10),
  ...layer('d', 20),
  ...code('matrix', 0.01, 0, 'int8'),
  ...code('wide', 0.8, 120),
  matrix: integers([5, 144], -127, 127, 5),
  'floats.b': floats([4], new Random(6).normals(4)),
  flat: int64(1, 144),
  low: floats([], [-1]),
  high: floats([], [1.5]),
  pads: int64(0, 0, 1, 1, 0, 0, 1, 1),
}
const model = (
  nodes: readonly NodeSpec[],
  type: 'uint8' | 'int8' = 'uint8',
  extra: Partial<ModelSpec> = {},
): ModelSpec => ({
  nodes: [...nodes],
  weights,
  inputs: { input: [1, 4, 6, 6] },
  outputs: { y: null },
  codes: { input: type, y: type },
  ...extra,
})

/** DQ → Conv of `x`, as the value `y` in real numbers. */
function conv(x: string, y: string, { weight = 'full', bias = '', group = 1 } = {}): readonly NodeSpec[] {
  const pad = weight === 'point' ? 0 : 1
  return [
    dequantize(`${y}.${weight}`, `${y}.w`, `${y}.scale`, 0),
    ...(bias === '' ? [dequantize(`${y}.bias`, `${y}.b`, `${y}.bias`, 0)] : []),
    node('Conv', `${x} ${y}.w ${bias === '' ? `${y}.b` : bias}`, y, { pads: [pad, pad, pad, pad], group }),
  ]
}
const from = dequantize('input', 'x', 'x')
const rounded = (x: string, y: string, by: string): readonly NodeSpec[] => [
  quantize(x, `${y}.q`, by),
  dequantize(`${y}.q`, y, by),
]

/** The steps without those at the ends, and without movements. */
const inner = (spec: ModelSpec): string[] =>
  byteSteps(spec).filter((kind) => !['quantize', 'dequantize', 'copy'].includes(kind))

describe('on the same integers as onnxruntime', () => {
  it.each<[string, readonly NodeSpec[], readonly string[], number]>([
    ['a convolution', [...conv('x', 'c'), quantize('c', 'y', 'y')], ['qconv2d'], 0],
    [
      'a depthwise convolution',
      [...conv('x', 'c', { weight: 'depth', group: 4 }), quantize('c', 'y', 'y')],
      ['qconv2d'],
      0,
    ],
    [
      'a residual sum, which the convolution adds',
      [
        ...rounded('x', 'r', 'x'),
        ...conv('r', 'c', { weight: 'point' }),
        ...rounded('c', 'm', 'z'),
        node('Add', 'm r', 'a'),
        quantize('a', 'y', 'sum'),
      ],
      ['qconv2d'],
      0,
    ],
    [
      'a sum of two convolutions',
      [
        ...conv('x', 'c', { weight: 'point' }),
        ...rounded('c', 'm', 'z'),
        ...conv('x', 'd'),
        ...rounded('d', 'n', 'y'),
        node('Add', 'm n', 'a'),
        quantize('a', 'y', 'sum'),
      ],
      ['qconv2d', 'qconv2d'],
      0,
    ],
    [
      'the mean of a map, which the convolution computes',
      [...conv('x', 'c'), ...rounded('c', 'm', 'y'), node('GlobalAveragePool', 'm', 'p'), quantize('p', 'y', 'x')],
      ['qconv2d'],
      0,
    ],
    [
      'a product with a matrix',
      [
        node('Reshape', 'x flat', 'rows'),
        ...rounded('rows', 'v', 'x'),
        dequantize('matrix', 'matrix.real', 'matrix'),
        node('Gemm', 'v matrix.real', 'g', { transB: 1 }),
        quantize('g', 'y', 'wide'),
      ],
      ['qdense'],
      0,
    ],
    [
      'a largest value, and a Pad',
      [
        node('Pad', 'x pads', 'padded'),
        ...rounded('padded', 'p', 'x'),
        node('MaxPool', 'p', 'm', { kernel_shape: [2, 2] }),
        quantize('m', 'y', 'x'),
      ],
      ['pool2d'],
      0,
    ],
    ['a function', [node('HardSwish', 'x', 'h'), quantize('h', 'y', 'six')], ['lookup'], 1],
    [
      'several functions',
      [node('Sigmoid', 'x', 'g'), node('Mul', 'g high', 'h'), quantize('h', 'y', 'six')],
      ['lookup'],
      1,
    ],
    ['another code', [quantize('x', 'y', 'y')], ['lookup'], 0],
  ])('%s', async (name, nodes, steps, most) => {
    const spec = model([from, ...nodes])
    expect(inner(spec)).toEqual(steps)
    await expectSteps(write(name, spec), spec, most, true)
  })

  // onnxruntime's sums on arm64 have multipliers of 22 bits, its products and averages may be fused differently there.
  const exact = process.arch === 'x64' ? 0 : 1
  // Scales for which each of 140 pairs of bytes has another sum if its products are rounded, or its operands change places.
  const pair: Record<string, Weight> = {
    ...code('one', 0.0756, 150),
    ...code('other', 0.0606, 104),
    ...code('both', 0.0616, 152),
    ...code('unit', 1, 0, 'int8'),
    'unit.kernel': { shape: [1, 1, 1, 1], data: Int8Array.of(1) },
  }
  const ends = [dequantize('input', 'x', 'one'), dequantize('second', 'r', 'other')]
  /** A convolution that gives the bytes of x. */
  const copied = [
    dequantize('unit.kernel', 'kernel', 'unit'),
    node('Conv', 'x kernel', 'c'),
    ...rounded('c', 'm', 'one'),
  ]
  it.each<[string, string, readonly NodeSpec[], Record<string, Weight>]>([
    ['the sum of two tensors', 'qbinary', [...ends, node('Add', 'x r', 'a')], pair],
    ['the sum of a convolution and a residual', 'qconv2d', [...ends, ...copied, node('Add', 'm r', 'a')], pair],
    ['the sum of a residual and a convolution', 'qconv2d', [...ends, ...copied, node('Add', 'r m', 'a')], pair],
    [
      'a product with ties and an odd zero point',
      'qbinary',
      [...ends, node('Mul', 'x r', 'a')],
      { ...code('one', 0.25, 131), ...code('other', 0.125, 120), ...code('both', 1, 129) },
    ],
    [
      'a mean with ties and an odd zero point',
      'qpool2d',
      [ends[0]!, node('AveragePool', 'x', 'a', { kernel_shape: [2, 2], pads: [0, 0, 1, 1] })],
      { ...code('one', 0.02, 120), ...code('both', 0.01, 119) },
    ],
  ])('%s, for most pairs of bytes', async (name, step, nodes, codes) => {
    const isPair = nodes.includes(ends[1]!)
    const spec: ModelSpec = {
      nodes: [...nodes, quantize('a', 'y', 'both')],
      weights: codes,
      inputs: { input: [1, 1, 256, 256], ...(isPair ? { second: [1, 1, 256, 256] } : {}) },
      outputs: { y: null },
      codes: { input: 'uint8', ...(isPair ? { second: 'uint8' } : {}), y: 'uint8' },
    }
    expect(inner(spec)).toEqual([step])
    await expectSteps(write(name, spec), spec, exact, true)
  })

  it('the range of a Clip or of a Relu6 limits the bytes', async () => {
    const spec = model([from, ...conv('x', 'c'), node('Clip', 'c low high', 'limited'), quantize('limited', 'y', 'y')])
    expect(inner(spec)).toEqual(['qconv2d'])
    await expectSteps(write('clip', spec), spec, 0, true)
  })

  it('signed and unsigned integers in one network become bytes of one type', async () => {
    const spec = model(
      [
        dequantize('input', 'x', 's'),
        ...conv('x', 'c'),
        quantize('c', 'u', 'y'),
        dequantize('u', 'v', 'y'),
        ...conv('v', 'd'),
        quantize('d', 'y', 's'),
      ],
      'int8',
    )
    const path = write('signed', spec)
    expect(inner(spec)).toEqual(['qconv2d', 'qconv2d'])
    expect(byteSteps(spec, 'int8')).toEqual(byteSteps(spec, 'uint8'))
    await expectSteps(path, spec, 1, true)
  })

  it('a bias of floats is rounded to the steps of the sum', async () => {
    const spec = model([from, ...conv('x', 'c', { bias: 'floats.b' }), quantize('c', 'y', 'y')])
    expect(inner(spec)).toEqual(['qconv2d'])
    await expectSteps(write('float bias', spec), spec, 1, true)
  })

  it('weights whose DequantizeLinear stands in front of a Transpose', async () => {
    const spec = model([
      node('Reshape', 'x flat', 'rows'),
      from,
      ...rounded('rows', 'v', 'x'),
      dequantize('matrix', 'matrix.real', 'matrix'),
      node('Transpose', 'matrix.real', 'turned', { perm: [1, 0] }),
      node('MatMul', 'v turned', 'g'),
      quantize('g', 'y', 'wide'),
    ])
    const ordered = { ...spec, nodes: [spec.nodes[1]!, spec.nodes[0]!, ...spec.nodes.slice(2)] }
    expect(inner(ordered)).toEqual(['qdense'])
    await expectSteps(write('turned', ordered), ordered, 1, true)
  })

  it('layers in float32 between layers in 8 bits', async () => {
    const spec = model([
      from,
      ...conv('x', 'c'),
      ...rounded('c', 'm', 'y'),
      node('Softmax', 'm', 'f', { axis: 1 }),
      ...rounded('f', 'n', 'small'),
      ...conv('n', 'd'),
      quantize('d', 'y', 'sum'),
    ])
    expect(inner(spec)).toEqual(['qconv2d', 'softmax', 'qconv2d'])
    await expectSteps(write('mixed', spec), spec, 1, true)
  })

  it('a value that two operators quantise in the same way is computed once', async () => {
    const spec = model([
      from,
      ...conv('x', 'c', { weight: 'point' }),
      ...rounded('c', 'm', 'y'),
      ...rounded('c', 'n', 'y'),
      ...conv('m', 'd'),
      ...rounded('d', 'e', 'z'),
      node('Add', 'e n', 'a'),
      quantize('a', 'y', 'sum'),
    ])
    expect(inner(spec)).toEqual(['qconv2d', 'qconv2d'])
    await expectSteps(write('readers', spec), spec, 1, true)
  })

  it('a network in channels last, with a transposition around each layer', async () => {
    const spec = model(
      [
        dequantize('input', 'x', 'x'),
        node('Transpose', 'x', 'first', { perm: [0, 3, 1, 2] }),
        ...conv('first', 'c'),
        node('Transpose', 'c', 'last', { perm: [0, 2, 3, 1] }),
        ...rounded('last', 'm', 'y'),
        node('Transpose', 'm', 'again', { perm: [0, 3, 1, 2] }),
        ...conv('again', 'd'),
        node('Transpose', 'd', 'out', { perm: [0, 2, 3, 1] }),
        quantize('out', 'y', 'sum'),
      ],
      'uint8',
      { inputs: { input: [1, 6, 6, 4] } },
    )
    expect(inner(spec)).toEqual(['qconv2d', 'qconv2d'])
    await expectSteps(write('last', spec), spec, 1, true)
  })
})

it('bytes of either type give the same integers', async () => {
  const spec = model([
    from,
    ...conv('x', 'c'),
    ...rounded('c', 'm', 'y'),
    node('GlobalAveragePool', 'm', 'p'),
    quantize('p', 'y', 'x'),
  ])
  const path = write('both', spec)
  const [one, other] = [
    await valuesOf(path, spec, { engine: 'native', integers: true, target: 'scalar' }),
    await valuesOf(path, spec, { engine: 'native', integers: true }),
  ]
  expect(one).toEqual(other)
})
