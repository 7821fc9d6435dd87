/** Batch norms and the affine maps into which exporters split them. */
import { graph, type CorpusGraph } from './graph-builder.js'

export const batchNorms: readonly CorpusGraph[] = [
  graph('torch, training mode', 'a batch norm behind a convolution', (g) => g.relu(g.norm(g.conv('input', 5))), [
    'conv2d 3x3 p1 relu',
  ]),

  graph(
    'tf2onnx',
    'a batch norm as a product and a sum per channel',
    (g) => {
      const y = g.op('Mul', g.conv('input', 5, { bias: false }), g.perChannel([5, 1, 1], 1))
      return g.relu(g.op('Add', y, g.perChannel([1, 5, 1, 1], 0)))
    },
    ['conv2d 3x3 p1 relu'],
  ),

  graph(
    'TensorFlow 1 graphs',
    'a batch norm as differences, a computed root and a quotient',
    (g) => {
      const root = g.op('Sqrt', g.by('Add', g.perChannel([5, 1, 1], 1), 1e-3))
      const y = g.op('Div', g.op('Sub', g.conv('input', 5), g.perChannel([5, 1, 1], 0)), root)
      return g.op('Add', g.op('Mul', y, g.perChannel([5, 1, 1], 1)), g.perChannel([5, 1, 1], 0))
    },
    ['conv2d 3x3 p1'],
  ),

  graph(
    'torch, pre-activation',
    'a batch norm before a convolution without padding',
    (g) => g.point(g.norm('input'), 5),
    ['conv2d 1x1'],
  ),

  graph('torch, pre-activation', 'a batch norm before a padded convolution', (g) => g.conv(g.norm('input'), 5), [
    'conv2d 1x1 g6',
    'conv2d 3x3 p1',
  ]),

  graph(
    'torchvision DenseNet',
    'batch norm and Relu before each convolution',
    (g) => g.conv(g.relu(g.norm(g.point(g.relu(g.norm('input')), 8))), 5),
    ['conv2d 1x1 g6 relu', 'conv2d 1x1 relu', 'conv2d 3x3 p1'],
  ),

  graph(
    'Keras Inception',
    'a batch norm behind a Concat',
    (g) => g.relu(g.norm(g.concat(g.conv('input', 5), g.point('input', 3)))),
    ['conv2d 3x3 p1 relu', 'conv2d 1x1 relu', 'concat'],
  ),

  graph(
    'torch',
    'a Concat of Concats, and an activation behind it',
    (g) => g.relu(g.concat(g.concat(g.conv('input', 5), g.point('input', 3)), g.relu(g.point('input', 4)))),
    ['conv2d 3x3 p1 relu', 'conv2d 1x1 relu', 'conv2d 1x1 relu', 'concat'],
  ),

  graph(
    'timm, layer scale',
    'a factor per channel before a residual sum',
    (g) => g.op('Add', 'input', g.op('Mul', g.point('input', 6), g.perChannel([6, 1, 1], 0.3))),
    ['conv2d 1x1 + residual'],
  ),

  graph('timm HGNet', 'a factor behind a Relu', (g) => g.by('Mul', g.relu(g.conv('input', 5)), 1.7), [
    'conv2d 3x3 p1 relu',
  ]),

  graph(
    'Keras',
    'a dense layer with its batch norm',
    (g) => {
      const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.point('input', 7))])
      return g.relu(g.norm(g.op('Add', g.node('MatMul', [flat, g.matrix(7, 4)], {}, 4), g.perChannel([4], 0))))
    },
    ['reduce mean', 'dense relu'],
  ),
]
