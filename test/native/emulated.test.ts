/**
 * Other processors under emulation: the arm64 program on a Cortex-A72 (Raspberry Pi 4), and the x86 addon on a Westmere,
 * which has no AVX. Addon, Node, sharp and the command line are the real ones.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { buildArm64Addon } from '../arm64-addon.js'
import { networks } from '../networks.js'
import { clipNetworks } from '../networks-clips.js'
import { writeModel } from '../onnx-builder.js'
import { cleanEnvironment, cli, endAll, jsonLines, launch } from '../process.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'

interface Case {
  path: string
  inputSize?: { height: number; width: number }
  seed: number
}

const folder = mkdtempSync(join(tmpdir(), 'gapcam-emulated-'))
const tools = join(projectRoot, '.cache/tools/node_modules')
const arm64 = ['qemu-aarch64', '-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu', join(tools, 'node-arm64/bin/node')]
const westmere = ['qemu-x86_64', '-cpu', 'Westmere', process.execPath]
const environment = { ...cleanEnvironment(), NODE_PATH: tools }
const shared = sharedFolder()
const photo = join(projectRoot, 'models/photos/bird.jpg')
const small: Case[] = Object.entries({ ...networks, ...clipNetworks }).map(([name, build], i) => ({
  path: writeModel(join(folder, `${name}.onnx`), build()),
  seed: i + 1,
}))
const shipped: Case[] = [
  [32, 32],
  [48, 40],
]
  .map(
    ([height, width]): Case => ({
      path: join(projectRoot, 'models/convnet-gap.onnx'),
      inputSize: { height: height!, width: width! },
      seed: 3,
    }),
  )
  .concat([{ path: join(projectRoot, 'models/clips.onnx'), seed: 4 }])

async function run(program: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const [command, ...first] = program
  const running = launch(command!, [...first, ...args], { env: { ...environment, ...env }, cwd: projectRoot })
  expect(await running.ended, running.stderr()).toBe(0)
  return running.stdout()
}

/** Runs every case on the emulated processor and compares it with onnxruntime on this one. */
async function compare(program: readonly string[], cases: readonly Case[], target: string): Promise<void> {
  const results = jsonLines<{ path: string; target: string; values: number[] }>(
    await run(program, [join(projectRoot, 'test/native/outputs.mjs'), JSON.stringify(cases)]),
  )
  expect(results).toHaveLength(cases.length)
  for (const [i, { path, inputSize, seed }] of cases.entries()) {
    const model = await openModel(path, { engine: 'onnxruntime', ...(inputSize ? { inputSize } : {}) })
    const feeds = Object.fromEntries(
      model.inputs.map(({ name, shape }, at) => [
        name,
        new Random(seed + at).normals(shape.reduce((a, b) => a * b, 1)),
      ]),
    )
    const right = Object.values(await model.run(feeds)).flatMap(({ data }) => Array.from(data as Float32Array))
    await model.close()
    const { values, target: taken } = results[i]!
    expect(taken).toBe(target)
    const range = Math.max(...right) - Math.min(...right)
    const worst = right.reduce(
      (most, value, at) => (Math.abs(value - values[at]!) <= most ? most : Math.abs(value - values[at]!)),
      0,
    )
    expect(worst / range, basename(path)).toBeLessThanOrEqual(1e-4)
  }
}

afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('arm64 on a Cortex-A72', () => {
  beforeAll(buildArm64Addon, 600_000)

  it('gapcam classify recognizes the bird with NEON', async () => {
    const [result] = jsonLines(await run(arm64, [cli, 'classify', '--json', '--engine', 'native', photo]))
    expect(result).toMatchObject({ engine: 'native', target: 'neon', top: [{ label: 'chickadee' }, {}, {}, {}, {}] })
  }, 120_000)

  it('globalAveragePool of 1 to 48 as (3, 4, 4) gives 8.5, 24.5 and 40.5', async () => {
    const program = `import { globalAveragePool } from '${join(projectRoot, 'dist/index.js')}'
      console.log(process.arch, ...globalAveragePool({ shape: [3, 4, 4], data: Array.from({ length: 48 }, (_, i) => i + 1) }).data)`
    expect(await run(arm64, ['--input-type=module', '-e', program])).toBe('arm64 8.5 24.5 40.5\n')
  }, 60_000)

  it(
    'small networks of every family and the digits ConvNet at two sizes agree with onnxruntime',
    () => compare(arm64, [...small, ...shipped], 'neon'),
    120_000,
  )

  it('a recording of the scalar target replays bit for bit: pixels, input, logits and decisions', async () => {
    const file = join(folder, 'scalar.gcrec')
    const model = ['--model', join(projectRoot, 'models/convnet-gap.onnx')]
    const scalar = { GAPCAM_TARGET: 'scalar' }
    await run(
      [process.execPath],
      [
        cli,
        'record',
        join(projectRoot, 'models/photos'),
        '-o',
        file,
        '--frames',
        '4',
        '--loop',
        '--input-size',
        '48x40',
        ...model,
      ],
      scalar,
    )
    const [same] = jsonLines(await run(arm64, [cli, 'replay', '--json', file, ...model], scalar))
    expect(same).toMatchObject({ frames: 4, demanded: 'bits', sameBits: 4, worst: 0, first: null })
  }, 240_000)

  it('fits the same head as this processor, byte for byte', async () => {
    const fit = [join(projectRoot, 'scripts/arm/fit.mjs'), '--fits', '1', '--channels', '40,24']
    const digest = await run([process.execPath], fit)
    expect(digest).toMatch(/^[0-9a-f]{64}\n$/)
    expect(await run(arm64, fit)).toBe(digest)
  }, 120_000)

  it.skipIf(shared === null)(
    'every network of the shared folder agrees with onnxruntime (skipped without that folder)',
    () => {
      // The trained networks have large maps. The others are smaller, where the file lets them: emulation is slow.
      const isFixed = /^(convnet|shufflenet)/
      const zoo = readdirSync(join(shared!, 'zoo'))
        .filter((name) => name.endsWith('.onnx'))
        .map((name): Case => {
          const path = join(shared!, 'zoo', name)
          return { path, seed: 5, ...(isFixed.test(name) ? {} : { inputSize: { height: 128, width: 128 } }) }
        })
      const inputSize = { height: 224, width: 224 }
      const trained = ['mobilenet-v2.onnx', 'efficientnet-lite0.onnx'].map(
        (name): Case => ({ path: join(shared!, 'models', name), seed: 6, inputSize }),
      )
      return compare(arm64, [...zoo, ...trained], 'neon')
    },
    240_000,
  )
})

describe('x86-64 on a Westmere, without AVX', () => {
  it('gapcam classify recognizes the bird with the scalar target', async () => {
    const [result] = jsonLines(await run(westmere, [cli, 'classify', '--json', '--engine', 'native', photo]))
    expect(result).toMatchObject({ engine: 'native', target: 'scalar', top: [{ label: 'chickadee' }, {}, {}, {}, {}] })
  }, 120_000)

  it('describe() says which instructions the better targets lack', async () => {
    const program = `import { openModel } from '${join(projectRoot, 'dist/index.js')}'
      const model = await openModel('models/convnet-flatten.onnx', { engine: 'native' })
      console.log(JSON.stringify(model.describe()))
      await model.close()`
    const [described] = jsonLines<{ rejected: { name: string; reason: string }[] }>(
      await run(westmere, ['--input-type=module', '-e', program]),
    )
    expect(described!.rejected.map(({ name }) => name)).toEqual(['avx512vnni', 'avx512', 'avxvnni', 'avx2'])
    for (const { reason } of described!.rejected) expect(reason).toMatch(/AVX/i)
  }, 60_000)
})
