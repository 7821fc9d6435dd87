/** Products of two computed tensors, as in attention. */
import { floats } from '../../onnx-builder.js'
import { graph, type CorpusGraph } from './graph-builder.js'

export const products: readonly CorpusGraph[] = [
  graph(
    'Ultralytics YOLO11',
    'attention over the places of a map, beside a depthwise convolution',
    (g) => {
      const places = g.node('Reshape', [g.point('input', 16), g.sizes(1, 2, 8, 100)])
      const [q, k, v] = [
        [0, 2],
        [2, 4],
        [4, 8],
      ].map(([from, to]) => g.node('Slice', [places, g.sizes(from!), g.sizes(to!), g.sizes(2)])) as [
        string,
        string,
        string,
      ]
      const scores = g.by('Mul', g.op('MatMul', g.with('Transpose', { perm: [0, 1, 3, 2] }, q), k), 0.7)
      const mixed = g.op(
        'MatMul',
        v,
        g.with('Transpose', { perm: [0, 1, 3, 2] }, g.with('Softmax', { axis: -1 }, scores)),
      )
      const [map, values] = [mixed, v].map((value) => g.node('Reshape', [value, g.sizes(1, 8, 10, 10)], {}, 8)) as [
        string,
        string,
      ]
      return g.op('Add', 'input', g.point(g.op('Add', map, g.conv(values, 8, { groups: 8 })), 6))
    },
    [
      'conv2d 1x1',
      'copy',
      'copy',
      'copy',
      'copy',
      'copy',
      'product',
      'binary mul',
      'softmax',
      'copy',
      'product',
      'copy',
      'copy',
      'conv2d 3x3 p1 g8 + residual',
      'conv2d 1x1 + residual',
    ],
  ),

  graph(
    'torch',
    'products whose batches broadcast, whose operand all share, and of vectors',
    (g) => {
      const rows = g.node('Reshape', [g.point('input', 6), g.sizes(3, 2, 10, 10)])
      const first = g.node('Slice', [rows, g.sizes(0), g.sizes(1), g.sizes(0)])
      const column = g.node('Slice', [rows, g.sizes(0), g.sizes(1), g.sizes(1)])
      const one = g.node('Slice', [first, g.sizes(1), g.sizes(2), g.sizes(1)])
      const vector = g.node('Slice', [g.node('Reshape', [one, g.sizes(100)]), g.sizes(20), g.sizes(30), g.sizes(0)])
      const spread = g.relu(g.op('MatMul', first, column))
      return g.op('MatMul', g.op('MatMul', one, g.op('MatMul', spread, one)), vector)
    },
    [
      'conv2d 1x1',
      'copy',
      'copy',
      'copy',
      'copy',
      'copy',
      'copy',
      'copy',
      'product relu',
      'product',
      'product',
      'product',
    ],
  ),

  graph(
    'gapcam',
    'cells of a map as a matrix of mostly zeros, and products with a matrix of the pixels of the picture',
    (g) => {
      const cells = Array.from({ length: 4 * 100 }, (_, i) =>
        Math.floor(i / 100) === Math.floor((i % 100) / 27) ? 0.1 : 0,
      )
      const places = g.node('Reshape', [g.toNhwc(g.featureMap()), g.sizes(100, 5)])
      const binned = g.op('MatMul', g.constant(floats([4, 100], cells)), places)
      const pixels = g.node('Reshape', [g.toNhwc('input'), g.sizes(100, 6)])
      const mixed = g.op(
        'MatMul',
        g.constant(floats([4, 100], cells.toReversed())),
        g.op('MatMul', pixels, g.matrix(6, 5)),
      )
      return g.op('Add', binned, mixed)
    },
    ['conv2d 3x3 p1 relu', 'resample', 'dense', 'resample', 'binary add'],
  ),
]
