/** Half precision: which steps compute on float16, and where values are cast. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { loadModel } from '../../src/model/load.js'
import type { Plan } from '../../src/model/plan.js'
import { tensorBytes } from '../../src/model/steps.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { openEngine } from '../../src/engine/select.js'
import { projectRoot } from '../shared.js'

const file = join(projectRoot, 'models/efficientnet-lite0.onnx')
const inputSize = { height: 224, width: 224 }

async function planIn(precision: 'fp32' | 'fp16'): Promise<Plan> {
  const { graph } = await loadModel(file)
  const compiled = compilePlan(prepareGraph(graph, { inputSize }), { precision })
  if ('unsupported' in compiled) throw new Error(JSON.stringify(compiled.unsupported))
  return compiled.plan
}

it('EfficientNet-Lite0 is cast once and computes all convolutions in half precision', async () => {
  const { steps, tensors, inputs, outputs } = await planIn('fp16')
  expect(steps.filter(({ kind }) => kind === 'cast').length).toBe(1)
  const typeOf = (id: number | null | undefined): string => (id === null || id === undefined ? '' : tensors[id]!.type)
  for (const { kind, inputs: from, outputs: to } of steps.filter(({ kind }) => kind === 'conv2d' || kind === 'chain')) {
    expect(typeOf(from[0])).toBe('float16')
    expect(['float16', '']).toContain(typeOf(to[0]))
    // Weights and means stay in single precision.
    expect(typeOf(from[1]), kind).toBe('float32')
    expect(['float32', '']).toContain(typeOf(to[1]))
  }
  for (const { tensor } of [...inputs, ...outputs]) expect(typeOf(tensor)).toBe('float32')
})

it('the maps between convolutions take half of the bytes', async () => {
  const bytesIn = async (precision: 'fp32' | 'fp16'): Promise<number> => {
    const { steps, tensors } = await planIn(precision)
    const maps = steps.filter(({ kind }) => kind === 'conv2d' || kind === 'chain').map(({ outputs }) => outputs[0])
    return maps.reduce((sum: number, id) => sum + (id === null || id === undefined ? 0 : tensorBytes(tensors[id]!)), 0)
  }
  expect(await bytesIn('fp16')).toBe((await bytesIn('fp32')) / 2)
})

it('single precision is the default and holds no float16', async () => {
  const { tensors } = await planIn('fp32')
  expect(tensors.filter(({ type }) => type === 'float16')).toEqual([])
})

it.skipIf(process.arch === 'arm64')(
  'a processor without half precision refuses it and says which have it',
  async () => {
    await expect(openEngine(file, 'native', { precision: 'fp16', inputSize })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('only Arm processors with ARMv8.2 FP16 have it') as string,
    })
  },
)
