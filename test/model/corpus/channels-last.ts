/** Graphs from channels-last frameworks, with transpositions around the convolutions, and normalization layers. */
import { floats } from '../../onnx-builder.js'
import { graph, type CorpusGraph } from './graph-builder.js'

export const channelsLast: readonly CorpusGraph[] = [
  graph(
    'tf2onnx',
    'transpositions around each convolution',
    (g) => {
      const stem = g.relu6(
        g.op(
          'Add',
          g.op('Mul', g.nhwcConv('input', 5, { strides: [2, 2], pads: [0, 0, 1, 1] }), g.perChannel([5], 1)),
          g.perChannel([5], 0),
        ),
      )
      const deep = g.nhwcConv(g.node('Pad', [stem, g.sizes(0, 1, 1, 0, 0, 1, 1, 0)]), 5, {
        groups: 5,
        pads: [0, 0, 0, 0],
      })
      const sum = g.op('Add', g.op('Add', g.nhwcConv(deep, 5, { kernel: 1 }), g.perChannel([5], 0)), stem)
      const logits = g.op(
        'Add',
        g.node('MatMul', [g.with('ReduceMean', { axes: [1, 2], keepdims: 0 }, sum), g.matrix(5, 4)]),
        g.perChannel([4], 0),
      )
      return g.with('Softmax', { axis: -1 }, logits)
    },
    ['conv2d 3x3 s2 p0,0,1,1 clip 0..6', 'conv2d 3x3 p1 g5', 'conv2d 1x1 -> mean + residual', 'dense', 'softmax'],
    { isNhwc: true },
  ),

  graph(
    'Keras',
    'a scaled input, a Concat and a squeeze-excite block',
    (g) => {
      const x = g.by('Sub', g.by('Div', 'input', 127.5), 1)
      const both = g.node('Concat', [g.relu(g.nhwcConv(x, 5)), g.relu(g.nhwcConv(x, 4, { kernel: 1 }))], { axis: 3 }, 9)
      const squeezed = g.relu(g.nhwcConv(g.with('ReduceMean', { axes: [1, 2], keepdims: 1 }, both), 3, { kernel: 1 }))
      return g.op('Mul', both, g.op('Sigmoid', g.nhwcConv(squeezed, 9, { kernel: 1 })))
    },
    [
      'conv2d 1x1 g3',
      'conv2d 3x3 p1 relu -> map, mean',
      'conv2d 1x1 relu -> map, mean',
      'concat',
      'concat',
      'dense relu',
      'dense sigmoid',
      'binary mul',
    ],
    { isNhwc: true },
  ),

  graph(
    'Keras MobileNetV1',
    'a head of a 1x1 convolution between reshapings',
    (g) => {
      const mean = g.with('ReduceMean', { axes: [1, 2], keepdims: 0 }, g.relu(g.nhwcConv('input', 5)))
      const head = g.nhwcConv(g.node('Dropout', [g.node('Reshape', [mean, g.sizes(1, 1, 1, 5)])]), 4, { kernel: 1 })
      return g.with(
        'Softmax',
        { axis: -1 },
        g.node('Reshape', [g.op('Add', head, g.perChannel([4], 0)), g.sizes(1, 4)]),
      )
    },
    ['conv2d 3x3 p1 relu -> mean', 'dense', 'softmax'],
    { isNhwc: true },
  ),

  graph(
    'tf2onnx',
    'slices and a split along the channels',
    (g) => {
      const x = g.relu(g.nhwcConv('input', 8))
      const [left, right] = [
        [0, 4],
        [4, 8],
      ].map(([from, to]) => g.node('Slice', [x, g.sizes(from!), g.sizes(to!), g.sizes(3)], {}, 4))
      return g.op('Add', g.nhwcConv(left!, 4), right!)
    },
    ['conv2d 3x3 p1 relu', 'copy', 'copy', 'conv2d 3x3 p1 + residual'],
    { isNhwc: true },
  ),

  graph(
    'timm ConvNeXt',
    'layer norm and matrices between transpositions',
    (g) => {
      const x = g.featureMap()
      const rows = g.node(
        'LayerNormalization',
        [g.toNhwc(g.conv(x, 5, { groups: 5, kernel: 7 })), g.perChannel([5], 1), g.perChannel([5], 0)],
        { axis: -1, epsilon: { float: 1e-6 } },
      )
      const wide = g.op('Add', g.node('MatMul', [rows, g.matrix(5, 12)]), g.perChannel([12], 0))
      const gelu = g.by('Mul', g.op('Mul', wide, g.by('Add', g.op('Erf', g.by('Div', wide, Math.SQRT2)), 1)), 0.5)
      const narrow = g.op('Add', g.node('MatMul', [gelu, g.matrix(12, 5)]), g.perChannel([5], 0))
      return g.op('Add', x, g.fromNhwc(g.op('Mul', narrow, g.perChannel([5], 0.3)), 5))
    },
    [
      'conv2d 3x3 p1 relu',
      'conv2d 7x7 p3 g5',
      'reduce mean',
      'binary sub',
      'reduce sumSquare',
      'elementwise affine',
      'elementwise sqrt',
      'binary div',
      'conv2d 1x1 gelu',
      'conv2d 1x1 + residual',
    ],
  ),

  graph(
    'torch, opset 16 and below',
    'layer norm spelled out',
    (g) => {
      const x = g.featureMap()
      const centred = g.op('Sub', x, g.with('ReduceMean', { axes: [1], keepdims: 1 }, x))
      const variance = g.with('ReduceMean', { axes: [1], keepdims: 1 }, g.by('Pow', centred, 2))
      const normal = g.op('Div', centred, g.op('Sqrt', g.by('Add', variance, 1e-5)))
      return g.point(g.op('Add', g.op('Mul', normal, g.perChannel([5, 1, 1], 1)), g.perChannel([5, 1, 1], 0)), 4)
    },
    [
      'conv2d 3x3 p1 relu',
      'reduce mean',
      'binary sub',
      'reduce sumSquare',
      'elementwise affine',
      'elementwise sqrt',
      'binary div',
      'conv2d 1x1',
    ],
  ),

  graph(
    'torch, group norm',
    'an instance norm of reshaped groups',
    (g) => {
      const groups = g.node('Reshape', [g.conv('input', 6), g.sizes(0, 3, -1)])
      const normal = g.node('InstanceNormalization', [
        groups,
        g.constant(floats([3], [1, 1, 1])),
        g.constant(floats([3], [0, 0, 0])),
      ])
      const whole = g.node('Reshape', [normal, g.sizes(1, 6, 10, 10)])
      return g.relu(g.op('Add', g.op('Mul', whole, g.perChannel([6, 1, 1], 1)), g.perChannel([6, 1, 1], 0)))
    },
    [
      'conv2d 3x3 p1',
      'copy',
      'reduce mean',
      'binary sub',
      'reduce sumSquare',
      'elementwise affine',
      'elementwise sqrt',
      'binary div',
      'copy',
      'conv2d 1x1 g6 relu',
    ],
  ),

  graph(
    'timm NFNet',
    'weights that are standardized in the graph',
    (g) => {
      const weights = g.node('Reshape', [g.matrix(5, 54), g.sizes(1, 5, -1)])
      const [ones, zeros] = [1, 0].map((value) => g.constant(floats([5], new Float32Array(5).fill(value)))) as [
        string,
        string,
      ]
      g.nodes.push({
        op: 'BatchNormalization',
        inputs: [weights, ones, zeros, zeros, ones],
        outputs: ['standard', 'mean', 'variance'],
        attributes: { epsilon: { float: 1e-5 }, training_mode: 1 },
      })
      const again = g.node('BatchNormalization', [
        'standard',
        ones,
        zeros,
        g.node('ReduceMean', [weights], { axes: [0, 2], keepdims: 0 }),
        ones,
      ])
      return g.node('Conv', ['input', g.node('Reshape', [again, g.sizes(5, 6, 3, 3)])], {}, 5)
    },
    ['conv2d 3x3'],
  ),
]
