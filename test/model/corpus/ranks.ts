/** Tensors of one dimension, and of more than four. */
import { floats, int64 } from '../../onnx-builder.js'
import { Random } from '../../random.js'
import { graph, type CorpusGraph } from './graph-builder.js'

export const ranks: readonly CorpusGraph[] = [
  graph(
    'timm ECA',
    'channel attention by a convolution along the channels, and its gate expanded',
    (g) => {
      const x = g.featureMap()
      const row = g.node('Reshape', [g.op('GlobalAveragePool', x), g.sizes(1, 1, 5)])
      const gate = g.op(
        'Sigmoid',
        g.node('Conv', [row, g.constant(floats([1, 1, 3], [0.6, -1, 0.4]))], {
          kernel_shape: [3],
          pads: [1, 1],
          strides: [1],
          dilations: [1],
        }),
      )
      return g.op('Mul', x, g.node('Expand', [g.node('Reshape', [gate, g.sizes(1, 5, 1, 1)]), g.sizes(1, 5, 10, 10)]))
    },
    ['conv2d 3x3 p1 relu -> map, mean', 'conv2d 1x3 p0,1,0,1', 'elementwise sigmoid', 'binary mul'],
  ),

  graph(
    'torch',
    'convolutions and pools of one dimension',
    (g) => {
      const rows = g.node('Reshape', [g.conv('input', 4), g.sizes(1, 4, 100)])
      const x = g.relu(
        g.node(
          'Conv',
          [
            rows,
            g.constant(floats([5, 4, 4], new Random(4).normals(80, 0.3))),
            g.constant(floats([5], [1, 2, 3, 4, 5])),
          ],
          { strides: [3], pads: [2, 1], dilations: [2] },
        ),
      )
      const pooled = g.with(
        'AveragePool',
        { kernel_shape: [3], strides: [2], pads: [0, 1] },
        g.with('MaxPool', { kernel_shape: [2], auto_pad: 'SAME_UPPER' }, x),
      )
      return g.op('Sub', pooled, g.op('GlobalAveragePool', pooled))
    },
    [
      'conv2d 3x3 p1',
      'copy',
      'copy',
      'conv2d 1x4 p0,2,0,1',
      'copy',
      'elementwise relu',
      'copy',
      'pool2d max 1x2 p0,0,0,1',
      'copy',
      'copy',
      'pool2d average 1x3 p0,0,0,1',
      'copy',
      'copy',
      'reduce mean',
      'binary sub',
    ],
  ),

  graph(
    'timm Swin',
    'windows of a map, cut out and put back',
    (g) => {
      const cut = g.node('Reshape', [g.toNhwc(g.featureMap()), g.sizes(1, 2, 5, 5, 2, 5)])
      const rows = g.node('Reshape', [
        g.with('Transpose', { perm: [0, 1, 3, 2, 4, 5] }, g.op('Mul', cut, g.perChannel([5], 1))),
        g.sizes(-1, 10, 5),
      ])
      const parts = g.node('Reshape', [
        g.op('MatMul', rows, g.with('Softmax', { axis: -1 }, g.with('Transpose', { perm: [0, 2, 1] }, rows))),
        g.sizes(1, 2, 5, 5, 2, 10),
      ])
      return g.node('Reshape', [g.with('Transpose', { perm: [0, 1, 3, 2, 4, 5] }, parts), g.sizes(1, 10, 10, 10)])
    },
    ['conv2d 3x3 p1 relu', 'binary mul', 'copy', 'copy', 'softmax', 'product', 'copy'],
  ),

  graph(
    'timm EdgeNeXt',
    'a position encoding that is counted out in the graph',
    (g) => {
      const ones = g.node('ConstantOfShape', [g.sizes(1, 10, 10)], { value: floats([1], [1]) })
      const [down, right, back] = [
        [1, {}],
        [2, { exclusive: 1 }],
        [2, { reverse: 1 }],
      ].map(([axis, attributes]) =>
        g.node('CumSum', [ones, g.constant(int64(axis as number))], attributes as Readonly<Record<string, number>>),
      ) as [string, string, string]
      const waves = g.node('Unsqueeze', [
        g.op('Add', g.op('Mul', g.op('Sin', g.by('Div', down, 7)), g.op('Cos', right)), g.by('Mul', back, 0.1)),
        g.sizes(1),
      ])
      return g.op('Add', g.conv('input', 5), waves)
    },
    ['conv2d 3x3 p1', 'binary add'],
  ),
]
