/**
 * `engine` is the executor that computed the result, in every output: with the addon made unloadable or wrong it turns
 * into onnxruntime and the reason is told; with onnxruntime unloadable it stays native.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { EngineDescription } from '../../src/index.js'
import { cleanEnvironment, endAll, gapcam, jsonLines, launch } from '../process.js'
import { cleanUp, retained, startMosquitto, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-unloadable-'))
const convnet = join(projectRoot, 'models/convnet-gap.onnx')
const bird = join(projectRoot, 'models/photos/bird.jpg')
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The real addon behind sessions whose first output is off by one: a processor on which the kernels are wrong. */
const wrongAddon = join(folder, 'wrong.cjs')
const realAddon = join(projectRoot, `prebuilds/${process.platform}-${process.arch}/gapcam.node`)
writeFileSync(
  wrongAddon,
  `const real = require(${JSON.stringify(realAddon)})
module.exports = { ...real, openSession: async (...args) => {
  const session = await real.openSession(...args)
  return {
    inputs: session.inputs, outputs: session.outputs, target: session.target, close: () => session.close(),
    run: async () => { await session.run(); session.outputs[0].data[0] += 1 },
  }
} }`,
)
const notAnAddon = join(folder, 'text.node')
writeFileSync(notAnAddon, 'no shared object')
const missing = join(folder, 'none.node')

/** What the library says of the model's engine in a process of its own, and the model's output for ones. */
async function described(env: NodeJS.ProcessEnv): Promise<EngineDescription & { output: number[] }> {
  const program = `
    import { openModel } from ${JSON.stringify(pathToFileURL(join(projectRoot, 'dist/index.js')).href)}
    const model = await openModel(${JSON.stringify(convnet)}, { inputSize: { height: 32, width: 32 }, threads: 1 })
    const [output] = Object.values(await model.run(new Float32Array(3 * 32 * 32).fill(1)))
    console.log(JSON.stringify({ ...model.describe(), output: [...output.data] }))
    await model.close()`
  const run = launch(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...cleanEnvironment(), ...env },
  })
  expect(await run.ended, run.stderr()).toBe(0)
  return jsonLines<EngineDescription & { output: number[] }>(run.stdout())[0]!
}

describe('describe() of a model session', () => {
  it.each([
    ['is missing', missing, /native addon cannot be loaded: there is no file \/.*\.node/],
    ['is no shared object', notAnAddon, /native addon cannot be loaded: .*text\.node/],
    ['computes something else', wrongAddon, /self-test is off by 1/],
  ])('names onnxruntime and the reason where the addon %s, and the result is right', async (_, addon, reason) => {
    const right = await described({})
    expect(right).toMatchObject({ engine: 'native', reason: 'covers the whole model' })
    const fallback = await described({ GAPCAM_ADDON: addon })
    expect(fallback).toMatchObject({
      engine: 'onnxruntime',
      reason: expect.stringMatching(reason),
      rejected: expect.arrayContaining([{ name: 'native', reason: expect.stringMatching(reason) }]),
    })
    expect(fallback.output).toHaveLength(10)
    fallback.output.forEach((value, i) => expect(value).toBeCloseTo(right.output[i]!, 4))
  })

  it('names native where onnxruntime is missing', async () => {
    expect(await described({ GAPCAM_ONNXRUNTIME: missing })).toMatchObject({ engine: 'native' })
  })
})

describe('gapcam run without the addon', () => {
  it('says onnxruntime and why in banner, lines, topic and summary', async () => {
    const broker = await startMosquitto()
    const run = gapcam(['run', bird, '--loop', '--json', '--fps', '20', '--broker', broker.url], {
      env: { GAPCAM_ADDON: missing },
    })
    await run.until(/"label":"chickadee"/)
    await until(
      async () => (await retained(broker.port, 'gapcam/gapcam/cam0/label')) === 'chickadee',
      'the label to be retained',
    )
    expect(JSON.parse(await retained(broker.port, 'gapcam/gapcam/cam0/state'))).toMatchObject({
      label: 'chickadee',
      engine: expect.stringMatching(/^onnxruntime-/),
    })
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(jsonLines(run.stdout())[0]).toMatchObject({
      engine: 'onnxruntime',
      engineReason: expect.stringContaining('native addon cannot be loaded'),
    })
    expect(run.stderr()).toMatch(/^engine {3}onnxruntime cpu, .*native addon cannot be loaded/m)
    expect(run.stderr()).toMatch(/frames classified by onnxruntime cpu \(native engine not used: .*cannot be loaded/)
  })

  it('cannot be had with --engine native: status 4', async () => {
    const run = gapcam(['run', bird, '--engine', 'native', '--broker', 'none'], { env: { GAPCAM_ADDON: missing } })
    expect(await run.ended).toBe(4)
    expect(run.stderr()).toMatch(/native addon cannot be loaded/)
  })
})

it('gapcam bench ends with 4 without the addon, and names the engine that ran instead', async () => {
  const run = gapcam(['bench', '--engine', 'native', '--seconds', '0.1', '--input-size', '32', '--json', convnet], {
    env: { GAPCAM_ADDON: missing },
  })
  expect(await run.ended).toBe(4)
  expect(jsonLines(run.stdout())).toMatchObject([{ engine: 'onnxruntime' }])
  expect(run.stderr()).toMatch(/native addon cannot be loaded.*measuring onnxruntime instead/)
})
