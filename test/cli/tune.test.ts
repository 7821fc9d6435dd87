/** `gapcam tune`: stores the fastest settings beside the model, which later runs use, or say why they do not. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readTuning, tuningFile, type Tuning } from '../../src/engine/tuning.js'
import { openModel } from '../../src/index.js'
import { networks } from '../networks.js'
import { writeModel } from '../onnx-builder.js'
import { cleanEnvironment, cli, endAll, launch } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-tune-'))
const model = join(folder, 'lite0.onnx')
const file = tuningFile(model)
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function gapcam(...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const run = launch(process.execPath, [cli, ...args], { cwd: folder, env: cleanEnvironment() })
  return { status: await run.ended, stdout: run.stdout(), stderr: run.stderr() }
}

const tuning = (): Tuning => JSON.parse(readFileSync(file, 'utf8')) as Tuning
const change = (changes: Partial<Record<keyof Tuning, unknown>>): void =>
  writeFileSync(file, JSON.stringify({ ...tuning(), ...changes }))

async function outputs(threads: number | 'auto'): Promise<{ values: Float32Array; reason: string; threads: number }> {
  const opened = await openModel(model, { engine: 'native', threads, inputSize: { height: 224, width: 224 } })
  const [values] = Object.values(await opened.run(new Random(3).normals(3 * 224 * 224)))
  const { reason, threads: taken } = opened.describe()
  await opened.close()
  return { values: values!.data as Float32Array, reason, threads: taken }
}

describe('gapcam tune', () => {
  beforeAll(async () => {
    copyFileSync(join(projectRoot, 'models/efficientnet-lite0.onnx'), model)
    const { status, stdout, stderr } = await gapcam('tune', model, '--seconds', '1', '--json')
    expect(status, stderr).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ file, ...tuning() })
  }, 60_000)

  it('keeps what it measured beside the model, and nothing else', () => {
    expect(tuning()).toMatchObject({
      version: 1,
      inputs: ['1x3x224x224'],
      threads: expect.any(Number),
      separate: expect.any(Array),
    })
    expect(tuning().tunedMs).toBeLessThanOrEqual(tuning().defaultMs)
    expect(readdirSync(folder).sort()).toEqual(['lite0.onnx', 'lite0.tune.json'])
  })

  it('is used and named when the model is opened, and changes no result', async () => {
    const kept = tuning()
    rmSync(file)
    const before = await outputs(1)
    const { stdout } = await gapcam('bench', model, '--steps', '--seconds', '0.1', '--json')
    const blocks = (JSON.parse(stdout) as { steps: { name: string }[] }).steps
      .map(({ name }) => name)
      .filter((name) => name.includes(' + '))
    expect(blocks.length).toBeGreaterThan(3)
    writeFileSync(file, JSON.stringify({ ...kept, threads: 2, separate: blocks.slice(0, 3) }))
    const after = await outputs('auto')
    expect(after).toMatchObject({ reason: 'asked for; tuned by lite0.tune.json', threads: 2 })
    expect((await outputs(1)).threads).toBe(1)
    const steps = (
      JSON.parse((await gapcam('bench', model, '--steps', '--seconds', '0.1', '--json')).stdout) as {
        steps: { name: string }[]
      }
    ).steps.map(({ name }) => name)
    for (const part of blocks[0]!.split(' + ')) expect(steps).toContain(part)
    const range = Math.max(...before.values) - Math.min(...before.values)
    const worst = before.values.reduce((most, value, i) => Math.max(most, Math.abs(value - after.values[i]!)), 0)
    expect(worst / range).toBeLessThanOrEqual(1e-4)
    writeFileSync(file, JSON.stringify(kept))
  })

  it.each([
    [{ target: 'mips' }, 'it was made for target mips'],
    [{ processor: 'Z80' }, /it was made on Z80, this is ./],
    [{ modelBytes: 5 }, /it was made for a model of 5 bytes, this one has \d+/],
    [{ inputs: ['1x3x32x32'] }, 'it was made for inputs of 1x3x32x32'],
    [{ threads: 0 }, 'its threads is not as it should be'],
    [{ version: 2 }, 'its version is not as it should be'],
  ])('is ignored where it does not fit: %j', async (changes, why) => {
    const kept = tuning()
    change(changes)
    const { reason } = await outputs(1)
    writeFileSync(file, JSON.stringify(kept))
    expect(reason).toMatch(/^asked for; lite0\.tune\.json ignored: /)
    expect(reason).toMatch(why)
  })

  it('is ignored where it is damaged', () => {
    const facts = { modelBytes: 1, target: 'avx2', inputs: [] }
    writeFileSync(join(folder, 'cut.tune.json'), '{"version":')
    expect(readTuning(join(folder, 'cut.onnx'), facts)).toEqual({
      tuning: null,
      sentence: 'cut.tune.json ignored: it is not JSON',
    })
    expect(readTuning(join(folder, 'none.onnx'), facts)).toEqual({ tuning: null, sentence: '' })
    rmSync(join(folder, 'cut.tune.json'))
  })
})

it.each([['0'], ['61'], ['soon']])('--seconds %s is refused', async (seconds) => {
  expect(await gapcam('tune', model, '--seconds', seconds)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(`--seconds: ${seconds} is not a number above 0 and at most 60`),
  })
})

it('a tuning that cannot be written is an error and leaves no partial file', async () => {
  const path = writeModel(join(folder, 'vgg.onnx'), networks['vgg']!())
  mkdirSync(tuningFile(path))
  const { status, stderr } = await gapcam('tune', path, '--seconds', '0.2')
  expect(status).toBe(4)
  expect(stderr).toMatch(/^gapcam: .*vgg\.tune\.json cannot be written: .*\nMake the folder of the model writable/)
  expect(readdirSync(folder).filter((name) => name.startsWith('vgg'))).toEqual(['vgg.onnx', 'vgg.tune.json'])
})

it('a model that the native engine does not support is refused with the operator', async () => {
  const path = writeModel(join(folder, 'sine.onnx'), {
    nodes: [{ op: 'Sin', inputs: ['input'], outputs: ['output'] }],
    inputs: { input: [1, 4] },
    outputs: { output: [1, 4] },
  })
  const { status, stderr } = await gapcam('tune', path)
  expect(status).toBe(4)
  expect(stderr).toMatch(/^gapcam: native engine: .*Sin/)
})
