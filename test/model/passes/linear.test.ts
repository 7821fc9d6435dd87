/** Passes that fold linear maps into each other, each on the smallest graph, and the graphs that they must leave alone. */
import { describe, expect, it } from 'vitest'
import { foldBatchNorms } from '../../../src/model/passes/batch-norm.js'
import { hoistAboveConcat } from '../../../src/model/passes/concat.js'
import { convolveNorms } from '../../../src/model/passes/depthwise.js'
import { commuteGap } from '../../../src/model/passes/gap.js'
import { foldMatrices } from '../../../src/model/passes/matrix.js'
import { mergeParallel } from '../../../src/model/passes/parallel.js'
import { commutePools } from '../../../src/model/passes/pool.js'
import { floats, type NodeSpec } from '../../onnx-builder.js'
import { constant, graphOf, node, ops, padded, pointwise, weights } from './graphs.js'

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

  it('folds a Mul, an Add and a Sub into which an exporter splits it', () => {
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

  it('keeps a norm of a result with another reader, and a factor per pixel', () => {
    const norm = node('BatchNormalization', 'a scale offset mean variance', 'y')
    expect(ops(foldBatchNorms(graphOf([node('Conv', 'input w', 'a'), norm], statistics, ['y', 'a'])))).toBe(
      'Conv BatchNormalization',
    )
    const pixels = { w: pointwise, each: floats([6, 6], new Float32Array(36).fill(2)) }
    expect(ops(foldBatchNorms(graphOf([node('Conv', 'input w', 'a'), node('Mul', 'a each', 'y')], pixels)))).toBe(
      'Conv Mul',
    )
  })

  it('folds a scale into all convolutions behind it, or into none', () => {
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

  it('folds an offset into the convolution behind it unless that pads', () => {
    const folded = foldBatchNorms(graphOf([node('Add', 'input each', 'a'), node('Conv', 'a w', 'y')], weights))
    expect(ops(folded)).toBe('Conv')
    expect(constant(folded, folded.nodes[0]!.inputs[2]!)).toEqual([13, 29])
    expect(
      ops(foldBatchNorms(graphOf([node('Add', 'input each', 'a'), node('Conv', 'a w3', 'y', padded)], weights))),
    ).toBe('Add Conv')
  })

  it('moves a scale through a Relu only if it is positive', () => {
    const behind = (factor: string): NodeSpec[] => [
      node('Conv', 'input w', 'a'),
      node('Relu', 'a', 'b'),
      node('Mul', `b ${factor}`, 'y'),
    ]
    expect(ops(foldBatchNorms(graphOf(behind('each'), weights)))).toBe('Conv Relu')
    expect(ops(foldBatchNorms(graphOf(behind('minus'), weights)))).toBe('Conv Relu Mul')
  })
})

describe('concat', () => {
  it('moves a scale or activation in front of it if convolutions absorb it', () => {
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

describe('depthwise', () => {
  it('turns a chain into one convolution, and keeps a single product', () => {
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

describe('parallel', () => {
  const sum = (first: NodeSpec, second: NodeSpec, op = 'Add'): NodeSpec[] => [first, second, node(op, 'a b', 'y')]

  it('adds the smaller kernel into the larger one, a depthwise kernel onto its diagonal', () => {
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
    [
      'other positions',
      sum(node('Conv', 'input w3', 'a', { pads: [2, 1, 0, 1] }), node('Conv', 'input w3', 'b', padded)),
    ],
    [
      'other dilations',
      sum(
        node('Conv', 'input w3', 'a', { ...padded, dilations: [1, 1] }),
        node('Conv', 'input w3', 'b', { pads: [2, 2, 2, 2], dilations: [2, 2] }),
      ),
    ],
    [
      'an activated value',
      [node('Conv', 'input w', 'a'), node('Conv', 'input w', 'x'), node('Relu', 'x', 'b'), node('Add', 'a b', 'y')],
    ],
  ])('keeps convolutions of %s', (_, nodes) => {
    expect(ops(mergeParallel(graphOf(nodes, weights))).match(/Conv/g)).toHaveLength(2)
  })
})

describe('pool', () => {
  const convolution = node('Conv', 'input w', 'a')
  const pooled = (op: string, attributes: NonNullable<NodeSpec['attributes']>): string =>
    ops(commutePools(graphOf([convolution, node(op, 'a', 'y', attributes)], weights)))

  it('moves an average in front of a 1×1 convolution if it leaves fewer places', () => {
    expect(pooled('AveragePool', { kernel_shape: [2, 2], strides: [2, 2] })).toBe('AveragePool Conv')
    expect(pooled('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })).toBe('Conv AveragePool')
    expect(pooled('MaxPool', { kernel_shape: [2, 2], strides: [2, 2] })).toBe('Conv MaxPool')
  })

  it('moves bounds in front of a maximum if a convolution absorbs them', () => {
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

  it('multiplies two matrices with nothing between them', () => {
    const folded = foldMatrices(graphOf(head(''), more))
    expect(ops(folded)).toBe('GlobalAveragePool Reshape Gemm')
    expect(constant(folded, folded.nodes[2]!.inputs[1]!)).toEqual([56, 64])
  })

  it('keeps matrices with an activation between them', () => {
    expect(ops(foldMatrices(graphOf(head('Relu'), more)))).toBe('GlobalAveragePool Conv Relu Flatten Gemm')
  })
})

describe('gap-commute', () => {
  const chain = [node('Conv', 'input w', 'a'), node('GlobalAveragePool', 'a', 'y')]

  it('moves the mean in front of a 1×1 convolution', () => {
    expect(ops(commuteGap(graphOf(chain, { w: pointwise })))).toBe('GlobalAveragePool Conv')
  })

  it('keeps the order with an activation between them, another reader of the map, or a larger kernel', () => {
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
})
