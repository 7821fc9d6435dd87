/** Activation functions, in one node or spelled out. */
import { graph, type CorpusGraph } from './graph-builder.js'

export const activations: readonly CorpusGraph[] = [
  graph(
    'torch script',
    'Relu6 as a Clip with separate constants as bounds',
    (g) => {
      const bound = (value: number): string => g.op('Identity', g.scalar(value))
      return g.node('Clip', [g.conv('input', 5), bound(0), bound(6)])
    },
    ['conv2d 3x3 p1 clip 0..6'],
  ),

  graph(
    'torch, opset 9',
    'Relu6 as a Clip with attributes',
    (g) => g.with('Clip', { min: { float: 0 }, max: { float: 6 } }, g.conv('input', 5)),
    ['conv2d 3x3 p1 clip 0..6'],
    { opset: 9 },
  ),

  graph('tf2onnx', 'Relu6 as Min of Max', (g) => g.by('Min', g.by('Max', g.conv('input', 5), 0), 6), [
    'conv2d 3x3 p1 clip 0..6',
  ]),

  graph('Keras', 'Relu6 as Relu and Min', (g) => g.by('Min', g.relu(g.conv('input', 5)), 6), [
    'conv2d 3x3 p1 clip 0..6',
  ]),

  graph(
    'torch, opset 13 and below',
    'HardSwish as Add, Clip, Mul, Div',
    (g) => {
      const x = g.conv('input', 5)
      return g.by('Div', g.op('Mul', x, g.relu6(g.by('Add', x, 3))), 6)
    },
    ['conv2d 3x3 p1 hardSwish'],
  ),

  graph(
    'Keras MobileNetV3',
    'HardSwish as x times a sixth of Relu6',
    (g) => {
      const x = g.conv('input', 5)
      return g.op('Mul', x, g.by('Mul', g.by('Min', g.by('Max', g.by('Add', x, 3), 0), 6), 1 / 6))
    },
    ['conv2d 3x3 p1 hardSwish'],
  ),

  graph(
    'tf2onnx',
    'HardSwish as a sixth of x times Relu6',
    (g) => {
      const x = g.conv('input', 5)
      return g.op('Mul', g.by('Mul', x, 1 / 6), g.relu6(g.by('Add', x, 3)))
    },
    ['conv2d 3x3 p1 hardSwish'],
  ),

  graph(
    'torch',
    'HardSwish as x times HardSigmoid',
    (g) => {
      const x = g.conv('input', 5)
      return g.op('Mul', g.with('HardSigmoid', { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }, x), x)
    },
    ['conv2d 3x3 p1 hardSwish'],
  ),

  graph(
    'Paddle',
    'HardSigmoid as a clipped line',
    (g) => {
      const line = g.by('Add', g.by('Mul', g.conv('input', 5), 1 / 6), 0.5)
      return g.node('Clip', [line, g.scalar(0), g.scalar(1)])
    },
    ['conv2d 3x3 p1 hardSigmoid'],
  ),

  graph(
    'torch',
    'SiLU as x times its sigmoid',
    (g) => {
      const x = g.conv('input', 5)
      return g.op('Mul', x, g.op('Sigmoid', x))
    },
    ['conv2d 3x3 p1 silu'],
  ),

  graph(
    'tf2onnx',
    'SiLU by Exp',
    (g) => {
      const x = g.conv('input', 5)
      return g.op('Div', x, g.by('Add', g.op('Exp', g.op('Neg', x)), 1))
    },
    ['conv2d 3x3 p1 silu'],
  ),

  graph(
    'torch, opset 19 and below',
    'Gelu by Erf',
    (g) => {
      const x = g.conv('input', 5)
      const erf = g.by('Add', g.op('Erf', g.by('Div', x, Math.SQRT2)), 1)
      return g.by('Mul', g.op('Mul', x, erf), 0.5)
    },
    ['conv2d 3x3 p1 gelu'],
  ),

  graph(
    'Keras',
    'Gelu by Tanh',
    (g) => {
      const x = g.conv('input', 5)
      const inner = g.by('Mul', g.op('Add', x, g.by('Mul', g.by('Pow', x, 3), 0.044715)), Math.sqrt(2 / Math.PI))
      return g.op('Mul', g.by('Mul', x, 0.5), g.by('Add', g.op('Tanh', inner), 1))
    },
    ['conv2d 3x3 p1 geluTanh'],
  ),

  graph('Keras', 'Relu behind a maximum', (g) => g.relu(g.maxPool(g.conv('input', 5))), [
    'conv2d 3x3 p1 relu',
    'pool2d max 3x3 s2 p1',
  ]),
]
