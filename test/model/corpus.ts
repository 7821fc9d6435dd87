/**
 * Graphs as exporters write them, each with the steps that it must become: small, seeded, with odd channel counts.
 * `test/model/corpus.test.ts` compiles each, compares the steps, and compares the results with onnxruntime's.
 */
import { floats, int64, type AttributeValue, type ModelSpec } from '../onnx-builder.js'
import { Net } from '../networks.js'
import { Random } from '../random.js'

export interface CorpusEntry {
  readonly name: string
  /** Who writes such a graph. */
  readonly from: string
  readonly model: ModelSpec
  /** The steps of the plan, as `stepText` writes them. */
  readonly steps: readonly string[]
}

type Build = (net: Graph) => string

/** Names of what exporters spell out, on top of the networks' builder. */
export class Graph extends Net {
  scalar(value: number): string {
    return this.constant(floats([], [value]))
  }

  /** One value a channel, near a mean and never at zero, in a shape that broadcasts. */
  perChannel(shape: readonly number[], mean: number, spread = 0.2): string {
    const count = shape.reduce((product, size) => product * size, 1)
    return this.constant(
      floats(
        shape,
        new Random(count + mean).normals(count, spread).map((v) => v + mean),
      ),
    )
  }

  op(op: string, ...inputs: string[]): string {
    return this.node(op, inputs)
  }

  with(op: string, attributes: Readonly<Record<string, AttributeValue>>, ...inputs: string[]): string {
    return this.node(op, inputs, attributes)
  }

  /** x · number, x + number and so on. */
  by(op: string, x: string, value: number): string {
    return this.node(op, [x, this.scalar(value)])
  }

  point(x: string, features: number, options = {}): string {
    return this.conv(x, features, { kernel: 1, ...options })
  }

  toNhwc(x: string): string {
    return this.node('Transpose', [x], { perm: [0, 2, 3, 1] })
  }

  fromNhwc(x: string, channels = this.channels(x)): string {
    return this.node('Transpose', [x], { perm: [0, 3, 1, 2] }, channels)
  }

  /** A convolution as tf2onnx and Keras leave it: between transpositions. */
  nhwcConv(x: string, features: number, options = {}): string {
    return this.toNhwc(this.conv(this.fromNhwc(x), features, { bias: false, ...options }))
  }

  matrix(rows: number, columns: number): string {
    return this.constant(
      floats([rows, columns], new Random(rows * 31 + columns).normals(rows * columns, Math.sqrt(1 / rows))),
    )
  }

  relu6(x: string): string {
    return this.clip6(x)
  }

  sizes(...sizes: number[]): string {
    return this.constant(int64(...sizes))
  }
}

const entries: CorpusEntry[] = []

/** Adds a graph over a picture [1,6,10,10], or [1,12,10,3] with the channels last. */
export function add(
  from: string,
  name: string,
  build: Build,
  steps: readonly string[],
  { isNhwc = false, opset = 17 } = {},
): void {
  const input = isNhwc ? [1, 12, 10, 3] : [1, 6, 10, 10]
  const net = new Graph(entries.length + 1, input, isNhwc ? 3 : 6)
  const output = build(net)
  const model = { nodes: net.nodes, weights: net.weights, inputs: { input }, outputs: { [output]: null }, opset }
  entries.push({ from, name, model, steps })
}

// Batch norms.

add('torch, training mode', 'a batch norm behind a convolution', (g) => g.relu(g.norm(g.conv('input', 5))), [
  'conv2d 3x3 p1 relu',
])

add(
  'tf2onnx',
  'a batch norm as a product and a sum per channel',
  (g) => {
    const y = g.op('Mul', g.conv('input', 5, { bias: false }), g.perChannel([5, 1, 1], 1))
    return g.relu(g.op('Add', y, g.perChannel([1, 5, 1, 1], 0)))
  },
  ['conv2d 3x3 p1 relu'],
)

add(
  'TensorFlow 1 graphs',
  'a batch norm as differences, a computed root and a quotient',
  (g) => {
    const root = g.op('Sqrt', g.by('Add', g.perChannel([5, 1, 1], 1), 1e-3))
    const y = g.op('Div', g.op('Sub', g.conv('input', 5), g.perChannel([5, 1, 1], 0)), root)
    return g.op('Add', g.op('Mul', y, g.perChannel([5, 1, 1], 1)), g.perChannel([5, 1, 1], 0))
  },
  ['conv2d 3x3 p1'],
)

add('torch, pre-activation', 'a batch norm before a convolution without padding', (g) => g.point(g.norm('input'), 5), [
  'conv2d 1x1',
])

add('torch, pre-activation', 'a batch norm before a padded convolution', (g) => g.conv(g.norm('input'), 5), [
  'conv2d 1x1 g6',
  'conv2d 3x3 p1',
])

add(
  'torchvision DenseNet',
  'batch norm and Relu before each convolution',
  (g) => g.conv(g.relu(g.norm(g.point(g.relu(g.norm('input')), 8))), 5),
  ['conv2d 1x1 g6 relu', 'conv2d 1x1 relu', 'conv2d 3x3 p1'],
)

add(
  'Keras Inception',
  'a batch norm behind a Concat',
  (g) => g.relu(g.norm(g.concat(g.conv('input', 5), g.point('input', 3)))),
  ['conv2d 3x3 p1 relu', 'conv2d 1x1 relu', 'concat'],
)

add(
  'torch',
  'a Concat of Concats, and an activation behind it',
  (g) => g.relu(g.concat(g.concat(g.conv('input', 5), g.point('input', 3)), g.relu(g.point('input', 4)))),
  ['conv2d 3x3 p1 relu', 'conv2d 1x1 relu', 'conv2d 1x1 relu', 'concat'],
)

add(
  'timm, layer scale',
  'a factor per channel before a residual sum',
  (g) => g.op('Add', 'input', g.op('Mul', g.point('input', 6), g.perChannel([6, 1, 1], 0.3))),
  ['conv2d 1x1 + residual'],
)

add('timm HGNet', 'a factor behind a Relu', (g) => g.by('Mul', g.relu(g.conv('input', 5)), 1.7), ['conv2d 3x3 p1 relu'])

add(
  'Keras',
  'a dense layer with its batch norm',
  (g) => {
    const flat = g.node('Flatten', [g.op('GlobalAveragePool', g.point('input', 7))])
    return g.relu(g.norm(g.op('Add', g.node('MatMul', [flat, g.matrix(7, 4)], {}, 4), g.perChannel([4], 0))))
  },
  ['reduce mean', 'dense relu'],
)

// Activations.

add(
  'torch script',
  'Relu6 as a Clip whose bounds are constants of their own',
  (g) => {
    const bound = (value: number): string => g.op('Identity', g.scalar(value))
    return g.node('Clip', [g.conv('input', 5), bound(0), bound(6)])
  },
  ['conv2d 3x3 p1 clip 0..6'],
)

add(
  'torch, opset 9',
  'Relu6 as a Clip with attributes',
  (g) => g.with('Clip', { min: { float: 0 }, max: { float: 6 } }, g.conv('input', 5)),
  ['conv2d 3x3 p1 clip 0..6'],
  { opset: 9 },
)

add('tf2onnx', 'Relu6 as Min of Max', (g) => g.by('Min', g.by('Max', g.conv('input', 5), 0), 6), [
  'conv2d 3x3 p1 clip 0..6',
])

add('Keras', 'Relu6 as Relu and Min', (g) => g.by('Min', g.relu(g.conv('input', 5)), 6), ['conv2d 3x3 p1 clip 0..6'])

add(
  'torch, opset 13 and below',
  'HardSwish as Add, Clip, Mul, Div',
  (g) => {
    const x = g.conv('input', 5)
    return g.by('Div', g.op('Mul', x, g.relu6(g.by('Add', x, 3))), 6)
  },
  ['conv2d 3x3 p1 hardSwish'],
)

add(
  'Keras MobileNetV3',
  'HardSwish as x times a sixth of Relu6',
  (g) => {
    const x = g.conv('input', 5)
    return g.op('Mul', x, g.by('Mul', g.by('Min', g.by('Max', g.by('Add', x, 3), 0), 6), 1 / 6))
  },
  ['conv2d 3x3 p1 hardSwish'],
)

add(
  'tf2onnx',
  'HardSwish as a sixth of x times Relu6',
  (g) => {
    const x = g.conv('input', 5)
    return g.op('Mul', g.by('Mul', x, 1 / 6), g.relu6(g.by('Add', x, 3)))
  },
  ['conv2d 3x3 p1 hardSwish'],
)

add(
  'torch',
  'HardSwish as x times HardSigmoid',
  (g) => {
    const x = g.conv('input', 5)
    return g.op('Mul', g.with('HardSigmoid', { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }, x), x)
  },
  ['conv2d 3x3 p1 hardSwish'],
)

add(
  'Paddle',
  'HardSigmoid as a clipped line',
  (g) => {
    const line = g.by('Add', g.by('Mul', g.conv('input', 5), 1 / 6), 0.5)
    return g.node('Clip', [line, g.scalar(0), g.scalar(1)])
  },
  ['conv2d 3x3 p1 hardSigmoid'],
)

add(
  'torch',
  'SiLU as x times its sigmoid',
  (g) => {
    const x = g.conv('input', 5)
    return g.op('Mul', x, g.op('Sigmoid', x))
  },
  ['conv2d 3x3 p1 silu'],
)

add(
  'tf2onnx',
  'SiLU by Exp',
  (g) => {
    const x = g.conv('input', 5)
    return g.op('Div', x, g.by('Add', g.op('Exp', g.op('Neg', x)), 1))
  },
  ['conv2d 3x3 p1 silu'],
)

add(
  'torch, opset 19 and below',
  'Gelu by Erf',
  (g) => {
    const x = g.conv('input', 5)
    const erf = g.by('Add', g.op('Erf', g.by('Div', x, Math.SQRT2)), 1)
    return g.by('Mul', g.op('Mul', x, erf), 0.5)
  },
  ['conv2d 3x3 p1 gelu'],
)

add(
  'Keras',
  'Gelu by Tanh',
  (g) => {
    const x = g.conv('input', 5)
    const inner = g.by('Mul', g.op('Add', x, g.by('Mul', g.by('Pow', x, 3), 0.044715)), Math.sqrt(2 / Math.PI))
    return g.op('Mul', g.by('Mul', x, 0.5), g.by('Add', g.op('Tanh', inner), 1))
  },
  ['conv2d 3x3 p1 geluTanh'],
)

add('Keras', 'Relu behind a maximum', (g) => g.relu(g.maxPool(g.conv('input', 5))), [
  'conv2d 3x3 p1 relu',
  'pool2d max 3x3 s2 p1',
])

// Identities, sizes, pads.

add(
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
)

add(
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
)

add(
  'tf2onnx',
  'a Pad before a convolution',
  (g) => g.conv(g.node('Pad', ['input', g.sizes(0, 0, 0, 0, 0, 0, 1, 1)]), 5, { strides: [2, 2], pads: [0, 0, 0, 0] }),
  ['conv2d 3x3 s2 p0,0,1,1'],
)

add(
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
)

add(
  'torch, opset 18 and above',
  'a Pad of two axes',
  (g) => g.conv(g.node('Pad', ['input', g.sizes(1, 2, 1, 0), '', g.sizes(2, 3)]), 5, { pads: [0, 0, 0, 0] }),
  ['conv2d 3x3 p1,2,1,0'],
  { opset: 18 },
)

add(
  'tf2onnx',
  'a Pad with minus infinity before a maximum',
  (g) =>
    g.maxPool(g.node('Pad', [g.conv('input', 5), g.sizes(0, 0, 1, 1, 0, 0, 1, 1), g.scalar(-Infinity)]), {
      pads: [0, 0, 0, 0],
    }),
  ['conv2d 3x3 p1', 'pool2d max 3x3 s2 p1'],
)

add(
  'Keras ResNet',
  'a Pad with zeros behind a Relu, before a maximum',
  (g) =>
    g.maxPool(g.node('Pad', [g.relu(g.conv('input', 5)), g.sizes(0, 0, 1, 1, 0, 0, 1, 1)]), { pads: [0, 0, 0, 0] }),
  ['conv2d 3x3 p1 relu', 'pool2d max 3x3 s2 p1'],
)

export const corpus: readonly CorpusEntry[] = entries
