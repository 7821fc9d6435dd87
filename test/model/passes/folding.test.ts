/**
 * The passes that move and join linear maps, and what they must leave alone. What they make of graphs that exporters
 * write is in the corpus; here are the neighbours of those graphs, of which the same would be wrong.
 */
import { describe, expect, it } from 'vitest'
import { foldBatchNorms } from '../../../src/model/passes/batch-norm.js'
import { mergeClips } from '../../../src/model/passes/clip.js'
import { hoistAboveConcat } from '../../../src/model/passes/concat.js'
import { convolveNorms } from '../../../src/model/passes/depthwise.js'
import { recognizeLayerNorms } from '../../../src/model/passes/layer-norm.js'
import { foldMatrices } from '../../../src/model/passes/matrix.js'
import { recognizeMeans } from '../../../src/model/passes/mean.js'
import { fusePads } from '../../../src/model/passes/pad.js'
import { mergeParallel } from '../../../src/model/passes/parallel.js'
import { recognizePatterns } from '../../../src/model/passes/patterns.js'
import { commutePools } from '../../../src/model/passes/pool.js'
import { fuseResiduals } from '../../../src/model/passes/residual.js'
import { simplify } from '../../../src/model/passes/simplify.js'
import { sinkTransposes } from '../../../src/model/passes/transpose.js'
import { floats, int64, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { constant, graphOf, node, ops, pointwise } from './graphs.js'

const weights: Record<string, Weight> = {
  w: pointwise,
  w3: floats(
    [2, 2, 3, 3],
    Float32Array.from({ length: 36 }, (_, i) => i / 10),
  ),
  deep: floats([2, 1, 1, 1], [10, 20]),
  one: floats([], [1]),
  two: floats([], [2]),
  six: floats([], [6]),
  zero: floats([], [0]),
  minus: floats([2, 1, 1], [1, -1]),
  each: floats([2, 1, 1], [3, 5]),
}
const padded = { pads: [1, 1, 1, 1] }

describe('clip', () => {
  const clipOf = (...nodes: readonly NodeSpec[]): string => {
    const graph = mergeClips(graphOf(nodes, weights))
    return graph.nodes
      .map(({ op, inputs }) => [op, ...inputs.slice(1).map((name) => constant(graph, name))].join(' '))
      .join(', ')
  }

  it('joins bounds, the later ones last', () => {
    expect(clipOf(node('Max', 'input zero', 'a'), node('Min', 'a six', 'y'))).toBe('Clip 0 6')
    expect(clipOf(node('Relu', 'input', 'a'), node('Clip', 'a two six', 'y'))).toBe('Clip 2 6')
    expect(clipOf(node('Clip', 'input two six', 'a'), node('Min', 'one a', 'y'))).toBe('Clip 1 1')
    expect(clipOf(node('Max', 'zero input', 'y'))).toBe('Relu')
  })

  it('leaves a bound for each channel, one that somebody else reads, and bounds that cross', () => {
    expect(ops(mergeClips(graphOf([node('Max', 'input each', 'y')], weights)))).toBe('Max')
    expect(
      ops(mergeClips(graphOf([node('Relu', 'input', 'a'), node('Clip', 'a zero six', 'y')], weights, ['a', 'y']))),
    ).toBe('Relu Clip')
    expect(ops(mergeClips(graphOf([node('Relu', 'input', 'a'), node('Clip', 'a six zero', 'y')], weights)))).toBe(
      'Relu Clip',
    )
  })
})

describe('simplify', () => {
  const target: Record<string, Weight> = { ...weights, sizes: int64(1, 2, 6, 6), column: floats([2, 1, 1], [3, 5]) }

  it('takes out an Expand before a sum or product that broadcasts anyway', () => {
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

  it('leaves an Expand that makes the result larger, and both where two of them do', () => {
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

describe('mean', () => {
  it.each([
    ['a mean of one axis', [node('ReduceMean', 'input', 'y', { axes: [2] })]],
    ['a mean of channels too', [node('ReduceMean', 'input', 'y', { axes: [1, 2, 3] })]],
    ['a sum divided by something else', [node('ReduceSum', 'input places', 'a'), node('Div', 'a six', 'y')]],
    ['an average of padded windows', [node('AveragePool', 'input', 'y', { kernel_shape: [6, 6], pads: [1, 1, 1, 1] })]],
  ])('leaves %s', (_, nodes) => {
    expect(ops(recognizeMeans(graphOf(nodes, { ...weights, places: int64(2, 3) })))).not.toContain('GlobalAveragePool')
  })
})

describe('batch-norm', () => {
  it('takes a scale into the convolutions behind it, all of them or none', () => {
    const both = [
      node('Mul', 'input each', 'a'),
      node('Conv', 'a w', 'b'),
      node('Conv', 'a w3', 'c', padded),
      node('Add', 'b c', 'y'),
    ]
    const folded = foldBatchNorms(graphOf(both, weights))
    expect(ops(folded)).toBe('Conv Conv Add')
    expect(constant(folded, folded.nodes[0]!.inputs[1]!)).toEqual([3, 10, 9, 20])
    expect(
      ops(foldBatchNorms(graphOf([...both.slice(0, 3), node('Relu', 'a', 'd'), node('Sum', 'b c d', 'y')], weights))),
    ).toBe('Mul Conv Conv Relu Sum')
  })

  it('takes an offset in where nothing is padded', () => {
    const folded = foldBatchNorms(graphOf([node('Add', 'input each', 'a'), node('Conv', 'a w', 'y')], weights))
    expect(ops(folded)).toBe('Conv')
    expect(constant(folded, folded.nodes[0]!.inputs[2]!)).toEqual([13, 29])
    expect(
      ops(foldBatchNorms(graphOf([node('Add', 'input each', 'a'), node('Conv', 'a w3', 'y', padded)], weights))),
    ).toBe('Add Conv')
  })

  it('takes a scale through a Relu only where it keeps the sign', () => {
    const behind = (factor: string): NodeSpec[] => [
      node('Conv', 'input w', 'a'),
      node('Relu', 'a', 'b'),
      node('Mul', `b ${factor}`, 'y'),
    ]
    expect(ops(foldBatchNorms(graphOf(behind('each'), weights)))).toBe('Conv Relu')
    expect(ops(foldBatchNorms(graphOf(behind('minus'), weights)))).toBe('Conv Relu Mul')
  })
})

describe('depthwise', () => {
  it('makes one step of a chain, and leaves a single sum or product', () => {
    const folded = convolveNorms(
      graphOf([node('Mul', 'input each', 'a'), node('Add', 'a one', 'b'), node('Sub', 'six b', 'y')], weights),
    )
    expect(ops(folded)).toBe('Conv')
    expect(folded.nodes[0]!.inputs.slice(1).map((name) => constant(folded, name))).toEqual([
      [-3, -5],
      [5, 5],
    ])
    expect(ops(convolveNorms(graphOf([node('Mul', 'input each', 'y')], weights)))).toBe('Mul')
  })
})

describe('concat', () => {
  it('moves above it what a convolution can take in, and nothing else', () => {
    const behind = (op: NodeSpec, first: NodeSpec): string =>
      ops(
        hoistAboveConcat(
          graphOf([first, node('Concat', 'a input', 'b', { axis: 1 }), op], {
            ...weights,
            four: floats([4, 1, 1], [1, 2, 3, 4]),
          }),
        ),
      )
    expect(behind(node('Mul', 'b four', 'y'), node('Conv', 'input w', 'a'))).toBe('Conv Mul Add Concat')
    expect(behind(node('Relu', 'b', 'y'), node('Conv', 'input w', 'a'))).toBe('Conv Relu Relu Concat')
    expect(behind(node('Relu', 'b', 'y'), node('Exp', 'input', 'a'))).toBe('Exp Concat Relu')
  })
})

describe('parallel', () => {
  const sum = (first: NodeSpec, second: NodeSpec, op = 'Add'): NodeSpec[] => [first, second, node(op, 'a b', 'y')]

  it('lays the smaller kernel into the larger one, a depthwise one onto the diagonal', () => {
    const dense = mergeParallel(
      graphOf(sum(node('Conv', 'input w', 'a'), node('Conv', 'input deep', 'b', { group: 2 }), 'Sub'), weights),
    )
    expect(ops(dense)).toBe('Conv')
    expect(constant(dense, dense.nodes[0]!.inputs[1]!)).toEqual([1 - 10, 2, 3, 4 - 20])
    const wide = mergeParallel(
      graphOf(sum(node('Conv', 'input w', 'a'), node('Conv', 'input w3', 'b', padded)), weights),
    )
    expect(constant(wide, wide.nodes[0]!.inputs[1]!).slice(0, 9)).toEqual(
      [0, 0.1, 0.2, 0.3, 1.4, 0.5, 0.6, 0.7, 0.8].map(Math.fround),
    )
  })

  it.each([
    ['other values', [node('Exp', 'input', 'x'), ...sum(node('Conv', 'input w', 'a'), node('Conv', 'x w', 'b'))]],
    ['other places', sum(node('Conv', 'input w3', 'a', { pads: [2, 1, 0, 1] }), node('Conv', 'input w3', 'b', padded))],
    [
      'other distances',
      sum(
        node('Conv', 'input w3', 'a', { ...padded, dilations: [1, 1] }),
        node('Conv', 'input w3', 'b', { pads: [2, 2, 2, 2], dilations: [2, 2] }),
      ),
    ],
    [
      'what an activation changed',
      [node('Conv', 'input w', 'a'), node('Conv', 'input w', 'x'), node('Relu', 'x', 'b'), node('Add', 'a b', 'y')],
    ],
  ])('leaves convolutions of %s', (_, nodes) => {
    expect(ops(mergeParallel(graphOf(nodes, weights))).match(/Conv/g)).toHaveLength(2)
  })
})

describe('pool', () => {
  const convolution = node('Conv', 'input w', 'a')
  const pooled = (op: string, attributes: NonNullable<NodeSpec['attributes']>): string =>
    ops(commutePools(graphOf([convolution, node(op, 'a', 'y', attributes)], weights)))

  it('averages before a 1×1 convolution where that leaves fewer places', () => {
    expect(pooled('AveragePool', { kernel_shape: [2, 2], strides: [2, 2] })).toBe('AveragePool Conv')
    expect(pooled('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })).toBe('Conv AveragePool')
    expect(pooled('MaxPool', { kernel_shape: [2, 2], strides: [2, 2] })).toBe('Conv MaxPool')
  })

  it('bounds before a maximum where a convolution takes the bounds in', () => {
    const maximum = [node('MaxPool', 'a', 'b', { kernel_shape: [2, 2] }), node('Relu', 'b', 'y')]
    expect(ops(commutePools(graphOf([convolution, ...maximum], weights)))).toBe('Conv Relu MaxPool')
    expect(ops(commutePools(graphOf([node('Exp', 'input', 'a'), ...maximum], weights)))).toBe('Exp MaxPool Relu')
  })
})

describe('matrix', () => {
  const head = (between: string): NodeSpec[] => [
    node('GlobalAveragePool', 'input', 'a'),
    node('Conv', 'a wide', 'b'),
    ...(between === '' ? [] : [node(between, 'b', 'c')]),
    node('Flatten', between === '' ? 'b' : 'c', 'd'),
    node('Gemm', 'd last', 'y', { transB: 1 }),
  ]
  const more = {
    ...weights,
    wide: floats(
      [8, 2, 1, 1],
      Float32Array.from({ length: 16 }, (_, i) => i),
    ),
    last: floats([1, 8], new Float32Array(8).fill(1)),
  }

  it('multiplies two matrices with nothing between', () => {
    const folded = foldMatrices(graphOf(head(''), more))
    expect(ops(folded)).toBe('GlobalAveragePool Reshape Gemm')
    expect(constant(folded, folded.nodes[2]!.inputs[1]!)).toEqual([56, 64])
  })

  it('leaves them where an activation stands between', () => {
    expect(ops(foldMatrices(graphOf(head('Relu'), more)))).toBe('GlobalAveragePool Conv Relu Flatten Gemm')
  })
})

describe('pad', () => {
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

  it('before a maximum adds minus infinity, or zeros around what is not negative', () => {
    expect(maximum('Exp', 'a around least')).toBe('Exp MaxPool')
    expect(maximum('Relu', 'a around')).toBe('Relu MaxPool')
    expect(maximum('Tanh', 'a around')).toBe('Tanh Pad MaxPool')
    expect(maximum('Relu', 'a far least')).toBe('Relu Pad MaxPool')
  })
})

describe('transpose', () => {
  const there = node('Transpose', 'input', 'a', { perm: [0, 2, 3, 1] })
  const back = (from: string): NodeSpec => node('Transpose', from, 'y', { perm: [0, 3, 1, 2] })

  it('goes behind what works on each element, with its constants and axes', () => {
    const sunk = sinkTransposes(
      graphOf([there, node('Mul', 'a last', 'b'), node('Concat', 'b b', 'c', { axis: 3 }), back('c')], {
        last: floats([2], [3, 5]),
      }),
    )
    expect(ops(sunk)).toBe('Mul Concat Identity')
    expect(sunk.constants.get(sunk.nodes[0]!.inputs[1]!)!.shape).toEqual([1, 2, 1, 1])
    expect(sunk.nodes[1]!.attributes['axis']).toEqual({ kind: 'int', value: 1 })
  })

  it('stays where another order follows, and before a value for each place that comes at run time', () => {
    expect(ops(sinkTransposes(graphOf([there, node('Transpose', 'a', 'y', { perm: [0, 2, 1, 3] })])))).toBe(
      'Transpose Transpose',
    )
    const turned = node('Transpose', 'input', 'b', { perm: [0, 3, 2, 1] })
    expect(ops(sinkTransposes(graphOf([there, turned, node('Add', 'a b', 'c'), back('c')])))).toBe(
      'Transpose Transpose Add Transpose',
    )
  })
})

describe('patterns and layer norm', () => {
  it('leave a sigmoid of something else, and a deviation from another mean', () => {
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

describe('residual', () => {
  it('waits for what is made later', () => {
    const fused = fuseResiduals(
      graphOf([node('Conv', 'input w', 'a'), node('Exp', 'input', 'b'), node('Add', 'a b', 'y')], weights),
    )
    expect(fused.nodes.map(({ op, inputs }) => [op, ...inputs])).toEqual([
      ['Exp', 'input'],
      ['Conv', 'input', 'w', '', 'b'],
    ])
  })
})
