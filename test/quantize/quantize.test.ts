import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { floatsOf, numbersOf } from '../../src/model/graph.js'
import { loadModel } from '../../src/model/load.js'
import { demandFloat, graphToQuantize } from '../../src/quantize/prepare.js'
import { compareOutputs } from '../../src/quantize/quality.js'
import { quantizeModel } from '../../src/quantize/quantize.js'
import { affineOf, rangeOf } from '../../src/quantize/ranges.js'
import { layersOf } from '../../src/quantize/selection.js'
import { quantizeWeights, roundHalfEven } from '../../src/quantize/weights.js'
import { correctedBias } from '../../src/quantize/correction.js'
import { buildModel, floats } from '../onnx-builder.js'
import { Random } from '../random.js'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-quantize-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const random = new Random(7)
const noise = (length: number, scale = 1): Float32Array =>
  Float32Array.from({ length }, () => (random.next() - 0.5) * 2 * scale)

/** A picture [3, 16, 16] of one colour with a slope: pictures differ more from one another than noise does. */
function picture(): Float32Array {
  const [colour, slope] = [noise(3, 2), noise(3, 0.2)]
  return Float32Array.from(
    { length: 768 },
    (_, i) => colour[Math.floor(i / 256)]! + slope[Math.floor(i / 256)]! * (i % 16),
  )
}

/** Conv 3×3 with Relu6, depthwise 3×3, an addition, GAP and a dense layer over [1, 3, 16, 16]. */
async function smallGraph(): Promise<ReturnType<typeof graphToQuantize>> {
  const file = join(folder, 'small.onnx')
  const weights = {
    w1: floats([8, 3, 3, 3], noise(216)),
    b1: floats([8], noise(8)),
    w2: floats([8, 1, 3, 3], noise(72)),
    w3: floats([5, 8], noise(40)),
    b3: floats([5], noise(5)),
    low: floats([], [0]),
    high: floats([], [6]),
  }
  const conv = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] }
  writeFileSync(
    file,
    buildModel({
      inputs: { input: [1, 3, 16, 16] },
      outputs: { logits: [1, 5] },
      weights,
      nodes: [
        { op: 'Conv', inputs: ['input', 'w1', 'b1'], outputs: ['a'], attributes: conv },
        { op: 'Clip', inputs: ['a', 'low', 'high'], outputs: ['b'] },
        { op: 'Conv', inputs: ['b', 'w2'], outputs: ['c'], attributes: { ...conv, group: 8 } },
        { op: 'Add', inputs: ['b', 'c'], outputs: ['d'] },
        { op: 'GlobalAveragePool', inputs: ['d'], outputs: ['e'] },
        { op: 'Flatten', inputs: ['e'], outputs: ['f'] },
        { op: 'Gemm', inputs: ['f', 'w3', 'b3'], outputs: ['logits'], attributes: { transB: 1 } },
      ],
    }),
  )
  return graphToQuantize(await loadModel(file), undefined)
}

describe('choosing scales', () => {
  it('halves round to the even number, as QuantizeLinear rounds them', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 7].map(roundHalfEven).map((value) => value + 0)).toEqual([
      0, 2, 2, 0, -2, 0, 7,
    ])
  })

  it('a range contains 0 and ends at an activation bound, or at the 99.999 % quantile without one', () => {
    const histogram = new Float64Array(2048)
    histogram[0] = 1e7
    histogram[2047] = 1 // one value far from the others
    const statistics = { min: 1, max: 2049, histogram, channelMeans: Float64Array.of(1) }
    expect(rangeOf(statistics, { low: 0, high: Infinity })).toEqual({ low: 0, high: 2 })
    expect(rangeOf(statistics, { low: 0, high: 3000 })).toEqual({ low: 0, high: 2049 })
    expect(affineOf({ low: -1, high: 3 })).toEqual({ scale: Math.fround(4 / 255), zeroPoint: 64 })
  })

  it('weights keep within half a step of their channel, and a channel of zeros keeps a usable scale', async () => {
    const graph = await smallGraph()
    const layer = layersOf(graph).find(({ weights }) => weights !== null)!
    const constant = graph.constants.get(layer.weights!)!
    constant.bytes.fill(0, 0, 27 * 4)
    const exact = floatsOf(constant)
    const { values, scales } = quantizeWeights(graph, layer)
    exact.forEach((value, i) => {
      const scale = scales[Math.floor(i / 27)]!
      expect(Math.abs(values[i]! * scale - value)).toBeLessThanOrEqual(scale / 2 + 1e-9)
    })
    expect(scales[0]).toBeGreaterThan(0)
  })

  it('bias correction takes off what the rounded weights add for the mean input', async () => {
    const graph = await smallGraph()
    const layer = layersOf(graph).find(({ node }) => node.op === 'Gemm')!
    const weights = quantizeWeights(graph, layer)
    const means = Float64Array.from(noise(8))
    const bias = floatsOf(graph.constants.get(layer.bias!)!)
    const corrected = correctedBias(layer.node, bias, weights, means)
    const exact = floatsOf(graph.constants.get(layer.weights!)!)
    corrected.forEach((value, o) => {
      const row = Array.from({ length: 8 }, (_, i) => i)
      const wanted = row.reduce((sum, i) => sum + exact[o * 8 + i]! * means[i]!, bias[o]!)
      const got = row.reduce((sum, i) => sum + weights.values[o * 8 + i]! * weights.scales[o]! * means[i]!, value)
      expect(got).toBeCloseTo(wanted, 5)
    })
  })
})

describe('quantizeModel', () => {
  it('writes every layer in QDQ form, close to the float model, and drops the activation into the range', async () => {
    const graph = await smallGraph()
    const inputs = Array.from({ length: 80 }, picture)
    const {
      graph: quantized,
      quality,
      reverted,
    } = await quantizeModel({
      graph,
      path: 'small.onnx',
      calibrating: inputs.slice(0, 40),
      judging: inputs.slice(40),
      engine: {},
    })
    expect(reverted).toEqual([])
    expect(quality.agreement).toBeGreaterThanOrEqual(0.95)
    expect(quality.sqnrDb).toBeGreaterThan(20)
    const ops = quantized.nodes.map(({ op }) => op)
    expect(ops).not.toContain('Clip')
    expect(ops.filter((op) => op === 'QuantizeLinear')).toHaveLength(7) // the input, four layers, GAP's flattened result, logits
    const first = quantized.nodes.find(({ op }) => op === 'Conv')!
    const weights = quantized.nodes.find(({ outputs }) => outputs[0] === first.inputs[1])!
    expect(weights).toMatchObject({ op: 'DequantizeLinear', attributes: { axis: { value: 0 } } })
    const constant = quantized.constants.get(weights.inputs[0]!)!
    expect(constant.type).toBe('int8')
    expect(Math.max(...numbersOf(constant).map(Math.abs))).toBe(127)
  })

  it('compares outputs without a shift that all classes share', () => {
    const float = [Float32Array.of(1, 2, 3)]
    expect(compareOutputs(float, [Float32Array.of(11, 12, 13)]).sqnrDb).toBeGreaterThan(100)
    expect(compareOutputs(float, [Float32Array.of(3, 2, 1)])).toMatchObject({ agreement: 0 })
  })
})

describe('gapcam quantize', () => {
  const cli = join(projectRoot, 'dist/cli/main.js')
  const photos = join(projectRoot, 'models/photos')

  it('writes a model that names the photographs as the float model does', async () => {
    const output = join(folder, 'lite0-8bit.onnx')
    const model = join(projectRoot, 'models/efficientnet-lite0.onnx')
    const quantize = launch(process.execPath, [cli, 'quantize', model, '--pictures', photos, '-o', output, '--json'])
    expect(await quantize.ended, quantize.stderr()).toBe(0)
    expect(JSON.parse(quantize.stdout())).toMatchObject({ output, layers: 60, agreement: expect.any(Number) })
    const best = async (file: string): Promise<string[]> => {
      const options = ['--labels', join(projectRoot, 'models/efficientnet-lite0.labels.txt'), '--json']
      const run = launch(process.execPath, [cli, 'classify', '--model', file, ...options, photos])
      expect(await run.ended, run.stderr()).toBe(0)
      const rows = run.stdout().trim().split('\n')
      return rows.map((row) => (JSON.parse(row) as { top: { label: string }[] }).top[0]!.label)
    }
    expect(await best(output)).toEqual(await best(model))
  }, 120_000)

  it('refuses what is quantized already and what takes bytes, and takes half precision', async () => {
    const nodes = [
      { op: 'QuantizeLinear', inputs: ['x', 'scale'], outputs: ['q'] },
      { op: 'DequantizeLinear', inputs: ['q', 'scale'], outputs: ['y'] },
    ]
    const shapes = { inputs: { x: [1, 3, 8, 8] }, outputs: { y: [1, 3, 8, 8] } }
    const quantized = buildModel({ ...shapes, nodes, weights: { scale: floats([], [0.1]) } })
    const file = join(folder, 'given.onnx')
    writeFileSync(file, quantized)
    const model = await loadModel(file)
    expect(() => demandFloat(model)).toThrow(/given\.onnx is quantized already$/)
    const plain = { ...model, graph: { ...model.graph, nodes: [] } }
    expect(() => demandFloat(plain)).not.toThrow()
    const [input] = plain.graph.inputs
    const bytes = { ...plain, graph: { ...plain.graph, inputs: [{ ...input!, type: 'uint8' as const }] } }
    expect(() => demandFloat(bytes)).toThrow(/takes pixels of the type uint8, not float32$/)
    const half = { ...plain, graph: { ...plain.graph, inputs: [{ ...input!, type: 'float16' as const }] } }
    expect(() => demandFloat(half)).not.toThrow()
    expect(graphToQuantize(half, undefined).inputs[0]!.type).toBe('float32')
  })

  it('calibrates a model that takes channels last on pictures in that layout', async () => {
    const red = mkdtempSync(join(folder, 'red-'))
    for (const [i, r] of [255, 220, 160, 190].entries())
      await sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g: 0, b: 0 } } }).toFile(
        join(red, `${i}.png`),
      )
    const model = join(folder, 'last.onnx')
    writeFileSync(
      model,
      buildModel({
        inputs: { input: [1, 8, 8, 3] },
        outputs: { y: [1, 2] },
        weights: { kernel: floats([2, 3, 1, 1], [1, 1, 1, -1, 0, 0]) },
        nodes: [
          { op: 'Transpose', inputs: ['input'], outputs: ['x'], attributes: { perm: [0, 3, 1, 2] } },
          { op: 'Conv', inputs: ['x', 'kernel'], outputs: ['map'] },
          { op: 'GlobalAveragePool', inputs: ['map'], outputs: ['pooled'] },
          { op: 'Flatten', inputs: ['pooled'], outputs: ['y'] },
        ],
      }),
    )
    writeFileSync(join(folder, 'last.yaml'), 'mean: [0, 0, 0]\nstd: [255, 255, 255]\n')
    const output = join(folder, 'last-8bit.onnx')
    const run = launch(process.execPath, [cli, 'quantize', model, '--pictures', red, '-o', output])
    expect(await run.ended, run.stderr()).toBe(0)
    const { graph } = await loadModel(output)
    const steps = graph.nodes
      .filter(({ op }) => op === 'QuantizeLinear')
      .map(({ inputs }) => numbersOf(graph.constants.get(inputs[1]!)!)[0]!)
    // A pixel is red alone: the sums of its channels lie between -1 and 1. In another layout they would reach 3.
    expect(Math.max(...steps)).toBeLessThan(2.1 / 255)
  })

  it('says that too few pictures are too few', async () => {
    const empty = mkdtempSync(join(folder, 'empty-'))
    const model = join(projectRoot, 'models/convnet-gap.onnx')
    const run = launch(process.execPath, [cli, 'quantize', model, '--pictures', empty, '-o', join(folder, 'x.onnx')])
    expect(await run.ended).toBe(3)
    expect(run.stderr()).toContain('0 pictures are too few')
  })
})
