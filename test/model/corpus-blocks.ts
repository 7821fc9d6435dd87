/** The corpus, continued: means and heads, channels-last graphs, and the blocks of networks as a whole. */
import { floats, int64 } from '../onnx-builder.js'
import { Random } from '../random.js'
import { add, corpus, type Graph } from './corpus.js'

// Global average pooling and heads.

/** A feature map. */
const map = (g: Graph): string => g.relu(g.conv('input', 5))

add(
  'torch default',
  'a mean over H and W that keeps them',
  (g) => g.with('ReduceMean', { axes: [-1, -2], keepdims: 1 }, map(g)),
  ['conv2d 3x3 p1 relu -> mean'],
)

add(
  'timm',
  'a mean over H and W that does not keep them',
  (g) => g.with('ReduceMean', { axes: [2, 3], keepdims: 0 }, map(g)),
  ['conv2d 3x3 p1 relu -> mean'],
)

add(
  'torch default, opset 18',
  'a mean whose axes are an input',
  (g) => g.with('ReduceMean', { keepdims: 0 }, map(g), g.sizes(2, 3)),
  ['conv2d 3x3 p1 relu -> mean'],
  { opset: 18 },
)

add(
  'torch, a fixed size',
  'an average whose window is the map',
  (g) => g.node('Flatten', [g.with('AveragePool', { kernel_shape: [10, 10] }, map(g))]),
  ['conv2d 3x3 p1 relu -> mean'],
)

add(
  'timm',
  'a mean of the flattened map',
  (g) => g.with('ReduceMean', { axes: [-1], keepdims: 0 }, g.node('Reshape', [map(g), g.sizes(1, 5, -1)])),
  ['conv2d 3x3 p1 relu -> mean'],
)

add(
  'Core ML converters',
  'a sum divided by the number of places',
  (g) => g.by('Div', g.node('ReduceSum', [map(g), g.sizes(2, 3)], { keepdims: 1 }), 100),
  ['conv2d 3x3 p1 relu -> mean'],
)

add(
  'torchvision GoogLeNet',
  'a mean of a Concat of convolutions',
  (g) => g.op('GlobalAveragePool', g.concat(map(g), g.relu(g.point('input', 4)))),
  ['conv2d 3x3 p1 relu -> mean', 'conv2d 1x1 relu -> mean', 'concat'],
)

add(
  'CAM networks',
  'a 1x1 convolution without activation before the mean',
  (g) => g.node('Flatten', [g.op('GlobalAveragePool', g.point(map(g), 4))]),
  ['conv2d 3x3 p1 relu -> mean', 'dense'],
)

add(
  'CAM networks',
  'the linear head behind such a convolution',
  (g) => {
    const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.point(map(g), 40))])
    return g.node('Gemm', [flat, g.matrix(40, 3), g.perChannel([3], 0)])
  },
  ['conv2d 3x3 p1 relu -> mean', 'dense'],
)

add(
  'torch',
  'two matrices whose product would be larger',
  (g) => {
    const flat = g.node('Flatten', [g.op('GlobalAveragePool', map(g))])
    return g.node('MatMul', [g.node('MatMul', [flat, g.matrix(5, 2)]), g.matrix(2, 9)])
  },
  ['conv2d 3x3 p1 relu -> mean', 'dense', 'dense'],
)

add(
  'torchvision DenseNet',
  'an average behind a 1x1 convolution',
  (g) => g.with('AveragePool', { kernel_shape: [2, 2], strides: [2, 2] }, g.point(map(g), 4)),
  ['conv2d 3x3 p1 relu', 'pool2d average 2x2 s2', 'conv2d 1x1'],
)

add(
  'Keras',
  'dense layers as MatMul and Add',
  (g) => {
    const flat = g.node('Flatten', [g.op('GlobalAveragePool', map(g))])
    const hidden = g.relu(g.op('Add', g.node('MatMul', [flat, g.matrix(5, 8)]), g.perChannel([8], 0)))
    return g.with(
      'Softmax',
      { axis: -1 },
      g.op('Add', g.perChannel([1, 4], 0), g.node('MatMul', [hidden, g.matrix(8, 4)])),
    )
  },
  ['conv2d 3x3 p1 relu -> mean', 'dense relu', 'dense', 'softmax'],
)

// Sums of convolutions.

add(
  'Caffe converters',
  'a residual as Sum, of what is made later',
  (g) => {
    const branch = g.conv('input', 6)
    return g.relu(g.op('Sum', branch, g.maxPool('input', { strides: [1, 1] })))
  },
  ['pool2d max 3x3 p1', 'conv2d 3x3 p1 relu + residual'],
)

add(
  'timm RepVGG',
  'three branches over one map',
  (g) => {
    const x = map(g)
    return g.relu(
      g.op(
        'Add',
        g.op('Add', g.norm(g.conv(x, 5, { bias: false })), g.norm(g.point(x, 5, { bias: false }))),
        g.norm(x),
      ),
    )
  },
  ['conv2d 3x3 p1 relu', 'conv2d 3x3 p1 relu'],
)

add(
  'timm MobileOne',
  'depthwise branches over one map',
  (g) => {
    const x = map(g)
    const branch = (): string => g.norm(g.conv(x, 5, { groups: 5, bias: false }))
    return g.relu(
      g.op('Add', g.op('Add', g.op('Add', branch(), branch()), g.norm(g.point(x, 5, { groups: 5 }))), g.norm(x)),
    )
  },
  ['conv2d 3x3 p1 relu', 'conv2d 3x3 p1 g5 relu'],
)

add(
  'timm FastViT',
  'a mixer less its norm, scaled, beside a residual',
  (g) => {
    const x = map(g)
    const mixed = g.op('Sub', g.norm(g.conv(x, 5, { groups: 5, kernel: 7 })), g.norm(x))
    return g.op('Add', x, g.op('Mul', mixed, g.perChannel([5, 1, 1], 0.4)))
  },
  ['conv2d 3x3 p1 relu', 'conv2d 7x7 p3 g5 + residual'],
)

// Channels last.

add(
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
)

add(
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
)

add(
  'Keras MobileNetV1',
  'a head of a 1x1 convolution between reshapings',
  (g) => {
    const mean = g.with('ReduceMean', { axes: [1, 2], keepdims: 0 }, g.relu(g.nhwcConv('input', 5)))
    const head = g.nhwcConv(g.node('Dropout', [g.node('Reshape', [mean, g.sizes(1, 1, 1, 5)])]), 4, { kernel: 1 })
    return g.with('Softmax', { axis: -1 }, g.node('Reshape', [g.op('Add', head, g.perChannel([4], 0)), g.sizes(1, 4)]))
  },
  ['conv2d 3x3 p1 relu -> mean', 'dense', 'softmax'],
  { isNhwc: true },
)

add(
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
)

add(
  'timm ConvNeXt',
  'layer norm and matrices between transpositions',
  (g) => {
    const x = map(g)
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
)

add(
  'torch, opset 16 and below',
  'layer norm spelled out',
  (g) => {
    const x = map(g)
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
)

add(
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
)

add(
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
)

// Blocks.

add(
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
)

add(
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
)

add(
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
)

add(
  'torch',
  'a product by a value for each place, which nothing takes in',
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
)

// One dimension, and more than four.

add(
  'timm ECA',
  'channel attention by a convolution along the channels, and its gate expanded',
  (g) => {
    const x = map(g)
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
)

add(
  'torch',
  'convolutions and pools of one dimension',
  (g) => {
    const rows = g.node('Reshape', [g.conv('input', 4), g.sizes(1, 4, 100)])
    const x = g.relu(
      g.node(
        'Conv',
        [rows, g.constant(floats([5, 4, 4], new Random(4).normals(80, 0.3))), g.constant(floats([5], [1, 2, 3, 4, 5]))],
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
)

add(
  'timm Swin',
  'windows of a map, cut out and put back',
  (g) => {
    const cut = g.node('Reshape', [g.toNhwc(map(g)), g.sizes(1, 2, 5, 5, 2, 5)])
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
)

add(
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
)

// Products of two results.

add(
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
)

add(
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
)

export { corpus }
