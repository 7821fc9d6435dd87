/**
 * Heat maps against their definition: for two pictures, the difference of a class's logits equals the difference of the
 * means of its maps. This holds for every form of the head, on both engines. Models without a usable head give a reason.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/select.js'
import { loadAddon } from '../../src/addon.js'
import { plainProduct } from '../../src/heat/map.js'
import { heatOf } from '../../src/heat/open.js'
import { planHeat } from '../../src/heat/plan.js'
import { loadModel } from '../../src/model/load.js'
import { networks } from '../networks.js'
import { modernNetworks } from '../networks-modern.js'
import { floats, int64, writeModel, type ModelSpec, type NodeSpec, type Weight } from '../onnx-builder.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'
import { check, type Outcome } from './outcome.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-heat-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const random = new Random(5)
const conv = floats([12, 3, 3, 3], random.normals(12 * 27, 0.2))
const w = (rows: number, columns: number): Weight => floats([rows, columns], random.normals(rows * columns, 0.3))
const bias = floats([7], random.normals(7))
const body: NodeSpec[] = [
  { op: 'Conv', inputs: ['input', 'conv'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } },
  { op: 'Relu', inputs: ['c'], outputs: ['map'] },
]

/** A model with the head `nodes` on a feature map [1, 12, 8, 6], and 7 classes. */
function headed(nodes: NodeSpec[], weights: Record<string, Weight> = {}, shape: number[] = [1, 7]): ModelSpec {
  return {
    nodes: [...body, ...nodes],
    weights: { conv, bias, ...weights },
    inputs: { input: [1, 3, 16, 12] },
    outputs: { y: shape },
  }
}

const gap: NodeSpec = { op: 'GlobalAveragePool', inputs: ['map'], outputs: ['p'] }
const flatten: NodeSpec = { op: 'Flatten', inputs: ['p'], outputs: ['f'] }
const pointwise = (x: string, y: string, rows: number, columns: number): [NodeSpec, Record<string, Weight>] => [
  { op: 'Conv', inputs: [x, `w${y}`], outputs: [y] },
  { [`w${y}`]: floats([rows, columns, 1, 1], random.normals(rows * columns, 0.3)) },
]

const [before, beforeWeights] = pointwise('map', 'm2', 9, 12)
const [classes, classesWeights] = pointwise('p', 'y', 7, 12)
const [last, lastWeights] = pointwise('map', 'm2', 7, 12)

const heads: Record<string, ModelSpec> = {
  'Gemm with its weights transposed': headed(
    [gap, flatten, { op: 'Gemm', inputs: ['f', 'w', 'bias'], outputs: ['y'], attributes: { transB: 1 } }],
    { w: w(7, 12) },
  ),
  'Gemm with alpha': headed(
    [
      gap,
      flatten,
      {
        op: 'Gemm',
        inputs: ['f', 'w', 'bias'],
        outputs: ['y'],
        attributes: { alpha: { float: 0.5 }, beta: { float: 2 } },
      },
    ],
    { w: w(12, 7) },
  ),
  'MatMul and Add behind Dropout': headed(
    [
      gap,
      flatten,
      { op: 'Dropout', inputs: ['f'], outputs: ['d'] },
      { op: 'MatMul', inputs: ['d', 'w'], outputs: ['m'] },
      { op: 'Add', inputs: ['bias', 'm'], outputs: ['y'] },
    ],
    { w: w(12, 7) },
  ),
  'a 1×1 convolution on the mean': headed([gap, classes], classesWeights, [1, 7, 1, 1]),
  'a 1×1 convolution before the mean, as in the first networks with GAP': headed(
    [
      last,
      { op: 'Relu', inputs: ['m2'], outputs: ['r'] },
      { ...gap, inputs: ['r'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
    ],
    lastWeights,
  ),
  'a linear 1×1 convolution before the mean, which the compiler moves behind it': headed(
    [before, { ...gap, inputs: ['m2'] }, flatten, { op: 'Gemm', inputs: ['f', 'w'], outputs: ['y'] }],
    { ...beforeWeights, w: w(9, 7) },
  ),
  'ReduceMean with keepdims 0': headed(
    [
      { op: 'ReduceMean', inputs: ['map'], outputs: ['f'], attributes: { axes: [2, 3], keepdims: 0 } },
      { op: 'Gemm', inputs: ['f', 'w'], outputs: ['y'] },
    ],
    { w: w(12, 7) },
  ),
  'ReduceMean with channels last': headed(
    [
      { op: 'Transpose', inputs: ['map'], outputs: ['t'], attributes: { perm: [0, 2, 3, 1] } },
      { op: 'ReduceMean', inputs: ['t'], outputs: ['f'], attributes: { axes: [1, 2], keepdims: 0 } },
      { op: 'MatMul', inputs: ['f', 'w'], outputs: ['y'] },
    ],
    { w: w(12, 7) },
  ),
  'an average over the whole map': headed(
    [
      { op: 'AveragePool', inputs: ['map'], outputs: ['p'], attributes: { kernel_shape: [8, 6] } },
      { op: 'Reshape', inputs: ['p', 'shape'], outputs: ['f'] },
      { op: 'Gemm', inputs: ['f', 'w'], outputs: ['y'] },
    ],
    { w: w(12, 7), shape: int64(1, 12) },
  ),
  'a normalization and a temperature between': headed(
    [
      gap,
      { op: 'BatchNormalization', inputs: ['p', 'scale', 'shift', 'mean', 'variance'], outputs: ['n'] },
      { ...flatten, inputs: ['n'] },
      { op: 'Gemm', inputs: ['f', 'w'], outputs: ['l'] },
      { op: 'Div', inputs: ['l', 'temperature'], outputs: ['y'] },
    ],
    {
      w: w(12, 7),
      scale: floats([12], random.normals(12)),
      shift: floats([12], random.normals(12)),
      mean: floats([12], random.normals(12)),
      variance: floats([12], random.normals(12).map(Math.abs)),
      temperature: floats([], [1.7]),
    },
  ),
  'two linear layers with nothing between': headed(
    [
      gap,
      flatten,
      { op: 'Gemm', inputs: ['f', 'v'], outputs: ['h'] },
      { op: 'Gemm', inputs: ['h', 'w', 'bias'], outputs: ['y'] },
    ],
    { v: w(12, 5), w: w(5, 7) },
  ),
}

describe.each(['native', 'onnxruntime'] as const)('on %s', (engine) => {
  it.each(Object.entries(heads))('%s', async (title, spec) => {
    const outcome = await check(writeModel(join(folder, `${title.length}-${engine}.onnx`), spec), engine)
    expect(outcome).toMatchObject({ places: 48 })
    expect((outcome as Outcome).error).toBeLessThan(1e-5)
  })

  const small = Object.entries({ ...networks, ...modernNetworks })
  it('every small test network has exact maps or a reason', async () => {
    const refused: Record<string, string> = {}
    let exact = 0
    for (const [name, build] of small) {
      const outcome = await check(writeModel(join(folder, `${name}-${engine}.onnx`), build()), engine)
      if (typeof outcome === 'string') refused[name] = outcome
      else {
        expect(outcome.error, name).toBeLessThan(2e-5)
        exact++
      }
    }
    expect(exact).toBeGreaterThan(6)
    for (const [name, reason] of Object.entries(refused))
      expect(reason, name).toMatch(
        /^(between the mean|its head flattens|its scores|its feature map is 1 by 1|the mean is taken)/,
      )
  })
})

const shared = sharedFolder()
const zoo = [
  'resnet18',
  'mobilenet_v1',
  'mobilenet_v2',
  'shufflenet_v2_x1_0',
  'squeezenet1_1',
  'efficientnet_lite0',
  'convnet_gap',
]
it.skipIf(shared === null).each(zoo)(
  'the maps of %s from its exporter are exact (skipped without the shared folder)',
  async (name) => {
    const outcome = await check(join(shared!, 'zoo', `${name}.onnx`), 'native')
    expect((outcome as Outcome).error, String(outcome)).toBeLessThan(1e-4)
  },
)

describe('the reason is given for', () => {
  it.skipIf(shared === null)(
    'MobileNetV3, with an activation after the mean (skipped without the shared folder)',
    async () => {
      expect(await check(join(shared!, 'zoo/mobilenet_v3_large.onnx'), 'native')).toMatch(
        /^between the mean over the feature map and the scores is HardSwish .*, which is not linear; a score is then not a sum over positions$/,
      )
    },
  )
  it('a flattened head', async () => {
    expect(await check(join(projectRoot, 'models/convnet-flatten.onnx'), 'native')).toMatch(
      /^its head flattens a feature map \(Flatten .*\); only a mean over the positions can be traced back to them$/,
    )
  })
  it('a feature map with a single place', async () => {
    const spec = {
      ...headed([gap, flatten, { op: 'Gemm', inputs: ['f', 'w'], outputs: ['y'] }], { w: w(12, 7) }),
      inputs: { input: [1, 3, 2, 2] },
    }
    expect(await check(writeModel(join(folder, 'one.onnx'), spec), 'native')).toMatch(
      /^its feature map is 1 by 1 at this input size/,
    )
  })
  it('a mean over the picture itself', async () => {
    const spec: ModelSpec = {
      nodes: [{ ...gap, inputs: ['input'] }, flatten, { op: 'Gemm', inputs: ['f', 'w'], outputs: ['y'] }],
      weights: { w: w(3, 4) },
      inputs: { input: [1, 3, 8, 8] },
      outputs: { y: [1, 4] },
    }
    expect(await check(writeModel(join(folder, 'picture.onnx'), spec), 'native')).toMatch(
      /^the mean is taken over the picture itself/,
    )
  })
})

it('an unknown class is an error', async () => {
  const model = await loadModel(join(projectRoot, 'models/convnet-gap.onnx'))
  const plan = planHeat(model, { height: 32, width: 32 })
  if ('reason' in plan) throw new Error(plan.reason)
  const engine = await openEngine(model, 'auto', {
    inputSize: { height: 32, width: 32 },
    extraOutputs: plan.extraOutputs,
  })
  const opened = heatOf(plan, engine)
  if ('reason' in opened) throw new Error(opened.reason)
  for (const index of [-1, 10, 0.5, NaN])
    expect(() => opened.heat(index)).toThrow(/^Expected a class from 0 to 9 for the heat map/)
  await engine.close()
})

it('the native product equals the plain one, in both layouts and odd sizes', () => {
  const loaded = loadAddon()
  if (!('addon' in loaded)) throw new Error(loaded.reason)
  const draw = new Random(9)
  for (let i = 0; i < 60; i++) {
    const [places, channels] = [draw.between(1, 90), draw.between(1, 1300)]
    const [map, weights] = [draw.normals(places * channels), draw.normals(channels)]
    for (const isNhwc of [true, false]) {
      const [fast, plain] = [new Float32Array(places), new Float32Array(places)]
      loaded.addon.heatProduct(map, weights, isNhwc, fast)
      plainProduct(map, weights, isNhwc, plain)
      for (let p = 0; p < places; p++) expect(Math.abs(fast[p]! - plain[p]!)).toBeLessThan(1e-5 * channels)
    }
  }
  for (const [map, heat] of [
    [7, 2],
    [6, 3],
    [0, 1],
  ] as const) {
    expect(() =>
      loaded.addon.heatProduct(
        new Float32Array(map),
        new Float32Array(2),
        true,
        new Float32Array(heat + (map === 6 ? 1 : 0)),
      ),
    ).toThrow(/^Expected a map of places/)
  }
})
