/**
 * 8-bit networks on emulated Arm processors, without and with dot products: whole networks give the bits of the scalar
 * target on this processor. The addon is that of the tests in emulated.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildArm64Addon } from '../arm64-addon.js'
import { compilePlan } from '../../src/model/compile.js'
import { loadModel } from '../../src/model/load.js'
import { serializePlan } from '../../src/model/plan.js'
import { prepareNative } from '../../src/model/prepare.js'
import { cleanEnvironment, endAll, jsonLines, launch } from '../process.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'

const shared = sharedFolder()
const folder = mkdtempSync(join(tmpdir(), 'gapcam-quantized-'))
const networks = [
  'mobilenet-v2-uint8.tflite',
  'mobilenet-v2-int8.onnx',
  'efficientnet-lite0-int8.onnx',
  'inat-birds-mobilenet-v2-int8.onnx',
]
const node = join(projectRoot, '.cache/tools/node_modules/node-arm64/bin/node')
const inputSize = { height: 224, width: 224 }

interface Case {
  readonly plan: string
  readonly input: string
  readonly target?: string
}
interface Result {
  readonly target: string
  readonly kernels: readonly string[]
  readonly values: readonly number[]
}

/** Outputs of all cases, by an addon on an emulated or this processor. */
async function run(program: readonly string[], arch: string, cases: readonly Case[]): Promise<Result[]> {
  const [command = '', ...first] = program
  const addon = join(projectRoot, `prebuilds/linux-${arch}/gapcam.node`)
  const args = [...first, join(projectRoot, 'test/native/plans.mjs'), addon, JSON.stringify(cases)]
  const running = launch(command, args, { env: cleanEnvironment(), cwd: projectRoot })
  expect(await running.ended, running.stderr()).toBe(0)
  return jsonLines<Result>(running.stdout())
}

/** The plan of a network for int8, as Arm targets take it, and an input with the spread of a picture. */
async function planned(name: string): Promise<Case> {
  const { graph } = await loadModel(join(shared!, 'models', name))
  const compiled = compilePlan(prepareNative(graph, { inputSize }), { bytes: 'int8' })
  if (!('plan' in compiled)) throw new Error(compiled.unsupported[0]?.reason)
  const [plan, input] = [join(folder, `${name}.plan`), join(folder, `${name}.input`)]
  writeFileSync(plan, serializePlan(compiled.plan))
  writeFileSync(input, new Random(7).normals(inputSize.height * inputSize.width * 3))
  return { plan, input }
}

afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(shared === null)('whole 8-bit networks (skipped without the shared folder)', () => {
  let cases: readonly Case[] = []
  let right: readonly Result[] = []

  beforeAll(async () => {
    await buildArm64Addon()
    cases = await Promise.all(networks.map(planned))
    right = await run(
      [process.execPath],
      'x64',
      cases.map((each) => ({ ...each, target: 'scalar' })),
    )
    for (const { values } of right) expect(new Set(values).size).toBeGreaterThan(3)
  }, 600_000)

  it.each([
    ['cortex-a72', 'neon', networks.length],
    ['cortex-a76', 'neondot', networks.length],
    ['max', 'neondot', 1],
  ])(
    'have the scalar bits on %s, by kernels of %s',
    async (processor, target, count) => {
      const qemu = ['qemu-aarch64', '-cpu', processor, '-L', '/usr/aarch64-linux-gnu', node]
      const found = await run(qemu, 'arm64', cases.slice(0, count))
      for (const [i, result] of found.entries()) {
        expect(result.target).toBe(target)
        expect(result.kernels.filter((kernel) => /reference/.test(kernel) && !/dequantize/.test(kernel))).toEqual([])
        expect(result.values, networks[i]!).toEqual(right[i]!.values)
      }
      expect(found).toHaveLength(count)
    },
    300_000,
  )
})
