/** Models in half and double precision: the native engine computes them in single precision. */
import { expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { buildModel, floats, type ModelSpec, type NodeSpec, type Weight } from '../onnx-builder.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { inSinglePrecision } from '../../src/model/single.js'
import { Random } from '../random.js'
import { expectParity, modelFolder, outputsOf } from './outputs.js'

const write = modelFolder()

/** Random halves and their values. The second one is subnormal. */
function halves(seed: number, shape: readonly number[]): { readonly half: Weight; readonly single: Weight } {
  const random = new Random(seed)
  const count = shape.reduce((product, size) => product * size, 1)
  const drawn = Array.from({ length: count }, (_, i) => {
    const [sign, exponent, fraction] = [
      random.between(0, 1),
      i === 1 ? 0 : random.between(10, 14),
      i === 0 ? 0 : random.between(0, 1023),
    ]
    const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15)
    return { bits: (sign << 15) | (exponent << 10) | fraction, value: sign === 1 ? -size : size }
  })
  return {
    half: { shape, data: Uint16Array.from(drawn, ({ bits }) => bits) },
    single: floats(
      shape,
      drawn.map(({ value }) => value),
    ),
  }
}

const node = (
  op: string,
  inputs: string,
  output: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: [output], attributes })
const layers = [
  node('Conv', 'x kernel bias', 'a', { pads: [1, 1, 1, 1] }),
  node('Relu', 'a', 'map'),
  node('GlobalAveragePool', 'map', 'pooled'),
  node('Flatten', 'pooled', 'flat'),
  node('Gemm', 'flat matrix', 'scores'),
]
const drawn = { kernel: halves(1, [8, 3, 3, 3]), bias: halves(2, [8]), matrix: halves(3, [8, 5]) }
const weightsOf = (kind: 'half' | 'single'): Record<string, Weight> =>
  Object.fromEntries(Object.entries(drawn).map(([name, weight]) => [name, weight[kind]]))
const ports = { inputs: { input: [1, 3, 12, 10] }, outputs: { y: [1, 5] } }
const inSingle: ModelSpec = {
  ...ports,
  nodes: [node('Identity', 'input', 'x'), ...layers, node('Identity', 'scores', 'y')],
  weights: weightsOf('single'),
}
const inHalf: ModelSpec = {
  ...ports,
  nodes: [node('Cast', 'input', 'x', { to: 10 }), ...layers, node('Cast', 'scores', 'y', { to: 1 })],
  weights: weightsOf('half'),
}
/** A model that computes in single precision and stores its weights as halves. */
const stored: ModelSpec = {
  ...inSingle,
  weights: Object.fromEntries(Object.entries(weightsOf('half')).map(([name, weight]) => [`${name}16`, weight])),
  nodes: [...Object.keys(drawn).map((name) => node('Cast', `${name}16`, name, { to: 1 })), ...inSingle.nodes],
}
const endsInDouble: ModelSpec = {
  ...inSingle,
  weights: { ...inSingle.weights!, half: { shape: [], data: Float64Array.of(0.5) } },
  nodes: [
    ...inSingle.nodes.slice(0, -1),
    node('Cast', 'scores', 'd', { to: 11 }),
    node('Mul', 'd half', 'e'),
    node('Softmax', 'e', 'f', { axis: 1 }),
    node('Cast', 'f', 'y', { to: 1 }),
  ],
}

it.each([
  ['halves throughout', inHalf],
  ['weights stored as halves', stored],
])('%s give the same bits as their values in single precision', async (name, spec) => {
  expect(await outputsOf(write(name, spec), 'native')).toEqual(await outputsOf(write('single', inSingle), 'native'))
})

it('a model in half precision is within the rounding of halves of onnxruntime', async () => {
  await expectParity(write('half', inHalf), 4e-3)
})

it('a head in double precision computes what onnxruntime computes', async () => {
  await expectParity(write('double', endsInDouble), 1e-5)
})

it('a graph in single precision stays the same object', () => {
  const { graph } = parseModel(buildModel(inSingle))
  expect(inSinglePrecision(graph)).toBe(graph)
})

it('a classifier in half precision opens on onnxruntime without heat maps, and says why', async () => {
  const classifier = await openClassifier({
    model: write('heat', inHalf),
    engine: 'onnxruntime',
    heat: true,
  })
  await classifier.engine.run()
  await classifier.close()
  expect(classifier.heat).toEqual({ reason: 'the engine does not output the feature map map' })
})
