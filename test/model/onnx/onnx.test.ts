/** Files that are damaged, hostile or merely unusual: each opens, or is refused in one sentence with a MODEL_* code. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { GapcamError } from '../../../src/errors.js'
import { openModel } from '../../../src/index.js'
import { compilePlan } from '../../../src/model/compile.js'
import { loadModel } from '../../../src/model/load.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareGraph } from '../../../src/model/prepare.js'
import { networks } from '../../networks.js'
import { buildModel, floats, writeModel, type ModelSpec } from '../../onnx-builder.js'
import { Random } from '../../random.js'
import { projectRoot } from '../../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-onnx-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const convnet = readFileSync(join(projectRoot, 'models/convnet-gap.onnx'))

/** The code of the refusal, or 'opens'. Anything but a GapcamError is thrown on. */
function outcome(work: () => void): string {
  try {
    work()
    return 'opens'
  } catch (error) {
    if (error instanceof GapcamError) return error.code
    throw error
  }
}

function compileBytes(bytes: Uint8Array): void {
  const { graph } = parseModel(bytes)
  compilePlan(prepareGraph(graph, { inputSize: { height: 32, width: 32 } }))
}

describe('a damaged file', () => {
  it('that is cut anywhere is refused or opens, and nothing else', () => {
    const random = new Random(1)
    const cuts = [
      0,
      1,
      2,
      3,
      7,
      convnet.length - 1,
      ...Array.from({ length: 400 }, () => random.between(0, convnet.length - 1)),
    ]
    const outcomes = cuts.map((cut) => outcome(() => compileBytes(convnet.subarray(0, cut))))
    expect(new Set(outcomes)).toEqual(new Set(['MODEL_INVALID']))
  })

  it.each(Object.entries(networks))('with bytes of %s changed is refused or opens, and nothing else', (name, build) => {
    const whole = buildModel(build())
    const random = new Random(name.length)
    const codes = new Set<string>()
    for (let round = 0; round < 250; round++) {
      const bytes = whole.slice()
      // Most bytes are weights; the structure lies in the first kilobytes.
      for (let i = random.between(1, 4); i > 0; i--)
        bytes[random.between(0, round % 2 === 0 ? Math.min(bytes.length, 4096) - 1 : bytes.length - 1)] =
          random.between(0, 255)
      codes.add(outcome(() => compileBytes(bytes)))
    }
    codes.delete('opens')
    expect([...codes].filter((code) => !code.startsWith('MODEL_'))).toEqual([])
  })

  it('that is empty, or no model at all, says so', () => {
    expect(() => parseModel(new Uint8Array(0))).toThrow('the file is empty')
    expect(outcome(() => parseModel(new TextEncoder().encode('<!doctype html><title>404</title>')))).toBe(
      'MODEL_INVALID',
    )
  })

  it('whose weights claim 2 GB is refused without taking them', () => {
    const spec = oneConv()
    const huge = { ...spec, weights: { w: { shape: [500_000_000, 1, 1, 1], data: new Float32Array(4) } } }
    expect(outcome(() => compileBytes(buildModel(huge)))).toBe('MODEL_INVALID')
  })
})

function oneConv(): ModelSpec {
  return {
    nodes: [{ op: 'Conv', inputs: ['input', 'w'], outputs: ['y'] }],
    weights: { w: floats([4, 3, 1, 1], new Random(3).normals(12)) },
    inputs: { input: [1, 3, 8, 8] },
    outputs: { y: [1, 4, 8, 8] },
  }
}

describe('a graph', () => {
  it('that waits for itself is refused by the name of a node', () => {
    const spec: ModelSpec = {
      nodes: [
        { op: 'Add', inputs: ['input', 'b'], outputs: ['a'] },
        { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      ],
      inputs: { input: [1, 3, 4, 4] },
      outputs: { b: [1, 3, 4, 4] },
    }
    expect(() => parseModel(buildModel(spec))).toThrow(/cyclic: node (Add_0|Relu_1)/)
  })

  it('whose nodes come in any order opens', () => {
    const spec: ModelSpec = {
      nodes: [
        { op: 'Relu', inputs: ['a'], outputs: ['b'] },
        { op: 'Neg', inputs: ['input'], outputs: ['a'] },
      ],
      inputs: { input: [1, 3, 4, 4] },
      outputs: { b: [1, 3, 4, 4] },
    }
    expect(parseModel(buildModel(spec)).graph.nodes.map(({ op }) => op)).toEqual(['Neg', 'Relu'])
  })

  it.each([
    [
      'reads a value that nothing makes',
      { nodes: [{ op: 'Relu', inputs: ['nothing'], outputs: ['y'] }] },
      /reads nothing, which nothing makes/,
    ],
    [
      'makes a value twice',
      {
        nodes: [
          { op: 'Relu', inputs: ['input'], outputs: ['y'] },
          { op: 'Neg', inputs: ['input'], outputs: ['y'] },
        ],
      },
      /y is made twice/,
    ],
    [
      'makes its own input',
      {
        nodes: [
          { op: 'Relu', inputs: ['input'], outputs: ['y'] },
          { op: 'Identity', inputs: ['y'], outputs: ['input'] },
        ],
      },
      /input is made twice/,
    ],
    [
      'has an output that nothing makes',
      { nodes: [{ op: 'Relu', inputs: ['input'], outputs: ['z'] }] },
      /output y is made by nothing/,
    ],
  ])('that %s is refused', (_, part, sentence) => {
    expect(() => parseModel(buildModel({ inputs: { input: [1, 3, 4, 4] }, outputs: { y: null }, ...part }))).toThrow(
      sentence,
    )
  })

  it.each([
    [6, 'MODEL_UNSUPPORTED'],
    [7, 'opens'],
    [25, 'opens'],
    [26, 'opens'],
  ])('of opset %i: %s', (opset, result) => {
    expect(outcome(() => compileBytes(buildModel({ ...oneConv(), opset })))).toBe(result)
  })

  it('that imports domains it does not use opens', () => {
    const bytes = buildModel({ ...oneConv(), imports: { 'com.microsoft': 1, 'ai.onnx.ml': 3 } })
    expect(outcome(() => compileBytes(bytes))).toBe('opens')
  })

  it('with an unknown operator falls back to onnxruntime, which names the operator', async () => {
    const spec: ModelSpec = {
      nodes: [{ op: 'Det', inputs: ['input'], outputs: ['y'] }],
      inputs: { input: [1, 3, 4, 4] },
      outputs: { y: [1, 3] },
    }
    const model = await openModel(writeModel(join(folder, 'det.onnx'), spec))
    expect(model.describe()).toMatchObject({ engine: 'onnxruntime', reason: expect.stringContaining('Det') })
    await model.close()
  })
})

describe('external data', () => {
  const weights = new Random(3).normals(12)
  const withExternal = (external: { location: string; offset?: number; length?: number }): ModelSpec => ({
    ...oneConv(),
    weights: { w: { shape: [4, 3, 1, 1], data: weights, external } },
  })
  const inside = join(folder, 'model')
  mkdirSync(inside)
  const data = Buffer.concat([Buffer.alloc(64), Buffer.from(weights.buffer)])
  writeFileSync(join(inside, 'w.data'), data)
  writeFileSync(join(folder, 'outside.data'), data)
  symlinkSync('../outside.data', join(inside, 'link.data'))
  mkdirSync(join(inside, 'deep'))
  writeFileSync(join(inside, 'deep', 'w.data'), data)
  symlinkSync('deep', join(inside, 'linked'))
  const open = (external: { location: string; offset?: number; length?: number }) =>
    loadModel(writeModel(join(inside, 'model.onnx'), withExternal(external)))

  it("in the model's folder is read at its offset, and both files make the digest", async () => {
    const model = await open({ location: 'w.data', offset: 64, length: 48 })
    const whole = await openModel(writeModel(join(folder, 'whole.onnx'), oneConv()), { engine: 'native' })
    const parted = await openModel(model.path, { engine: 'native' })
    const input = new Random(9).normals(3 * 64)
    expect((await parted.run(input))['y']).toEqual((await whole.run(input))['y'])
    await whole.close()
    await parted.close()
    writeFileSync(join(inside, 'w.data'), Buffer.concat([Buffer.alloc(64, 1), Buffer.from(weights.buffer)]))
    expect((await open({ location: 'w.data', offset: 64, length: 48 })).sha256).not.toBe(model.sha256)
  })

  it('may lie in a folder below, and opens on both engines', async () => {
    const { path } = await open({ location: 'deep/w.data', offset: 64, length: 48 })
    for (const engine of ['native', 'onnxruntime'] as const) await (await openModel(path, { engine })).close()
  })

  it('is found in a cache of Hugging Face, where model and data are links into one folder of blobs', async () => {
    const [blobs, snapshot] = [join(folder, 'cache/blobs'), join(folder, 'cache/snapshots/main/onnx')]
    mkdirSync(blobs, { recursive: true })
    mkdirSync(snapshot, { recursive: true })
    writeModel(join(blobs, 'aaaa'), withExternal({ location: 'model.onnx_data', offset: 64, length: 48 }))
    writeFileSync(join(blobs, 'bbbb'), data)
    symlinkSync('../../../blobs/aaaa', join(snapshot, 'model.onnx'))
    symlinkSync('../../../blobs/bbbb', join(snapshot, 'model.onnx_data'))
    const results: unknown[] = []
    for (const engine of ['native', 'onnxruntime'] as const) {
      const model = await openModel(join(snapshot, 'model.onnx'), { engine })
      results.push(
        ...Object.values(await model.run(new Float32Array(3 * 64).fill(0.5))).map(({ data: [first] }) => first),
      )
      await model.close()
    }
    expect(results[0]).toBeCloseTo(results[1] as number, 5)
    // A link out of the blobs stays refused.
    rmSync(join(snapshot, 'model.onnx_data'))
    symlinkSync('../../../../outside.data', join(snapshot, 'model.onnx_data'))
    await expect(loadModel(join(snapshot, 'model.onnx'))).rejects.toThrow(/refused for safety: a link is not followed/)
    // And so does a link beside a model that is none.
    rmSync(join(snapshot, 'model.onnx'))
    writeModel(join(snapshot, 'model.onnx'), withExternal({ location: 'model.onnx_data', offset: 64, length: 48 }))
    rmSync(join(snapshot, 'model.onnx_data'))
    symlinkSync('../../../blobs/bbbb', join(snapshot, 'model.onnx_data'))
    await expect(loadModel(join(snapshot, 'model.onnx'))).rejects.toThrow(/refused for safety: a link is not followed/)
  })

  it('goes along when onnxruntime is asked for another input size', async () => {
    await open({ location: 'w.data', offset: 64, length: 48 })
    const model = await openModel(join(inside, 'model.onnx'), {
      engine: 'onnxruntime',
      inputSize: { height: 6, width: 10 },
    })
    expect((await model.run(new Float32Array(3 * 60)))['y']?.shape).toEqual([1, 4, 6, 10])
    await model.close()
  })

  it.each([
    ['missing', { location: 'gone.data' }, /gone.data is missing/],
    ['one folder up', { location: '../outside.data' }, /refused for safety: it is not a relative name/],
    ['one folder up again', { location: 'deep/../../outside.data' }, /refused for safety: it is not a relative name/],
    ['at an absolute path', { location: '/etc/passwd' }, /refused for safety: it is not a relative name/],
    ['behind a link', { location: 'link.data' }, /refused for safety: a link is not followed/],
    ['behind a linked folder', { location: 'linked/w.data' }, /refused for safety: a link is not followed/],
    ['the folder itself', { location: '..' }, /refused for safety: it is not a relative name/],
    ['a folder', { location: 'deep' }, /refused for safety: it is not a regular file/],
    [
      'too short for its offset',
      { location: 'w.data', offset: 100, length: 48 },
      /has 112 bytes, but a tensor claims 100 to 148/,
    ],
    ['of another length than its shape', { location: 'w.data', offset: 64, length: 44 }, /w.*44/],
  ])('that is %s is refused', async (_, external, sentence) => {
    await expect(open(external)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(sentence),
    })
  })
})

it('a model that is not there, or is a folder, is said to be so', async () => {
  await expect(loadModel(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND', exitStatus: 4 })
  await expect(loadModel(folder)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
})
