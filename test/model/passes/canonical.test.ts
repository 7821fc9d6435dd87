/** Passes that reduce the variants of exporters to one form, each on the smallest graph, and the graphs that they must leave alone. */
import { describe, expect, it } from 'vitest'
import { mergeClips } from '../../../src/model/passes/clip.js'
import { recognizeLayerNorms } from '../../../src/model/passes/layer-norm.js'
import { recognizeMeans } from '../../../src/model/passes/mean.js'
import { fusePads } from '../../../src/model/passes/pad.js'
import { recognizePatterns } from '../../../src/model/passes/patterns.js'
import { recognizeShuffles } from '../../../src/model/passes/shuffle.js'
import { simplify } from '../../../src/model/passes/simplify.js'
import { dropTaps } from '../../../src/model/passes/taps.js'
import { sinkTransposes } from '../../../src/model/passes/transpose.js'
import { floats, int64, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { constant, graphOf, node, ops, weights } from './graphs.js'

describe('simplify', () => {
  it('removes nodes that change nothing, also in chains', () => {
    const graph = graphOf(
      [
        node('Identity', 'input', 'a'),
        node('Dropout', 'a', 'b'),
        node('Pad', 'b none', 'c'),
        node('Transpose', 'c', 'd', { perm: [0, 1, 2, 3] }),
        node('Reshape', 'd same', 'e'),
        node('Relu', 'e', 'y'),
      ],
      { none: int64(0, 0, 0, 0, 0, 0, 0, 0), same: int64(1, 2, 6, 6) },
    )
    const simple = simplify(graph)
    expect(ops(simple)).toBe('Relu')
    expect(simple.nodes[0]!.inputs).toEqual(['input'])
    expect([...simple.constants.keys()]).toEqual([])
  })

  it('keeps a Transpose that moves elements, and a node that makes an output', () => {
    const moving = graphOf([node('Transpose', 'input', 'a', { perm: [0, 1, 3, 2] }), node('Relu', 'a', 'y')])
    expect(simplify(moving)).toBe(moving)
    const last = graphOf([node('Relu', 'input', 'a'), node('Identity', 'a', 'y')])
    expect(ops(simplify(last))).toBe('Relu Identity')
  })

  const target: Record<string, Weight> = { ...weights, sizes: int64(1, 2, 6, 6), column: floats([2, 1, 1], [3, 5]) }

  it('removes an Expand before a product that broadcasts itself', () => {
    expect(
      ops(
        simplify(
          graphOf(
            [node('GlobalAveragePool', 'input', 'g'), node('Expand', 'g sizes', 'e'), node('Mul', 'input e', 'y')],
            target,
          ),
        ),
      ),
    ).toBe('GlobalAveragePool Mul')
  })

  it('keeps an Expand that makes the result larger, and two Expands that do so together', () => {
    const mean = node('GlobalAveragePool', 'input', 'g')
    expect(ops(simplify(graphOf([mean, node('Expand', 'g sizes', 'e'), node('Mul', 'e column', 'y')], target)))).toBe(
      'GlobalAveragePool Expand Mul',
    )
    expect(
      ops(
        simplify(
          graphOf(
            [
              mean,
              node('Expand', 'g sizes', 'e'),
              node('Relu', 'g', 'r'),
              node('Expand', 'r sizes', 'f'),
              node('Add', 'e f', 'y'),
            ],
            target,
          ),
        ),
      ),
    ).toBe('GlobalAveragePool Expand Relu Expand Add')
  })
})

describe('shuffle', () => {
  const shuffle = (perm: readonly number[]): NodeSpec[] => [
    node('Reshape', 'input apart', 'a'),
    node('Transpose', 'a', 'b', { perm }),
    node('Reshape', 'b together', 'y'),
  ]
  const shapes = { apart: int64(1, 2, 1, 6, 6), together: int64(1, 2, 6, 6) }

  it('turns Reshape, Transpose, Reshape that swap groups of channels into one ChannelShuffle', () => {
    expect(ops(recognizeShuffles(graphOf(shuffle([0, 2, 1, 3, 4]), shapes)))).toBe('ChannelShuffle')
  })

  it('keeps other transpositions', () => {
    expect(ops(recognizeShuffles(graphOf(shuffle([0, 1, 2, 4, 3]), shapes)))).toBe('Reshape Transpose Reshape')
  })
})

describe('transpose', () => {
  const there = node('Transpose', 'input', 'a', { perm: [0, 2, 3, 1] })
  const back = (from: string): NodeSpec => node('Transpose', from, 'y', { perm: [0, 3, 1, 2] })

  it('moves a Transpose behind element-wise nodes, with their constants and axes', () => {
    const sunk = sinkTransposes(
      graphOf([there, node('Mul', 'a last', 'b'), node('Concat', 'b b', 'c', { axis: 3 }), back('c')], {
        last: floats([2], [3, 5]),
      }),
    )
    expect(ops(sunk)).toBe('Mul Concat Identity')
    expect(sunk.constants.get(sunk.nodes[0]!.inputs[1]!)!.shape).toEqual([1, 2, 1, 1])
    expect(sunk.nodes[1]!.attributes['axis']).toEqual({ kind: 'int', value: 1 })
  })

  it('keeps a Transpose before one of another order, and before a computed operand in another order', () => {
    expect(ops(sinkTransposes(graphOf([there, node('Transpose', 'a', 'y', { perm: [0, 2, 1, 3] })])))).toBe(
      'Transpose Transpose',
    )
    const turned = node('Transpose', 'input', 'b', { perm: [0, 3, 2, 1] })
    expect(ops(sinkTransposes(graphOf([there, turned, node('Add', 'a b', 'c'), back('c')])))).toBe(
      'Transpose Transpose Add Transpose',
    )
  })
})

describe('clip', () => {
  const clipOf = (...nodes: readonly NodeSpec[]): string => {
    const graph = mergeClips(graphOf(nodes, weights))
    return graph.nodes
      .map(({ op, inputs }) => [op, ...inputs.slice(1).map((name) => constant(graph, name))].join(' '))
      .join(', ')
  }

  it('joins bounds, and the later ones limit the earlier ones', () => {
    expect(clipOf(node('Max', 'input zero', 'a'), node('Min', 'a six', 'y'))).toBe('Clip 0 6')
    expect(clipOf(node('Relu', 'input', 'a'), node('Clip', 'a two six', 'y'))).toBe('Clip 2 6')
    expect(clipOf(node('Clip', 'input two six', 'a'), node('Min', 'one a', 'y'))).toBe('Clip 1 1')
    expect(clipOf(node('Max', 'zero input', 'y'))).toBe('Relu')
  })

  it('keeps a bound per channel, bounds with another reader, and bounds with low > high', () => {
    expect(ops(mergeClips(graphOf([node('Max', 'input each', 'y')], weights)))).toBe('Max')
    expect(
      ops(mergeClips(graphOf([node('Relu', 'input', 'a'), node('Clip', 'a zero six', 'y')], weights, ['a', 'y']))),
    ).toBe('Relu Clip')
    expect(ops(mergeClips(graphOf([node('Relu', 'input', 'a'), node('Clip', 'a six zero', 'y')], weights)))).toBe(
      'Relu Clip',
    )
  })
})

describe('mean', () => {
  it('recognizes a mean over height and width as global average pooling', () => {
    expect(ops(recognizeMeans(graphOf([node('ReduceMean', 'input', 'y', { axes: [2, 3], keepdims: 1 })])))).toBe(
      'GlobalAveragePool',
    )
    expect(ops(recognizeMeans(graphOf([node('ReduceMean', 'input', 'y', { axes: [2, 3], keepdims: 0 })])))).toBe(
      'GlobalAveragePool Reshape',
    )
    expect(ops(recognizeMeans(graphOf([node('AveragePool', 'input', 'y', { kernel_shape: [6, 6] })])))).toBe(
      'GlobalAveragePool',
    )
    expect(ops(recognizeMeans(graphOf([node('ReduceMean', 'input', 'y', { axes: [1, 2], keepdims: 1 })])))).toBe(
      'ReduceMean',
    )
    expect(ops(recognizeMeans(graphOf([node('AveragePool', 'input', 'y', { kernel_shape: [6, 5] })])))).toBe(
      'AveragePool',
    )
  })

  it.each([
    ['a mean of one axis', [node('ReduceMean', 'input', 'y', { axes: [2] })]],
    ['a mean of channels too', [node('ReduceMean', 'input', 'y', { axes: [1, 2, 3] })]],
    ['a sum divided by something else', [node('ReduceSum', 'input places', 'a'), node('Div', 'a six', 'y')]],
    ['an average of padded windows', [node('AveragePool', 'input', 'y', { kernel_shape: [6, 6], pads: [1, 1, 1, 1] })]],
  ])('keeps %s', (_, nodes) => {
    expect(ops(recognizeMeans(graphOf(nodes, { ...weights, places: int64(2, 3) })))).not.toContain('GlobalAveragePool')
  })
})

describe('patterns', () => {
  const three = { three: floats([], [3]), zero: floats([], [0]), six: floats([], [6]) }
  const swish = [
    node('Add', 'input three', 'a'),
    node('Clip', 'a zero six', 'b'),
    node('Mul', 'input b', 'c'),
    node('Div', 'c six', 'y'),
  ]

  it('recognizes HardSwish, SiLU and Gelu as exporters spell them out', () => {
    expect(ops(recognizePatterns(graphOf(swish, three)))).toBe('HardSwish')
    expect(ops(recognizePatterns(graphOf([node('Sigmoid', 'input', 'a'), node('Mul', 'a input', 'y')])))).toBe('SiLU')
    const gelu = [
      node('Div', 'input root', 'a'),
      node('Erf', 'a', 'b'),
      node('Add', 'b one', 'c'),
      node('Mul', 'input c', 'd'),
      node('Mul', 'd half', 'y'),
    ]
    const numbers = { root: floats([], [Math.SQRT2]), one: floats([], [1]), half: floats([], [0.5]) }
    expect(ops(recognizePatterns(graphOf(gelu, numbers)))).toBe('Gelu')
  })

  it('keeps chains with other numbers, and chains of which another node reads a part', () => {
    expect(ops(recognizePatterns(graphOf(swish, { ...three, three: floats([], [2]) })))).not.toContain('HardSwish')
    expect(
      ops(recognizePatterns(graphOf([node('Sigmoid', 'input', 'a'), node('Mul', 'a input', 'y')], {}, ['y', 'a']))),
    ).toBe('Sigmoid Mul')
  })
})

describe('patterns and layer-norm', () => {
  it('keep a sigmoid of another value, and a deviation from another mean', () => {
    const numbers = { ...weights, small: floats([], [1e-5]) }
    const quotient = [
      node('Neg', 'input', 'a'),
      node('Exp', 'a', 'b'),
      node('Add', 'b two', 'c'),
      node('Div', 'one c', 'y'),
    ]
    expect(ops(recognizePatterns(graphOf(quotient, numbers)))).toBe('Neg Exp Add Div')
    const norm = (axes: readonly number[]): NodeSpec[] => [
      node('ReduceMean', 'input', 'a', { axes: [1] }),
      node('Sub', 'input a', 'b'),
      node('Mul', 'b b', 'c'),
      node('ReduceMean', 'c', 'd', { axes }),
      node('Add', 'd small', 'e'),
      node('Sqrt', 'e', 'f'),
      node('Div', 'b f', 'y'),
    ]
    expect(ops(recognizeLayerNorms(graphOf(norm([1]), numbers)))).toBe('ChannelNormalization')
    expect(ops(recognizeLayerNorms(graphOf(norm([2]), numbers)))).toContain('Div')
  })
})

describe('taps', () => {
  const w = floats(
    [2, 2, 3, 3],
    Array.from({ length: 36 }, (_, i) => i),
  )
  const conv = (attributes: NonNullable<NodeSpec['attributes']>) =>
    dropTaps(graphOf([node('Conv', 'input w', 'y', attributes)], { w }))

  it('makes a 1×1 convolution of one whose other taps lie over padding at every place', () => {
    const graph = conv({ dilations: [6, 6], pads: [6, 6, 6, 6] })
    const [, weights] = graph.nodes[0]!.inputs
    expect(constant(graph, weights!)).toEqual([4, 13, 22, 31])
    expect(graph.nodes[0]!.attributes['pads']).toEqual({ kind: 'ints', value: [0, 0, 0, 0] })
  })

  it('drops rows and columns by themselves, and keeps the size', () => {
    const graph = conv({ dilations: [7, 1], pads: [7, 1, 9, 1] })
    const [, weights] = graph.nodes[0]!.inputs
    expect(graph.constants.get(weights!)!.shape).toEqual([2, 2, 2, 3])
    expect(graph.nodes[0]!.attributes['pads']).toEqual({ kind: 'ints', value: [7, 1, 2, 1] })
  })

  it('keeps a kernel whose taps all reach the picture', () => {
    const graph = graphOf([node('Conv', 'input w', 'y', { dilations: [5, 5], pads: [5, 5, 5, 5] })], { w })
    expect(dropTaps(graph)).toBe(graph)
  })
})

describe('pad', () => {
  const window = { kernel_shape: [3, 3], pads: [1, 0, 0, 0] }
  const weights = { w: floats([2, 2, 3, 3], new Float32Array(36)), one: int64(0, 0, 0, 1, 0, 0, 2, 1) }

  it("adds the zeros of a Pad to a convolution's own", () => {
    const fused = fusePads(graphOf([node('Pad', 'input one', 'a'), node('Conv', 'a w', 'y', window)], weights))
    expect(ops(fused)).toBe('Conv')
    expect(fused.nodes[0]!.attributes['pads']).toEqual({ kind: 'ints', value: [1, 1, 2, 1] })
  })

  it('makes an average count the zeros of a Pad', () => {
    const fused = fusePads(
      graphOf([node('Pad', 'input one', 'a'), node('AveragePool', 'a', 'y', { kernel_shape: [3, 3] })], weights),
    )
    expect(ops(fused)).toBe('AveragePool')
    expect(fused.nodes[0]!.attributes['count_include_pad']).toEqual({ kind: 'int', value: 1 })
  })

  it.each([
    ['another value than zero', [node('Pad', 'input one five', 'a'), node('Conv', 'a w', 'y')]],
    ['a mirror', [node('Pad', 'input one', 'a', { mode: 'reflect' }), node('Conv', 'a w', 'y')]],
    ['channels', [node('Pad', 'input channel', 'a'), node('Conv', 'a w3', 'y')]],
    ['the input of a maximum', [node('Pad', 'input one', 'a'), node('MaxPool', 'a', 'y', { kernel_shape: [3, 3] })]],
    [
      'an average that does not count its own pads',
      [node('Pad', 'input one', 'a'), node('AveragePool', 'a', 'y', window)],
    ],
  ])('keeps a Pad of %s', (_, nodes) => {
    const more = {
      ...weights,
      five: floats([], [5]),
      channel: int64(0, 1, 0, 0, 0, 0, 0, 0),
      w3: floats([2, 3, 3, 3], new Float32Array(54)),
    }
    expect(ops(fusePads(graphOf(nodes, more)))).toMatch(/^Pad /)
  })

  const maximum = (first: string, pad: string): string =>
    ops(
      fusePads(
        graphOf(
          [node(first, 'input', 'a'), node('Pad', pad, 'b'), node('MaxPool', 'b', 'y', { kernel_shape: [3, 3] })],
          {
            ...weights,
            around: int64(0, 0, 1, 1, 0, 0, 1, 1),
            far: int64(0, 0, 3, 3, 0, 0, 3, 3),
            least: floats([], [-Infinity]),
          },
        ),
      ),
    )

  it('fuses minus infinity into a maximum, and zeros around a map that is never negative', () => {
    expect(maximum('Exp', 'a around least')).toBe('Exp MaxPool')
    expect(maximum('Relu', 'a around')).toBe('Relu MaxPool')
    expect(maximum('Tanh', 'a around')).toBe('Tanh Pad MaxPool')
    expect(maximum('Relu', 'a far least')).toBe('Relu Pad MaxPool')
  })
})
