/**
 * Small seeded networks of each family that gapcam promises to run natively, as ONNX models: odd channel counts and
 * sizes, BatchNormalization nodes, a few layers each. Together they use every pass and every kernel.
 */
import { Net } from './net.js'
import { floats, int64, type ModelSpec } from './onnx-builder.js'
import { Random } from './random.js'

function vgg(): ModelSpec {
  const net = new Net(1, [1, 3, 33, 29])
  let x = 'input'
  for (const features of [13, 24]) {
    x = net.relu(net.conv(x, features))
    x = net.relu(net.conv(x, features))
    x = net.maxPool(x, { kernel_shape: [2, 2], pads: [0, 0, 0, 0] })
  }
  return net.head(net.relu(net.conv(x, 40)))
}

function resnet(): ModelSpec {
  const net = new Net(2, [1, 3, 41, 35])
  let x = net.maxPool(net.relu(net.norm(net.conv('input', 16, { kernel: 7, strides: [2, 2], bias: false }))))
  for (const [features, stride] of [
    [16, 1],
    [36, 2],
    [36, 1],
  ] as const) {
    const a = net.relu(net.norm(net.conv(x, features, { strides: [stride, stride], bias: false })))
    const b = net.norm(net.conv(a, features, { bias: false }))
    const shortcut =
      net.channels(x) === features
        ? x
        : net.norm(net.conv(x, features, { kernel: 1, strides: [stride, stride], pads: [0, 0, 0, 0], bias: false }))
    x = net.relu(net.node('Add', [b, shortcut]))
  }
  return net.head(x)
}

function inception(): ModelSpec {
  const net = new Net(3, [1, 3, 37, 37])
  const x = net.relu(net.conv('input', 20, { strides: [2, 2] }))
  const one = net.relu(net.conv(x, 9, { kernel: 1 }))
  const three = net.relu(net.conv(net.relu(net.conv(x, 12, { kernel: 1 })), 17))
  const five = net.relu(net.conv(net.conv(x, 6, { kernel: 1 }), 10, { kernel: 5 }))
  const pooled = net.conv(
    net.node('AveragePool', [x], { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], count_include_pad: 1 }),
    8,
    { kernel: 1 },
  )
  const mixed = net.concat(one, three, five, pooled)
  const down = net.node('AveragePool', [mixed], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 })
  const spread = net.relu(net.conv(down, 16, { dilations: [2, 2], pads: [2, 2, 2, 2] }))
  return net.head(
    net.node('LRN', [spread], { size: 5, alpha: { float: 1e-3 }, beta: { float: 0.75 }, bias: { float: 2 } }),
  )
}

/** A separable network with Pad nodes, as TensorFlow's exporters write it. */
function mobilenet1(): ModelSpec {
  const net = new Net(4, [1, 3, 48, 40])
  const padded = net.node('Pad', ['input', net.constant(int64(0, 0, 0, 0, 0, 0, 1, 1))])
  let x = net.clip6(net.norm(net.conv(padded, 16, { strides: [2, 2], pads: [0, 0, 0, 0], bias: false })))
  for (const [features, stride] of [
    [32, 1],
    [48, 2],
    [48, 1],
  ] as const) {
    x = net.clip6(
      net.norm(
        net.conv(x, net.channels(x), {
          groups: net.channels(x),
          strides: [stride, stride],
          auto_pad: 'SAME_UPPER',
          bias: false,
        }),
      ),
    )
    x = net.clip6(net.norm(net.conv(x, features, { kernel: 1, bias: false })))
  }
  return net.head(x)
}

function mobilenet2(): ModelSpec {
  const net = new Net(5, [1, 3, 50, 46])
  let x = net.clip6(net.conv('input', 12, { strides: [2, 2] }))
  for (const [features, stride, kernel] of [
    [14, 2, 3],
    [14, 1, 3],
    [22, 2, 5],
    [22, 1, 5],
  ] as const) {
    const wide = net.clip6(net.norm(net.conv(x, net.channels(x) * 6, { kernel: 1, bias: false })))
    const spatial = net.clip6(
      net.norm(
        net.conv(wide, net.channels(wide), {
          groups: net.channels(wide),
          kernel,
          strides: [stride, stride],
          bias: false,
        }),
      ),
    )
    const narrow = net.norm(net.conv(spatial, features, { kernel: 1, bias: false }))
    x = stride === 1 ? net.node('Add', [x, narrow]) : narrow
  }
  return net.head(net.clip6(net.conv(x, 70, { kernel: 1 })))
}

/** Squeeze-excite with HardSigmoid, and HardSwish spelled out as exporters did before opset 14. */
function mobilenet3(): ModelSpec {
  const net = new Net(6, [1, 3, 44, 44])
  const swish = (x: string): string => {
    const gate = net.clip6(net.node('Add', [x, net.constant(floats([], [3]))]))
    return net.node('Div', [net.node('Mul', [x, gate]), net.constant(floats([], [6]))])
  }
  let x = swish(net.norm(net.conv('input', 15, { strides: [2, 2], bias: false })))
  for (const stride of [2, 1]) {
    const wide = swish(net.conv(x, 40, { kernel: 1 }))
    const spatial = net.norm(net.conv(wide, 40, { groups: 40, kernel: 5, strides: [stride, stride], bias: false }))
    const squeezed = net.relu(net.conv(net.node('GlobalAveragePool', [spatial]), 10, { kernel: 1 }))
    const gate = net.node('HardSigmoid', [net.conv(squeezed, 40, { kernel: 1 })], {
      alpha: { float: 1 / 6 },
      beta: { float: 0.5 },
    })
    const narrow = net.conv(swish(net.node('Mul', [spatial, gate])), 18, { kernel: 1 })
    x = stride === 1 ? net.node('Add', [x, narrow]) : narrow
  }
  return net.head(net.node('HardSwish', [net.conv(x, 33, { kernel: 1 })]))
}

/** Channel split and shuffle, as torch writes them: Split, Concat, Reshape, Transpose, Reshape. */
function shufflenet(): ModelSpec {
  const net = new Net(7, [1, 3, 40, 40])
  let x = net.relu(net.conv('input', 26, { strides: [2, 2] }))
  for (let i = 0; i < 3; i++) {
    const [left, right] = net.split(x, 2) as [string, string]
    const inner = net.relu(
      net.conv(net.conv(net.relu(net.conv(right, 13, { kernel: 1 })), 13, { groups: 13 }), 13, { kernel: 1 }),
    )
    const both = net.concat(left, inner)
    const grouped = net.node('Reshape', [both, net.constant(int64(1, 2, 13, 20, 20))], {}, 26)
    const swapped = net.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] })
    x = net.node('Reshape', [swapped, net.constant(int64(1, 26, 20, 20))])
  }
  return net.head(net.relu(net.conv(x, 31, { kernel: 1 })))
}

function squeezenet(): ModelSpec {
  const net = new Net(8, [1, 3, 45, 39])
  let x = net.maxPool(net.relu(net.conv('input', 18, { strides: [2, 2], pads: [0, 0, 0, 0] })), {
    pads: [0, 0, 0, 0],
    ceil_mode: 1,
  })
  for (const [squeeze, expand] of [
    [6, 12],
    [7, 19],
  ] as const) {
    const narrow = net.relu(net.conv(x, squeeze, { kernel: 1 }))
    x = net.concat(net.relu(net.conv(narrow, expand, { kernel: 1 })), net.relu(net.conv(narrow, expand)))
  }
  const classes = net.relu(net.conv(net.node('Dropout', [x]), 11, { kernel: 1 }))
  return net.model(net.node('Flatten', [net.node('ReduceMean', [classes], { axes: [2, 3], keepdims: 1 })]), [1, 11])
}

/** Batch norm and activation before the convolution, dense concatenation. */
function densenet(): ModelSpec {
  const net = new Net(9, [1, 3, 32, 32])
  let x = net.conv('input', 16, { bias: false })
  for (let i = 0; i < 3; i++) {
    const narrow = net.conv(net.relu(net.norm(x)), 20, { kernel: 1, bias: false })
    x = net.concat(x, net.conv(net.relu(net.norm(narrow)), 8, { bias: false }))
  }
  const half = net.node('AveragePool', [net.conv(net.relu(net.norm(x)), 20, { kernel: 1 })], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  })
  return net.head(net.relu(net.norm(half)))
}

function resnext(): ModelSpec {
  const net = new Net(10, [1, 3, 30, 34])
  let x = net.relu(net.conv('input', 24, { strides: [2, 2] }))
  for (const groups of [4, 3]) {
    const inner = net.relu(net.conv(net.relu(net.conv(x, 36, { kernel: 1 })), 36, { groups }))
    x = net.relu(net.node('Add', [net.conv(inner, 24, { kernel: 1 }), x]))
  }
  return net.head(x)
}

/** SiLU as Sigmoid and Mul, squeeze-excite with Sigmoid. */
function efficientnet(): ModelSpec {
  const net = new Net(11, [1, 3, 38, 42])
  const silu = (x: string): string => net.node('Mul', [x, net.node('Sigmoid', [x])])
  let x = silu(net.norm(net.conv('input', 14, { strides: [2, 2], bias: false })))
  for (const kernel of [3, 5]) {
    const wide = silu(net.conv(x, 56, { kernel: 1 }))
    const spatial = silu(net.norm(net.conv(wide, 56, { groups: 56, kernel, bias: false })))
    const gate = net.node('Sigmoid', [
      net.conv(silu(net.conv(net.node('GlobalAveragePool', [spatial]), 4, { kernel: 1 })), 56, { kernel: 1 }),
    ])
    x = net.node('Add', [x, net.conv(net.node('Mul', [spatial, gate]), 14, { kernel: 1 })])
  }
  return net.head(silu(net.conv(x, 48, { kernel: 1 })))
}

/** An encoder and decoder: Resize both ways, skip connection, PRelu and LeakyRelu, a Softmax at the end. */
function unet(): ModelSpec {
  const net = new Net(12, [1, 3, 24, 28])
  const top = net.node('LeakyRelu', [net.conv('input', 10)], { alpha: { float: 0.1 } })
  const low = net.node('PRelu', [
    net.conv(net.maxPool(top), 21),
    net.constant(floats([21, 1, 1], new Random(5).normals(21, 0.3))),
  ])
  const near = net.node(
    'Resize',
    [low, '', net.constant(floats([4], [1, 1, 2, 2]))],
    { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    21,
  )
  const mixed = net.relu(net.conv(net.concat(near, top), 15))
  const linear = net.node(
    'Resize',
    [mixed, '', net.constant(floats([4], [1, 1, 0.5, 0.5]))],
    { mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
    15,
  )
  const logits = net.node('Flatten', [net.node('GlobalMaxPool', [net.node('Tanh', [linear])])])
  return net.model(net.node('Softmax', [logits], { axis: 1 }), [1, 15])
}

/** A mixer: Transpose to channels last, MatMul over channels, Gelu by Erf, mean over places. */
function mixer(): ModelSpec {
  const net = new Net(13, [1, 3, 32, 32])
  const patches = net.conv('input', 24, { kernel: 4, strides: [4, 4], pads: [0, 0, 0, 0] })
  const last = net.node('Transpose', [patches], { perm: [0, 2, 3, 1] })
  const weight = (rows: number, columns: number): string =>
    net.constant(floats([rows, columns], new Random(rows).normals(rows * columns, Math.sqrt(1 / rows))))
  const wide = net.node('MatMul', [last, weight(24, 50)])
  const narrow = net.node('Add', [net.node('MatMul', [net.gelu(wide), weight(50, 24)]), last])
  const mean = net.node('ReduceMean', [narrow], { axes: [1, 2], keepdims: 0 })
  return net.dense(mean, 24)
}

/** Different pads on each side, ceil_mode, averages that do not count padding, a shifted crop, sums of many branches. */
function nasnet(): ModelSpec {
  const net = new Net(14, [1, 3, 37, 31])
  const x = net.norm(net.conv('input', 17, { strides: [2, 2], pads: [0, 0, 0, 0], bias: false }))
  const apart = (value: string, kernel: number, pads: readonly number[]): string =>
    net.norm(
      net.conv(net.conv(net.relu(value), 17, { kernel, groups: 17, strides: [2, 2], pads, bias: false }), 17, {
        kernel: 1,
        bias: false,
      }),
    )
  const odd = apart(x, 5, [1, 1, 2, 2])
  const even = apart(x, 7, [2, 2, 3, 3])
  const most = net.maxPool(x, { pads: [0, 0, 0, 0], ceil_mode: 1 })
  const mean = net.node('AveragePool', [x], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [0, 0, 1, 1],
    count_include_pad: 0,
  })
  const sum = net.node('Sum', [net.node('Add', [odd, even]), mean, odd])
  const wider = net.node('Pad', [x, net.constant(int64(0, 0, 0, 0, 0, 0, 1, 1))])
  const shifted = net.node('Slice', [
    wider,
    net.constant(int64(1, 1)),
    net.constant(int64(19, 15)),
    net.constant(int64(2, 3)),
  ])
  const halves = net.node('AveragePool', [shifted], { kernel_shape: [1, 1], strides: [2, 2] })
  return net.head(net.relu(net.concat(sum, net.conv(halves, 9, { kernel: 1 }), most)))
}

/** One small network of each family, by name. */
export const networks: Readonly<Record<string, () => ModelSpec>> = {
  vgg,
  resnet,
  inception,
  mobilenet1,
  mobilenet2,
  mobilenet3,
  shufflenet,
  squeezenet,
  densenet,
  resnext,
  efficientnet,
  unet,
  mixer,
  nasnet,
}
