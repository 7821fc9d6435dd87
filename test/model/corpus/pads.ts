/** Identities, sizes computed from shapes, and pads. */
import { int64 } from '../../onnx-builder.js'
import { graph, type CorpusGraph } from './graph-builder.js'

export const pads: readonly CorpusGraph[] = [
  graph(
    'every exporter',
    'chains that change nothing',
    (g) => {
      const same = g.node('Reshape', [g.op('Dropout', g.op('Identity', g.conv('input', 5))), g.sizes(1, 5, 10, 10)])
      const cast = g.with('Cast', { to: 1 }, g.by('Add', g.by('Mul', same, 1), 0))
      return g.relu(
        g.with(
          'AveragePool',
          { kernel_shape: [1, 1] },
          g.node('Transpose', [g.node('Transpose', [cast], { perm: [0, 3, 1, 2] })], { perm: [0, 2, 3, 1] }),
        ),
      )
    },
    ['conv2d 3x3 p1 relu'],
  ),

  graph(
    'torch script',
    'a flattening whose sizes are computed from the shape',
    (g) => {
      const pooled = g.op('GlobalAveragePool', g.relu(g.conv('input', 5)))
      const batch = g.node('Unsqueeze', [
        g.node('Gather', [g.op('Shape', pooled), g.constant({ shape: [], data: BigInt64Array.of(0n) })]),
        g.sizes(0),
      ])
      const flat = g.node('Reshape', [pooled, g.node('Concat', [batch, g.sizes(-1)], { axis: 0 })], {}, 5)
      return g.node('Gemm', [flat, g.matrix(5, 4), g.perChannel([4], 0)])
    },
    ['conv2d 3x3 p1 relu -> mean', 'dense'],
  ),

  graph(
    'tf2onnx',
    'a Pad before a convolution',
    (g) =>
      g.conv(g.node('Pad', ['input', g.sizes(0, 0, 0, 0, 0, 0, 1, 1)]), 5, { strides: [2, 2], pads: [0, 0, 0, 0] }),
    ['conv2d 3x3 s2 p0,0,1,1'],
  ),

  graph(
    'torch script',
    'a Pad whose amounts are computed',
    (g) => {
      const amounts = g.node(
        'Concat',
        [g.node('ConstantOfShape', [g.sizes(4)], { value: int64(0) }), g.sizes(1, 2, 3, 0)],
        { axis: 0 },
      )
      const swapped = g.node('Slice', [
        g.node('Reshape', [amounts, g.sizes(-1, 2)]),
        g.sizes(-1),
        g.sizes(-9),
        g.sizes(0),
        g.sizes(-1),
      ])
      const pads = g.node('Reshape', [g.node('Transpose', [swapped], { perm: [1, 0] }), g.sizes(-1)])
      return g.conv(
        g.node('Pad', [
          'input',
          g.node(
            'Concat',
            [
              g.sizes(0, 0),
              g.node('Slice', [pads, g.sizes(0), g.sizes(2)]),
              g.sizes(0, 0),
              g.node('Slice', [pads, g.sizes(4), g.sizes(6)]),
            ],
            { axis: 0 },
          ),
        ]),
        5,
        { pads: [0, 0, 0, 0] },
      )
    },
    ['conv2d 3x3 p3,1,0,2'],
  ),

  graph(
    'torch, opset 18 and above',
    'a Pad of two axes',
    (g) => g.conv(g.node('Pad', ['input', g.sizes(1, 2, 1, 0), '', g.sizes(2, 3)]), 5, { pads: [0, 0, 0, 0] }),
    ['conv2d 3x3 p1,2,1,0'],
    { opset: 18 },
  ),

  graph(
    'tf2onnx',
    'a Pad with minus infinity before a maximum',
    (g) =>
      g.maxPool(g.node('Pad', [g.conv('input', 5), g.sizes(0, 0, 1, 1, 0, 0, 1, 1), g.scalar(-Infinity)]), {
        pads: [0, 0, 0, 0],
      }),
    ['conv2d 3x3 p1', 'pool2d max 3x3 s2 p1'],
  ),

  graph(
    'Keras ResNet',
    'a Pad with zeros behind a Relu, before a maximum',
    (g) =>
      g.maxPool(g.node('Pad', [g.relu(g.conv('input', 5)), g.sizes(0, 0, 1, 1, 0, 0, 1, 1)]), { pads: [0, 0, 0, 0] }),
    ['conv2d 3x3 p1 relu', 'pool2d max 3x3 s2 p1'],
  ),
]
