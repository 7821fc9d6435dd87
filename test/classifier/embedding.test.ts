/** The embedding of a picture: which value of a network it is, that engines agree on it, and how messages have it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { openClassifier, type Classifier, type ClassifierOptions } from '../../src/classifier.js'
import { detectByMaps } from '../../src/classifier/maps.js'
import { frameOf } from '../../src/frame.js'
import { halfToNumber, halvesOf } from '../../src/half.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { embeddingFields } from '../../src/publish/payloads.js'
import { floats, writeModel } from '../onnx-builder.js'
import { gapcam } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'
import { openDetector } from '../task/fixture.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-embedding-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const gap = join(projectRoot, 'models/convnet-gap.onnx')
const cat = join(projectRoot, 'models/photos/cat.jpg')

async function open(options: Omit<ClassifierOptions, 'threads'>): Promise<Classifier> {
  const classifier = await openClassifier({ threads: 1, ...options })
  onTestFinished(() => classifier.close())
  return classifier
}

/** The embedding of the picture of a cat. */
async function vectorOf(classifier: Classifier): Promise<Float32Array> {
  const outcome = await classifier.classify(frameOf(await decodeFile(cat)))
  if (!outcome.ok || 'reason' in classifier.embedding) throw new Error('there is no embedding')
  return classifier.embedding.read()
}

it('is the mean of the map that the classifier averages, on every engine and from a kept plan', async () => {
  const planCache = { folder: join(folder, 'plans') }
  const native = await vectorOf(await open({ model: gap, embedding: true, planCache, heat: true }))
  const kept = await vectorOf(await open({ model: gap, embedding: true, planCache, heat: true }))
  const other = await vectorOf(await open({ model: gap, embedding: true, engine: 'onnxruntime' }))
  expect(native).toHaveLength(64)
  expect(kept).toEqual(native)
  native.forEach((value, i) => expect(value).toBeCloseTo(other[i]!, 4))
  expect(Math.max(...native)).toBeGreaterThan(0)
})

it('is the vector that the last matrix takes, where no map is averaged', async () => {
  const model = writeModel(join(folder, 'dense.onnx'), {
    nodes: [
      { op: 'Flatten', inputs: ['x'], outputs: ['flat'] },
      { op: 'Gemm', inputs: ['flat', 'first'], outputs: ['dense'] },
      { op: 'Relu', inputs: ['dense'], outputs: ['hidden'] },
      { op: 'Gemm', inputs: ['hidden', 'second'], outputs: ['logits'] },
      { op: 'Softmax', inputs: ['logits'], outputs: ['scores'] },
    ],
    weights: {
      first: floats([192, 7], new Random(1).normals(192 * 7, 0.1)),
      second: floats([7, 5], new Random(2).normals(35, 1)),
    },
    inputs: { x: [1, 3, 8, 8] },
    outputs: { scores: [1, 5] },
  })
  const vectors: Float32Array[] = []
  for (const engine of ['native', 'onnxruntime'] as const)
    vectors.push(await vectorOf(await open({ model, engine, embedding: true })))
  expect(vectors[0]).toHaveLength(7)
  vectors[0]!.forEach((value, i) => expect(value).toBeCloseTo(vectors[1]![i]!, 4))
})

it('is the mean of the widest map of a network of another task', async () => {
  const kernel = (to: number, from: number): ReturnType<typeof floats> =>
    floats([to, from, 1, 1], new Random(to).normals(to * from, 0.5))
  const model = writeModel(join(folder, 'segmenter.onnx'), {
    nodes: [
      { op: 'Conv', inputs: ['x', 'a'], outputs: ['wide'], attributes: { strides: [2, 2] } },
      { op: 'Relu', inputs: ['wide'], outputs: ['active'] },
      { op: 'Conv', inputs: ['active', 'b'], outputs: ['narrow'] },
      { op: 'Sigmoid', inputs: ['narrow'], outputs: ['mask'] },
    ],
    weights: { a: kernel(11, 3), b: kernel(1, 11) },
    inputs: { x: [1, 3, 32, 32] },
    outputs: { mask: [1, 1, 16, 16] },
  })
  const classifier = await open({ model, embedding: true })
  expect(classifier.task).toBe('segment')
  const vector = await vectorOf(classifier)
  expect(vector).toHaveLength(11)
  // Behind the activation.
  expect(Math.min(...vector)).toBeGreaterThanOrEqual(0)
})

it('says why there is none', async () => {
  expect((await open({ model: gap })).embedding).toEqual({
    reason: 'the embedding was not asked for when the model was opened',
  })
  const outputs = { boxes: { shape: [1, 2, 6], values: [0, 0, 9, 9, 0.5, 0, 0, 0, 0, 0, 0, 0] } }
  const detector = await openDetector({ outputs, manifest: 'labels: [cat]\n' }, { embedding: true })
  expect(detector.embedding).toMatchObject({ reason: expect.stringContaining('write embedding: { output: NAME') })
})

it('with detect: maps is that of the whole picture, whatever was looked at after it', async () => {
  const classifier = await open({ model: gap, heat: true, embedding: true })
  const byMaps = detectByMaps(classifier)
  const seen = await vectorOf(byMaps)
  const view = classifier.view(byMaps.view().spec)
  await view.classify(frameOf(await decodeFile(cat)))
  view.close()
  expect(seen).toEqual('read' in classifier.embedding && classifier.embedding.read())
})

it('is in messages as 16-bit floats in base64', () => {
  const embedding = Float32Array.of(1, -0.5, 2 ** -24, 70_000)
  const { embedding: sent } = embeddingFields({ embedding }) as { embedding: { length: number; float16: string } }
  expect(sent.length).toBe(4)
  expect([...Buffer.from(sent.float16, 'base64')]).toEqual([0x00, 0x3c, 0x00, 0xb8, 0x01, 0x00, 0xff, 0x7b])
  expect(embeddingFields({})).toEqual({})
})

it('each half is its own nearest half, and each float between two halves goes to the nearer one', () => {
  const finite = Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => ((bits >> 10) & 31) < 31)
  expect([...halvesOf(Float32Array.from(finite, halfToNumber))]).toEqual(finite)
  const random = new Random(7)
  for (let i = 0; i < 2000; i++) {
    const bits = random.between(0, 0x7bfe)
    const [low, high] = [halfToNumber(bits), halfToNumber(bits + 1)]
    const at = (share: number): number => halvesOf(Float32Array.of(low + (high - low) * share))[0]!
    expect([at(0.4), at(0.6), at(0.5)]).toEqual([bits, bits + 1, bits % 2 === 0 ? bits : bits + 1])
  }
})

it('gapcam classify --embedding prints it as JSON', async () => {
  const run = gapcam(['classify', '--model', gap, '--threads', '1', '--embedding', cat])
  expect(await run.ended).toBe(0)
  const { embedding } = JSON.parse(run.stdout()) as { embedding: { length: number; float16: string } }
  expect(embedding.length).toBe(64)
  expect(Buffer.from(embedding.float16, 'base64')).toHaveLength(128)
})
