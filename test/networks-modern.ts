/** Newer families, as small as those of networks.ts: branches, layer norms and attention. */
import { Net } from './net.js'
import { floats, int64, type ModelSpec } from './onnx-builder.js'
import { Random } from './random.js'

/** Features by depthwise convolutions of other features, squeeze-excite, and a shortcut around both. */
function ghostnet(): ModelSpec {
  const net = new Net(21, [1, 3, 38, 34])
  const ghost = (x: string, features: number, isActive: boolean): string => {
    const last = (value: string): string => (isActive ? net.relu(value) : value)
    const first = last(net.norm(net.conv(x, features / 2, { kernel: 1, bias: false })))
    return net.concat(first, last(net.norm(net.conv(first, features / 2, { groups: features / 2, bias: false }))))
  }
  let x = net.relu(net.norm(net.conv('input', 12, { strides: [2, 2], bias: false })))
  for (let i = 0; i < 2; i++) {
    const wide = ghost(x, 30, true)
    const gate = net.node('HardSigmoid', [
      net.conv(
        net.relu(net.conv(net.node('ReduceMean', [wide], { axes: [2, 3], keepdims: 1 }), 8, { kernel: 1 })),
        30,
        { kernel: 1 },
      ),
    ])
    x = net.node('Add', [ghost(net.node('Mul', [wide, gate]), 12, false), x])
  }
  return net.head(net.relu(net.conv(x, 50, { kernel: 1 })))
}

/** Grouped convolutions with squeeze-excite, and a strided shortcut. */
function regnet(): ModelSpec {
  const net = new Net(22, [1, 3, 45, 41])
  let x = net.relu(net.conv('input', 16, { strides: [2, 2] }))
  for (const [features, stride] of [
    [24, 2],
    [24, 1],
  ] as const) {
    const inner = net.relu(
      net.norm(
        net.conv(net.relu(net.norm(net.conv(x, features, { kernel: 1, bias: false }))), features, {
          groups: 3,
          strides: [stride, stride],
          bias: false,
        }),
      ),
    )
    const gate = net.node('Sigmoid', [
      net.conv(net.relu(net.conv(net.node('GlobalAveragePool', [inner]), 6, { kernel: 1 })), features, { kernel: 1 }),
    ])
    const outer = net.norm(net.conv(net.node('Mul', [inner, gate]), features, { kernel: 1, bias: false }))
    const shortcut =
      stride === 1
        ? x
        : net.norm(net.conv(x, features, { kernel: 1, strides: [2, 2], pads: [0, 0, 0, 0], bias: false }))
    x = net.relu(net.node('Add', [outer, shortcut]))
  }
  return net.head(x)
}

/** Patches, 7×7 depthwise convolutions, layer norm over the channels, two matrices with a Gelu, layer scale. */
function convnext(): ModelSpec {
  const net = new Net(23, [1, 3, 32, 40])
  const row = (size: number, mean: number): string =>
    net.constant(
      floats(
        [size],
        new Random(size + mean).normals(size, 0.1).map((v) => mean + v),
      ),
    )
  const matrix = (rows: number, columns: number): string =>
    net.constant(floats([rows, columns], new Random(rows).normals(rows * columns, Math.sqrt(2 / rows))))
  const norm = (x: string): string =>
    net.node('LayerNormalization', [x, row(18, 1), row(18, 0)], { axis: -1, epsilon: { float: 1e-6 } })
  let x = net.conv('input', 18, { kernel: 4, strides: [4, 4], pads: [0, 0, 0, 0] })
  for (let i = 0; i < 2; i++) {
    const last = norm(net.node('Transpose', [net.conv(x, 18, { kernel: 7, groups: 18 })], { perm: [0, 2, 3, 1] }))
    const wide = net.node('Add', [net.node('MatMul', [last, matrix(18, 70)]), row(70, 0)])
    const gelu = net.gelu(wide)
    const narrow = net.node('Mul', [
      net.node('Add', [net.node('MatMul', [gelu, matrix(70, 18)]), row(18, 0)]),
      row(18, 0.3),
    ])
    x = net.node('Add', [net.node('Transpose', [narrow], { perm: [0, 3, 1, 2] }), x])
  }
  const mean = net.node('Transpose', [net.node('GlobalAveragePool', [x])], { perm: [0, 2, 3, 1] })
  return net.dense(net.node('Flatten', [norm(mean)]), 18)
}

/** Branches as in training: 3×3, 1×1 and identity, each with its norm, dense and depthwise. */
function repvgg(): ModelSpec {
  const net = new Net(24, [1, 3, 36, 30])
  const branches = (x: string, features: number, groups: number, stride: number): string => {
    const square = net.norm(net.conv(x, features, { groups, strides: [stride, stride], bias: false }))
    const point = net.norm(net.conv(x, features, { kernel: 1, groups, strides: [stride, stride], bias: false }))
    const sum = net.node('Add', [square, point])
    return net.relu(stride === 1 && features === net.channels(x) ? net.node('Add', [sum, net.norm(x)]) : sum)
  }
  let x = branches('input', 20, 1, 2)
  x = branches(x, 20, 1, 1)
  x = branches(x, 20, 20, 1)
  return net.head(branches(x, 34, 1, 2))
}

/** Branches that end in a Concat, behind which the mean splits into those of the branches. */
function googlenet(): ModelSpec {
  const net = new Net(25, [1, 3, 39, 33])
  let x = net.relu(net.conv('input', 14, { strides: [2, 2] }))
  for (let i = 0; i < 2; i++) {
    const one = net.conv(x, 10, { kernel: 1, bias: false })
    const three = net.conv(net.relu(net.conv(x, 6, { kernel: 1 })), 12, { bias: false })
    const pooled = net.conv(net.maxPool(x, { strides: [1, 1] }), 8, { kernel: 1, bias: false })
    x = net.relu(net.norm(net.concat(one, three, pooled)))
  }
  return net.head(x)
}

/** Convolutions, then attention over the places of the map: several heads, a residual, a layer norm. */
function mobilevit(): ModelSpec {
  const net = new Net(26, [1, 3, 42, 54])
  const x = net.node('HardSwish', [
    net.norm(net.conv(net.relu(net.conv('input', 15, { strides: [2, 2] })), 24, { strides: [2, 2], bias: false })),
  ])
  const places = 11 * 14
  const reshaped = (value: string, ...sizes: number[]): string =>
    net.node('Reshape', [value, net.constant(int64(...sizes))])
  const row = (mean: number): string =>
    net.constant(
      floats(
        [24],
        new Random(mean).normals(24, 0.1).map((v) => mean + v),
      ),
    )
  const matrix = (seed: number): string =>
    net.constant(floats([24, 24], new Random(seed).normals(24 * 24, Math.sqrt(1 / 24))))
  const rows = net.node('Transpose', [reshaped(x, 1, 24, places)], { perm: [0, 2, 1] })
  const normal = net.node('LayerNormalization', [rows, row(1), row(0)], { axis: -1 })
  const [q, k, v] = [1, 2, 3].map((seed) => reshaped(net.node('MatMul', [normal, matrix(seed)]), 1, places, 3, 8)) as [
    string,
    string,
    string,
  ]
  const scores = net.node('MatMul', [
    net.node('Transpose', [q], { perm: [0, 2, 1, 3] }),
    net.node('Transpose', [k], { perm: [0, 2, 3, 1] }),
  ])
  const shares = net.node('Softmax', [net.node('Div', [scores, net.constant(floats([], [Math.sqrt(8)]))])], {
    axis: -1,
  })
  const mixed = net.node(
    'Transpose',
    [net.node('MatMul', [shares, net.node('Transpose', [v], { perm: [0, 2, 1, 3] })])],
    { perm: [0, 2, 1, 3] },
  )
  const sum = net.node('Add', [net.node('MatMul', [reshaped(mixed, 1, places, 24), matrix(4)]), rows])
  const map = net.node(
    'Reshape',
    [net.node('Transpose', [sum], { perm: [0, 2, 1] }), net.constant(int64(1, 24, 11, 14))],
    {},
    24,
  )
  return net.head(net.relu(net.conv(net.concat(map, x), 40, { kernel: 1 })))
}

/** One small network of each family, by name. */
export const modernNetworks: Readonly<Record<string, () => ModelSpec>> = {
  ghostnet,
  regnet,
  convnext,
  repvgg,
  googlenet,
  mobilevit,
}
