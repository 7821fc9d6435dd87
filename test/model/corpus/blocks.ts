/** Whole blocks of networks. */
import { floats } from '../../onnx-builder.js'
import { graph, type CorpusGraph } from './graph-builder.js'

export const blocks: readonly CorpusGraph[] = [
  graph(
    'torchvision MobileNetV3',
    'a squeeze-excite block',
    (g) => {
      const x = g.node('HardSwish', [g.norm(g.conv('input', 6, { groups: 6, kernel: 5, bias: false }))])
      const gate = g.with(
        'HardSigmoid',
        { alpha: { float: 1 / 6 }, beta: { float: 0.5 } },
        g.point(g.relu(g.point(g.op('GlobalAveragePool', x), 3)), 6),
      )
      return g.point(g.op('Mul', gate, x), 5)
    },
    ['conv2d 5x5 p2 g6 hardSwish -> map, mean', 'dense relu', 'dense hardSigmoid', 'binary mul', 'conv2d 1x1'],
  ),

  graph(
    'torchvision ShuffleNetV2',
    'a channel shuffle with its Concat and its halves',
    (g) => {
      const joined = g.concat(g.point('input', 4), g.conv('input', 4))
      const grouped = g.node('Reshape', [joined, g.sizes(1, 2, 4, 10, 10)])
      const shuffled = g.node(
        'Reshape',
        [g.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] }), g.sizes(1, 8, 10, 10)],
        {},
        8,
      )
      const [left, right] = g.split(shuffled, 2) as [string, string]
      return g.op('Add', left, g.conv(right, 4))
    },
    ['conv2d 1x1', 'conv2d 3x3 p1', 'concat of 2 groups in 2 parts', 'conv2d 3x3 p1 + residual'],
  ),

  graph(
    'tf2onnx',
    'a channel shuffle with the channels last',
    (g) => {
      const joined = g.node('Concat', [g.nhwcConv('input', 4, { kernel: 1 }), g.nhwcConv('input', 4)], { axis: 3 }, 8)
      const grouped = g.node('Reshape', [joined, g.sizes(1, 12, 10, 2, 4)])
      const shuffled = g.node(
        'Reshape',
        [g.node('Transpose', [grouped], { perm: [0, 1, 2, 4, 3] }), g.sizes(1, 12, 10, 8)],
        {},
        8,
      )
      return g.nhwcConv(shuffled, 4)
    },
    ['conv2d 1x1', 'conv2d 3x3 p1', 'concat of 2 groups', 'conv2d 3x3 p1'],
    { isNhwc: true },
  ),

  graph(
    'torch',
    'a product with one value per place, which stays a step',
    (g) =>
      g.relu(
        g.op(
          'Mul',
          g.conv('input', 5),
          g.constant(
            floats(
              [10, 10],
              Float32Array.from({ length: 100 }, (_, i) => i / 50),
            ),
          ),
        ),
      ),
    ['conv2d 3x3 p1', 'binary mul relu'],
  ),
]
