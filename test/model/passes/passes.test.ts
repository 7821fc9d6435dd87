/**
 * Each pass by itself: what it makes of the smallest graph that it is for, and what it leaves alone. That the results
 * stay right is the parity tests' work; here the nodes that are left are named.
 */
import { describe, expect, it } from 'vitest'
import { fuseActivations } from '../../../src/model/passes/activation.js'
import { foldBatchNorms } from '../../../src/model/passes/batch-norm.js'
import { commuteGap, fuseGap } from '../../../src/model/passes/gap.js'
import { recognizeMeans } from '../../../src/model/passes/mean.js'
import { fusePads } from '../../../src/model/passes/pad.js'
import { recognizePatterns } from '../../../src/model/passes/patterns.js'
import { fuseResiduals } from '../../../src/model/passes/residual.js'
import { recognizeShuffles } from '../../../src/model/passes/shuffle.js'
import { simplify } from '../../../src/model/passes/simplify.js'
import { floats, int64, type NodeSpec } from '../../onnx-builder.js'
import { constant, graphOf, node, ops, pointwise } from './graphs.js'

describe('simplify', () => {
  it('removes what changes nothing, in chains too', () => {
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

  it('keeps movements that move, and whatever makes an output', () => {
    const moving = graphOf([node('Transpose', 'input', 'a', { perm: [0, 1, 3, 2] }), node('Relu', 'a', 'y')])
    expect(simplify(moving)).toBe(moving)
    const last = graphOf([node('Relu', 'input', 'a'), node('Identity', 'a', 'y')])
    expect(ops(simplify(last))).toBe('Relu Identity')
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

  it('knows HardSwish, SiLU and GELU as exporters spell them out', () => {
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

  it('knows a mean over height and width as global average pooling', () => {
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

  it('is not taken in by other numbers, nor by a part that somebody else reads', () => {
    expect(ops(recognizePatterns(graphOf(swish, { ...three, three: floats([], [2]) })))).not.toContain('HardSwish')
    expect(
      ops(recognizePatterns(graphOf([node('Sigmoid', 'input', 'a'), node('Mul', 'a input', 'y')], {}, ['y', 'a']))),
    ).toBe('Sigmoid Mul')
  })
})

describe('shuffle', () => {
  const shuffle = (perm: readonly number[]): NodeSpec[] => [
    node('Reshape', 'input apart', 'a'),
    node('Transpose', 'a', 'b', { perm }),
    node('Reshape', 'b together', 'y'),
  ]
  const shapes = { apart: int64(1, 2, 1, 6, 6), together: int64(1, 2, 6, 6) }

  it('makes one step of Reshape, Transpose, Reshape that swap groups of channels', () => {
    expect(ops(recognizeShuffles(graphOf(shuffle([0, 2, 1, 3, 4]), shapes)))).toBe('ChannelShuffle')
  })

  it('leaves other transpositions', () => {
    expect(ops(recognizeShuffles(graphOf(shuffle([0, 1, 2, 4, 3]), shapes)))).toBe('Reshape Transpose Reshape')
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

  it('makes an average count them', () => {
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
      'an average with uncounted pads of its own',
      [node('Pad', 'input one', 'a'), node('AveragePool', 'a', 'y', window)],
    ],
  ])('leaves a Pad of %s', (_, nodes) => {
    const more = {
      ...weights,
      five: floats([], [5]),
      channel: int64(0, 1, 0, 0, 0, 0, 0, 0),
      w3: floats([2, 3, 3, 3], new Float32Array(54)),
    }
    expect(ops(fusePads(graphOf(nodes, more)))).toMatch(/^Pad /)
  })
})

describe('batch-norm', () => {
  const statistics = {
    w: pointwise,
    scale: floats([2], [2, 3]),
    offset: floats([2], [10, 20]),
    mean: floats([2], [1, 2]),
    variance: floats([2], [4, 9]),
  }

  it('scales the weights and shifts the bias', () => {
    const folded = foldBatchNorms(
      graphOf(
        [
          node('Conv', 'input w', 'a'),
          node('BatchNormalization', 'a scale offset mean variance', 'y', { epsilon: { float: 0 } }),
        ],
        statistics,
      ),
    )
    expect(ops(folded)).toBe('Conv')
    const [, weights, bias] = folded.nodes[0]!.inputs
    expect(constant(folded, weights!)).toEqual([1, 2, 3, 4]) // scale / sqrt(variance) is 1 for both
    expect(constant(folded, bias!)).toEqual([9, 18])
  })

  it('takes in what exporters split it into, one after the other', () => {
    const nodes = [
      node('Conv', 'input w b', 'a'),
      node('Mul', 'a factor', 'c'),
      node('Add', 'shift c', 'd'),
      node('Sub', 'd half', 'y'),
    ]
    const folded = foldBatchNorms(
      graphOf(nodes, {
        w: pointwise,
        b: floats([2], [1, 1]),
        factor: floats([2, 1, 1], [10, 100]),
        shift: floats([1, 2, 1, 1], [5, 7]),
        half: floats([], [0.5]),
      }),
    )
    expect(ops(folded)).toBe('Conv')
    const [, weights, bias] = folded.nodes[0]!.inputs
    expect(constant(folded, weights!)).toEqual([10, 20, 300, 400])
    expect(constant(folded, bias!)).toEqual([14.5, 106.5])
  })

  it('leaves a convolution whose own result somebody reads, and a factor for each pixel', () => {
    const norm = node('BatchNormalization', 'a scale offset mean variance', 'y')
    expect(ops(foldBatchNorms(graphOf([node('Conv', 'input w', 'a'), norm], statistics, ['y', 'a'])))).toBe(
      'Conv BatchNormalization',
    )
    const pixels = { w: pointwise, each: floats([6, 6], new Float32Array(36).fill(2)) }
    expect(ops(foldBatchNorms(graphOf([node('Conv', 'input w', 'a'), node('Mul', 'a each', 'y')], pixels)))).toBe(
      'Conv Mul',
    )
  })
})

describe('gap-commute and gap', () => {
  const chain = [node('Conv', 'input w', 'a'), node('GlobalAveragePool', 'a', 'y')]

  it('average first where a 1×1 convolution follows as well', () => {
    expect(ops(commuteGap(graphOf(chain, { w: pointwise })))).toBe('GlobalAveragePool Conv')
  })

  it("keep the order where an activation or the map's reader stands between, or the kernel is larger", () => {
    expect(
      ops(
        commuteGap(graphOf([chain[0]!, node('Relu', 'a', 'b'), node('GlobalAveragePool', 'b', 'y')], { w: pointwise })),
      ),
    ).toBe('Conv Relu GlobalAveragePool')
    expect(ops(commuteGap(graphOf(chain, { w: pointwise }, ['y', 'a'])))).toBe('Conv GlobalAveragePool')
    expect(ops(commuteGap(graphOf(chain, { w: floats([2, 2, 3, 3], new Float32Array(36)) })))).toBe(
      'Conv GlobalAveragePool',
    )
  })

  it('fuse the mean into the convolution; the map is stored only where it is asked for', () => {
    expect(fuseGap(graphOf(chain, { w: pointwise })).nodes.map(({ op, outputs }) => [op, outputs])).toEqual([
      ['Conv', ['', 'y']],
    ])
    expect(fuseGap(graphOf(chain, { w: pointwise }, ['y', 'a'])).nodes.map(({ outputs }) => outputs)).toEqual([
      ['a', 'y'],
    ])
  })
})

describe('residual', () => {
  it('gives the later of two convolutions the other operand', () => {
    const fused = fuseResiduals(
      graphOf([node('Conv', 'input w', 'a'), node('Conv', 'a w', 'b'), node('Add', 'input b', 'y')], { w: pointwise }),
    )
    expect(fused.nodes.map(({ op, inputs }) => [op, inputs])).toEqual([
      ['Conv', ['input', 'w']],
      ['Conv', ['a', 'w', '', 'input']],
    ])
  })

  it('leaves a sum that broadcasts, and one of a value with itself', () => {
    const gate = graphOf(
      [node('GlobalAveragePool', 'input', 'b'), node('Conv', 'input w', 'a'), node('Add', 'a b', 'y')],
      { w: pointwise },
    )
    expect(ops(fuseResiduals(gate))).toContain('Add')
    expect(ops(fuseResiduals(graphOf([node('Conv', 'input w', 'a'), node('Add', 'a a', 'y')], { w: pointwise })))).toBe(
      'Conv Add',
    )
  })
})

describe('activation', () => {
  it.each(['Relu', 'Sigmoid', 'Tanh', 'HardSwish', 'Softplus', 'Elu', 'LeakyRelu', 'HardSigmoid'])(
    '%s becomes the last act of the convolution before it',
    (op) => {
      const fused = fuseActivations(graphOf([node('Conv', 'input w', 'a'), node(op, 'a', 'y')], { w: pointwise }))
      expect(ops(fused)).toBe('Conv')
      expect(fused.nodes[0]!.outputs).toEqual(['y'])
      expect(fused.nodes[0]!.attributes['gapcam.activation']).toEqual({
        kind: 'string',
        value: op[0]!.toLowerCase() + op.slice(1),
      })
    },
  )

  it('takes the bounds of a Clip along', () => {
    const fused = fuseActivations(
      graphOf([node('Conv', 'input w', 'a'), node('Clip', 'a low high', 'y')], {
        w: pointwise,
        low: floats([], [-1]),
        high: floats([], [6]),
      }),
    )
    expect(fused.nodes[0]!.attributes).toMatchObject({
      'gapcam.activation': { value: 'clip' },
      'gapcam.a': { value: -1 },
      'gapcam.b': { value: 6 },
    })
  })

  it('leaves one whose operand somebody else reads, or that is second to another', () => {
    expect(
      ops(
        fuseActivations(graphOf([node('Conv', 'input w', 'a'), node('Relu', 'a', 'y')], { w: pointwise }, ['y', 'a'])),
      ),
    ).toBe('Conv Relu')
    expect(
      ops(
        fuseActivations(
          graphOf([node('Conv', 'input w', 'a'), node('Relu', 'a', 'b'), node('Tanh', 'b', 'y')], { w: pointwise }),
        ),
      ),
    ).toBe('Conv Tanh')
  })
})
