/** Global average pooling and classifiers. */
import { graph, type CorpusGraph } from './graph-builder.js'

export const heads: readonly CorpusGraph[] = [
  graph(
    'torch default',
    'a mean over H and W that keeps them',
    (g) => g.with('ReduceMean', { axes: [-1, -2], keepdims: 1 }, g.featureMap()),
    ['conv2d 3x3 p1 relu -> mean'],
  ),

  graph(
    'timm',
    'a mean over H and W that does not keep them',
    (g) => g.with('ReduceMean', { axes: [2, 3], keepdims: 0 }, g.featureMap()),
    ['conv2d 3x3 p1 relu -> mean'],
  ),

  graph(
    'torch default, opset 18',
    'a mean whose axes are an input',
    (g) => g.with('ReduceMean', { keepdims: 0 }, g.featureMap(), g.sizes(2, 3)),
    ['conv2d 3x3 p1 relu -> mean'],
    { opset: 18 },
  ),

  graph(
    'torch, a fixed size',
    'an average whose window is the map',
    (g) => g.node('Flatten', [g.with('AveragePool', { kernel_shape: [10, 10] }, g.featureMap())]),
    ['conv2d 3x3 p1 relu -> mean'],
  ),

  graph(
    'timm',
    'a mean of the flattened map',
    (g) => g.with('ReduceMean', { axes: [-1], keepdims: 0 }, g.node('Reshape', [g.featureMap(), g.sizes(1, 5, -1)])),
    ['conv2d 3x3 p1 relu -> mean'],
  ),

  graph(
    'Core ML converters',
    'a sum divided by the number of places',
    (g) => g.by('Div', g.node('ReduceSum', [g.featureMap(), g.sizes(2, 3)], { keepdims: 1 }), 100),
    ['conv2d 3x3 p1 relu -> mean'],
  ),

  graph(
    'torchvision GoogLeNet',
    'a mean of a Concat of convolutions',
    (g) => g.op('GlobalAveragePool', g.concat(g.featureMap(), g.relu(g.point('input', 4)))),
    ['conv2d 3x3 p1 relu -> mean', 'conv2d 1x1 relu -> mean', 'concat'],
  ),

  graph(
    'CAM networks',
    'a 1x1 convolution without activation before the mean',
    (g) => g.node('Flatten', [g.op('GlobalAveragePool', g.point(g.featureMap(), 4))]),
    ['conv2d 3x3 p1 relu -> mean', 'dense'],
  ),

  graph(
    'CAM networks',
    'a linear head behind such a convolution',
    (g) => {
      const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.point(g.featureMap(), 40))])
      return g.node('Gemm', [flat, g.matrix(40, 3), g.perChannel([3], 0)])
    },
    ['conv2d 3x3 p1 relu -> mean', 'dense'],
  ),

  graph(
    'torch',
    'two matrices whose product would be larger',
    (g) => {
      const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.featureMap())])
      return g.node('MatMul', [g.node('MatMul', [flat, g.matrix(5, 2)]), g.matrix(2, 9)])
    },
    ['conv2d 3x3 p1 relu -> mean', 'dense', 'dense'],
  ),

  graph(
    'torchvision DenseNet',
    'an average behind a 1x1 convolution',
    (g) => g.with('AveragePool', { kernel_shape: [2, 2], strides: [2, 2] }, g.point(g.featureMap(), 4)),
    ['conv2d 3x3 p1 relu', 'pool2d average 2x2 s2', 'conv2d 1x1'],
  ),

  graph(
    'Keras',
    'dense layers as MatMul and Add',
    (g) => {
      const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.featureMap())])
      const hidden = g.relu(g.op('Add', g.node('MatMul', [flat, g.matrix(5, 8)]), g.perChannel([8], 0)))
      return g.with(
        'Softmax',
        { axis: -1 },
        g.op('Add', g.perChannel([1, 4], 0), g.node('MatMul', [hidden, g.matrix(8, 4)])),
      )
    },
    ['conv2d 3x3 p1 relu -> mean', 'dense relu', 'dense', 'softmax'],
  ),
]
