/** Sums of convolutions: residuals and parallel branches. */
import { graph, type CorpusGraph } from './graph-builder.js'

export const sums: readonly CorpusGraph[] = [
  graph(
    'Caffe converters',
    'a residual as Sum, whose other operand is made later',
    (g) => {
      const branch = g.conv('input', 6)
      return g.relu(g.op('Sum', branch, g.maxPool('input', { strides: [1, 1] })))
    },
    ['pool2d max 3x3 p1', 'conv2d 3x3 p1 relu + residual'],
  ),

  graph(
    'timm RepVGG',
    'three branches over one map',
    (g) => {
      const x = g.featureMap()
      return g.relu(
        g.op(
          'Add',
          g.op('Add', g.norm(g.conv(x, 5, { bias: false })), g.norm(g.point(x, 5, { bias: false }))),
          g.norm(x),
        ),
      )
    },
    ['conv2d 3x3 p1 relu', 'conv2d 3x3 p1 relu'],
  ),

  graph(
    'timm MobileOne',
    'depthwise branches over one map',
    (g) => {
      const x = g.featureMap()
      const branch = (): string => g.norm(g.conv(x, 5, { groups: 5, bias: false }))
      return g.relu(
        g.op('Add', g.op('Add', g.op('Add', branch(), branch()), g.norm(g.point(x, 5, { groups: 5 }))), g.norm(x)),
      )
    },
    ['conv2d 3x3 p1 relu', 'conv2d 3x3 p1 g5 relu'],
  ),

  graph(
    'timm FastViT',
    'a mixer minus its norm, scaled, with a residual',
    (g) => {
      const x = g.featureMap()
      const mixed = g.op('Sub', g.norm(g.conv(x, 5, { groups: 5, kernel: 7 })), g.norm(x))
      return g.op('Add', x, g.op('Mul', mixed, g.perChannel([5, 1, 1], 0.4)))
    },
    ['conv2d 3x3 p1 relu', 'conv2d 7x7 p3 g5 + residual'],
  ),
]
