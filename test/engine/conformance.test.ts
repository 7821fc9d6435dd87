/** What every executor owes to those above it, and how one of them is chosen. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { networks } from '../networks.js'
import { floats, int64, writeModel } from '../onnx-builder.js'
import { gapcam } from '../process.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-engine-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const vgg = writeModel(join(folder, 'vgg.onnx'), networks['vgg']!())
const picture = (seed: number): Float32Array => new Random(seed).normals(3 * 33 * 29)

describe.each(['native', 'onnxruntime'] as const)('the engine %s', (engine) => {
  it('names its tensors as the file does and says that it was asked for', async () => {
    await withModel(async (model) => {
      expect(model.inputs).toEqual([{ name: 'input', type: 'float32', layout: 'nchw', shape: [1, 3, 33, 29] }])
      expect(model.outputs).toMatchObject([{ type: 'float32', layout: 'none', shape: [1, 11] }])
      expect(model.describe()).toMatchObject({
        engine,
        threads: 1,
        reason: 'asked for',
        rejected: expect.any(Array),
        target: expect.stringMatching(/./),
      })
    })
  })

  it('answers runs that were begun together in their order, each with its own result', async () => {
    await withModel(async (model) => {
      const name = model.outputs[0]!.name
      const alone = []
      for (const seed of [1, 2, 3]) alone.push((await model.run(picture(seed)))[name]!.data)
      const together = await Promise.all([1, 2, 3].map(async (seed) => (await model.run(picture(seed)))[name]!.data))
      expect(together).toEqual(alone)
      expect(alone[0]).not.toEqual(alone[1])
    })
  })

  it('refuses a feed of another shape, length, name or kind, and goes on', async () => {
    await withModel(async (model) => {
      await expect(model.run({ shape: [1, 3, 29, 33], data: picture(1) })).rejects.toThrow(
        'Expected shape [1, 3, 33, 29]',
      )
      await expect(model.run(new Float32Array(7))).rejects.toThrow('Expected 2871 elements')
      await expect(model.run({ image: picture(1) })).rejects.toThrow(TypeError)
      await expect(model.run('picture' as never)).rejects.toThrow(TypeError)
      expect(Object.values(await model.run(picture(1)))[0]!.shape).toEqual([1, 11])
    })
  })

  it('finishes the run in progress when it is closed, and refuses one after', async () => {
    const model = await openModel(vgg, { engine, threads: 1 })
    const running = model.run(picture(1))
    await model.close()
    expect(Object.values(await running)[0]!.data).toHaveLength(11)
    await expect(model.run(picture(1))).rejects.toThrow('run needs an open model, and this one is closed')
    await model.close()
  })

  it('gives an inner value as a further output', async () => {
    const names = networks['vgg']!()
      .nodes.filter(({ op }) => op === 'GlobalAveragePool')
      .map(({ outputs }) => outputs[0]!)
    const asked = await openModel(vgg, { engine, threads: 1, extraOutputs: names })
    expect((await asked.run(picture(1)))[names[0]!]?.shape).toEqual([1, 40, 1, 1])
    await asked.close()
  })

  it('takes another input size where the graph lets it', async () => {
    const model = await openModel(vgg, { engine, threads: 1, inputSize: { height: 24, width: 50 } })
    expect(Object.values(await model.run(new Float32Array(3 * 24 * 50)))[0]!.shape).toEqual([1, 11])
    await model.close()
  })

  async function withModel(work: (model: Awaited<ReturnType<typeof openModel>>) => Promise<void>): Promise<void> {
    const model = await openModel(vgg, { engine, threads: 1 })
    try {
      await work(model)
    } finally {
      await model.close()
    }
  }
})

it('a quantised model runs on the native engine', async () => {
  const q = { scale: floats([], [0.05]), zero: { shape: [], data: new Uint8Array([128]) }, shape: int64(1, 12) }
  const path = writeModel(join(folder, 'qdq.onnx'), {
    nodes: [
      { op: 'QuantizeLinear', inputs: ['input', 'scale', 'zero'], outputs: ['a'] },
      { op: 'DequantizeLinear', inputs: ['a', 'scale', 'zero'], outputs: ['b'] },
      { op: 'Reshape', inputs: ['b', 'shape'], outputs: ['y'] },
    ],
    weights: q,
    inputs: { input: [1, 3, 2, 2] },
    outputs: { y: [1, 12] },
  })
  const model = await openModel(path)
  expect(model.describe().engine).toBe('native')
  const { y } = await model.run(Float32Array.from({ length: 12 }, (_, i) => i * 0.1))
  y!.data.forEach((value, i) => expect(Number(value)).toBeCloseTo(i * 0.1, 5))
  await model.close()
})

it.skipIf(sharedFolder() === null)(
  'the int8 MobileNetV2 of the shared folder takes bytes, channels last, on the native engine (skipped where it is not at hand)',
  async () => {
    const model = await openModel(join(sharedFolder()!, 'models/mobilenet-v2-int8.onnx'))
    const [input] = model.inputs
    expect(input).toMatchObject({ type: 'uint8', layout: 'nhwc' })
    const outputs = await model.run(new Uint8Array(input!.shape.reduce((a, b) => a * b, 1)).fill(90))
    const scores = Array.from(Object.values(outputs)[0]!.data, Number)
    expect(scores.every((score) => score >= 0)).toBe(true)
    expect(scores.reduce((a, b) => a + b, 0)).toBeGreaterThan(0)
    expect(model.describe().engine).toBe('native')
    await model.close()
  },
)

describe('gapcam classify', () => {
  const photo = join(projectRoot, 'models/photos/cat.jpg')
  async function classify(
    env: NodeJS.ProcessEnv,
    ...args: string[]
  ): Promise<{ status: number | string; stdout: string; stderr: string }> {
    const run = gapcam(['classify', photo, '--json', ...args], { env })
    const status = await run.ended
    return { status, stdout: run.stdout(), stderr: run.stderr() }
  }
  const gone = join(folder, 'gone.node')

  it('names the engine that computed the result: native, and onnxruntime once the addon cannot be loaded', async () => {
    const [native, fallback] = await Promise.all([classify({}), classify({ GAPCAM_ADDON: gone })])
    expect(JSON.parse(native.stdout)).toMatchObject({
      engine: 'native',
      top: [{ label: expect.stringContaining('cat') }, {}, {}, {}, {}],
    })
    expect(JSON.parse(fallback.stdout)).toMatchObject({ engine: 'onnxruntime' })
    expect(JSON.parse(fallback.stdout).top[0].index).toBe(JSON.parse(native.stdout).top[0].index)
    expect(fallback.stdout + fallback.stderr).toContain('the native addon cannot be loaded')
  })

  it.each([
    ['with neither engine', { GAPCAM_ADDON: gone, GAPCAM_ONNXRUNTIME: join(folder, 'gone.mjs') }, []],
    ['with the one that was asked for unloadable', { GAPCAM_ADDON: gone }, ['--engine', 'native']],
    ['on a target that does not exist', { GAPCAM_TARGET: 'vax' }, []],
    ['of a model that is not there', {}, ['--model', join(folder, 'none.onnx')]],
    ['of a model that is none', {}, ['--model', photo]],
  ])('%s ends with status 4 and one sentence', async (_, env, args) => {
    const { status, stdout, stderr } = await classify(env, ...args)
    expect(status).toBe(4)
    expect(stdout).toBe('')
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3)
  })
})
