import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { conv2d, globalAveragePool, type GapcamError, openModel } from '../../src/index.js'
import { projectRoot } from '../shared.js'

/** 1, 2, 3, … */
const counting = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i + 1)

/** The targets that this machine can run; the scalar reference is always among them. */
function targets(): string[] {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new Error(`the native addon is needed: ${loaded.reason}`)
  return loaded.addon
    .describeTargets()
    .filter(({ supported }) => supported)
    .map(({ name }) => name)
}

describe.each(targets())('the two operators on target %s', (target) => {
  it('averages 1 to 48 as (3, 4, 4) to 8.5, 24.5 and 40.5', () => {
    const pooled = globalAveragePool({ shape: [3, 4, 4], data: counting(48) }, { target })
    expect(pooled.shape).toEqual([3, 1, 1])
    expect([...pooled.data]).toEqual([8.5, 24.5, 40.5])
  })

  it('keeps the batch of a rank-4 tensor', () => {
    const pooled = globalAveragePool({ shape: [2, 3, 4, 2], data: counting(48) }, { target })
    expect(pooled.shape).toEqual([2, 3, 1, 1])
    expect([...pooled.data]).toEqual([4.5, 12.5, 20.5, 28.5, 36.5, 44.5])
  })

  it('convolves a picture by hand-checked numbers, padding and stride included', () => {
    const x = { shape: [1, 1, 3, 3], data: counting(9) }
    const ones = { shape: [1, 1, 3, 3], data: new Float32Array(9).fill(1) }
    const padded = conv2d(x, ones, { shape: [1], data: [0.5] }, { pads: [1, 1, 1, 1], target })
    expect([...padded.data]).toEqual([12.5, 21.5, 16.5, 27.5, 45.5, 33.5, 24.5, 39.5, 28.5])
    const strided = conv2d(x, ones, null, { pads: [1, 1, 1, 1], strides: [2, 2], target })
    expect(strided).toEqual({ shape: [1, 1, 2, 2], data: Float32Array.of(12, 16, 24, 28) })
  })

  it('convolves groups apart', () => {
    const y = conv2d({ shape: [2, 1, 2], data: [1, 2, 3, 4] }, { shape: [2, 1, 1, 1], data: [10, 100] }, null, {
      groups: 2,
      target,
    })
    expect(y).toEqual({ shape: [2, 1, 2], data: Float32Array.of(10, 20, 300, 400) })
  })
})

describe('the operators refuse', () => {
  it('a tensor whose elements do not fit its shape', () => {
    expect(() => globalAveragePool({ shape: [3, 4, 4], data: counting(47) })).toThrow(
      'Expected 48 elements for x.data but received 47',
    )
  })

  it('weights for other channels', () => {
    const call = () => conv2d({ shape: [1, 2, 3, 3], data: counting(18) }, { shape: [1, 3, 1, 1], data: counting(3) })
    expect(call).toThrow(TypeError)
  })

  it('a target that does not exist, by name', () => {
    expect(() => globalAveragePool({ shape: [1, 1, 1], data: [1] }, { target: 'vax' })).toThrow(/vax/)
  })
})

describe('openModel', () => {
  it('runs the little ConvNet at 32 by 32 and at 48 by 40 with the same weights', async () => {
    for (const [height, width] of [
      [32, 32],
      [48, 40],
    ] as const) {
      const model = await openModel(`${projectRoot}models/convnet-gap.onnx`, { inputSize: { height, width } })
      expect(model.inputs[0]).toMatchObject({ name: 'input', layout: 'nchw', shape: [1, 3, height, width] })
      const { logits } = await model.run(new Float32Array(3 * height * width))
      expect(logits?.shape).toEqual([1, 10])
      expect(model.describe()).toMatchObject({ engine: 'native' })
      await model.close()
    }
  })

  it('gives the same logits on both engines, and says which computed them', async () => {
    const path = `${projectRoot}models/convnet-gap.onnx`
    const inputSize = { height: 32, width: 32 }
    const native = await openModel(path, { engine: 'native', inputSize })
    const fallback = await openModel(path, { engine: 'onnxruntime', inputSize })
    expect([native.describe().engine, fallback.describe().engine]).toEqual(['native', 'onnxruntime'])
    const input = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i / 7))
    const [a, b] = [await native.run({ input }), await fallback.run({ input })]
    const range = Math.max(...(b['logits']!.data as Float32Array)) - Math.min(...(b['logits']!.data as Float32Array))
    ;(a['logits']!.data as Float32Array).forEach((value, i) =>
      expect(Math.abs(value - Number(b['logits']!.data[i]))).toBeLessThan(1e-4 * range),
    )
    await native.close()
    await fallback.close()
  })

  it.each([0, -1, 1.5, NaN, 65])('refuses %d threads, whichever engine would take them', async (threads) => {
    for (const engine of ['auto', 'native', 'onnxruntime'] as const) {
      await expect(openModel(`${projectRoot}models/convnet-flatten.onnx`, { engine, threads })).rejects.toThrow(
        `Expected 'auto' or a whole number from 1 to 64 for threads but received ${threads}`,
      )
    }
  })

  it('refuses another input size where a flattened head fixes it', async () => {
    const opening = openModel(`${projectRoot}models/convnet-flatten.onnx`, { inputSize: { height: 48, width: 40 } })
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_INPUT_SIZE' } satisfies Partial<GapcamError>)
  })

  it('refuses a feed of another length or shape, and one after its end, with one sentence', async () => {
    const model = await openModel(`${projectRoot}models/convnet-flatten.onnx`)
    await expect(model.run(new Float32Array(5))).rejects.toThrow(
      'Expected 3072 elements for input input but received 5',
    )
    await expect(model.run({ shape: [3, 32, 32], data: new Float32Array(3072) })).rejects.toThrow(
      'Expected shape [1, 3, 32, 32]',
    )
    await model.close()
    await expect(model.run(new Float32Array(3072))).rejects.toThrow('this one is closed')
  })
})
