/**
 * Whether a model computes in half precision: measured on an emulated Arm processor that has it, and kept; refused for a
 * network whose values come near the end of half precision, and on processors without it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { buildArm64Addon } from '../arm64-addon.js'
import { floats, writeModel } from '../onnx-builder.js'
import { cleanEnvironment, endAll, jsonLines, launch } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-precision-'))
const convnet = join(projectRoot, 'models/convnet-gap.onnx')
const inputSize = { height: 32, width: 32 }
const tools = join(projectRoot, '.cache/tools/node_modules')

/** A convolution and its mean, whose values reach about 50 times `size`. */
const network = (name: string, size: number): string =>
  writeModel(join(folder, name), {
    nodes: [
      { op: 'Conv', inputs: ['input', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['c'], outputs: ['r'] },
      { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['y'] },
    ],
    weights: {
      w: floats(
        [8, 3, 3, 3],
        new Random(3).normals(216).map((v) => v * size),
      ),
    },
    inputs: { input: [1, 3, 32, 32] },
    outputs: { y: null },
  })

interface Answer {
  readonly target: string
  readonly reason: string
  readonly seconds: number
}

/** Opens models one after the other with precision auto, as the program does, on an emulated processor. */
async function opened(processor: string, models: readonly string[]): Promise<Answer[]> {
  const program = `
    import { openClassifier } from ${JSON.stringify(join(projectRoot, 'dist/classifier.js'))}
    for (const model of ${JSON.stringify(models)}) {
      const start = performance.now()
      const classifier = await openClassifier({
        model, engine: 'native', precision: 'auto', threads: 1,
        planCache: { folder: ${JSON.stringify(join(folder, processor))} },
        ...(model.includes('convnet') ? { inputSize: ${JSON.stringify(inputSize)} } : {}),
      })
      const { target, reason } = classifier.engine.describe()
      console.log(JSON.stringify({ target, reason, seconds: (performance.now() - start) / 1000 }))
      await classifier.close()
    }`
  const node = join(tools, 'node-arm64/bin/node')
  const args = ['-cpu', processor, '-L', '/usr/aarch64-linux-gnu', node, '--input-type=module', '-e', program]
  const running = launch('qemu-aarch64', args, { env: { ...cleanEnvironment(), NODE_PATH: tools }, cwd: projectRoot })
  expect(await running.ended, running.stderr()).toBe(0)
  return jsonLines<Answer>(running.stdout())
}

afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('on arm64', () => {
  beforeAll(buildArm64Addon, 600_000)

  it('auto takes fp16 where it was measured to be right, and keeps that', async () => {
    const [first, again, large] = await opened('max', [convnet, convnet, network('large.onnx', 3000)])
    expect(first!.reason).toMatch(
      /; fp16, because 24 pictures differ from fp32 by at most [\d.e-]+ % of the results' range$/,
    )
    expect(first!.target).toBe('neonhalf')
    expect(again).toMatchObject({ target: first!.target, reason: first!.reason })
    expect(again!.seconds).toBeLessThan(first!.seconds)
    expect(large!.target).toBe('neondot')
    expect(large!.reason).toMatch(/; fp32, because in half precision a value of the network reaches [\d.e+]+, too near/)
  }, 300_000)

  it('auto stays with fp32 on a processor without half precision, and says so', async () => {
    const [answer] = await opened('cortex-a72', [network('small.onnx', 0.5)])
    expect(answer!.target).toBe('neon')
    expect(answer!.reason).toMatch(/; fp32, because the processor has no half precision/)
  }, 240_000)
})

it('fp16 on a processor without it is an error that says so', async () => {
  await expect(openClassifier({ model: convnet, inputSize, engine: 'native', precision: 'fp16' })).rejects.toThrow(
    'half precision cannot be used: only Arm processors with ARMv8.2 FP16 have it',
  )
})
