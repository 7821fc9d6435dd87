/** Networks look at clips: those over clips see the last frames in their order, those over pictures the mean of their vectors. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier, type Classifier, type ClassifierOptions } from '../../src/classifier.js'
import type { Classification, ClassifierView } from '../../src/engine/classify.js'
import { openEngine } from '../../src/engine/select.js'
import { frameOf, type Frame } from '../../src/frame.js'
import { floats, int64, writeModel, type ModelSpec } from '../onnx-builder.js'
import { Random } from '../random.js'

const [frames, side, classes] = [4, 8, 3]
const random = (seed: number, ...shape: number[]): ReturnType<typeof floats> =>
  floats(
    shape,
    new Random(seed).normals(
      shape.reduce((product, size) => product * size, 1),
      0.4,
    ),
  )

const axesOf = {
  ncthw: [1, 3, frames, side, side],
  ntchw: [1, frames, 3, side, side],
  nthwc: [1, frames, side, side, 3],
} as const
/** From each order of axes to [1,C,T,H,W]. */
const toClip = { ncthw: [0, 1, 2, 3, 4], ntchw: [0, 2, 1, 3, 4], nthwc: [0, 4, 1, 2, 3] } as const

/** A convolution over time and place, and fully connected layers, so that each frame counts in its own way. */
function clipNetwork(
  axes: keyof typeof axesOf = 'ncthw',
  shape: readonly (number | string)[] = axesOf[axes],
): ModelSpec {
  return {
    nodes: [
      { op: 'Transpose', inputs: ['clip'], outputs: ['ordered'], attributes: { perm: [...toClip[axes]] } },
      { op: 'Conv', inputs: ['ordered', 'w'], outputs: ['a'], attributes: { pads: [1, 1, 1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      { op: 'ReduceMean', inputs: ['b'], outputs: ['c'], attributes: { axes: [3, 4], keepdims: 0 } },
      { op: 'Reshape', inputs: ['c', 'row'], outputs: ['d'] },
      { op: 'MatMul', inputs: ['d', 'head'], outputs: ['scores'] },
    ],
    weights: { w: random(1, 5, 3, 3, 3, 3), row: int64(1, 5 * frames), head: random(2, 5 * frames, classes) },
    inputs: { clip: shape as readonly number[] },
    outputs: { scores: [1, classes] },
  }
}

/** A network over pictures whose head is not linear. */
const pictureNetwork: ModelSpec = {
  nodes: [
    { op: 'Conv', inputs: ['picture', 'w'], outputs: ['a'] },
    { op: 'Relu', inputs: ['a'], outputs: ['b'] },
    { op: 'GlobalAveragePool', inputs: ['b'], outputs: ['vector'] },
    { op: 'Flatten', inputs: ['vector'], outputs: ['flat'] },
    { op: 'MatMul', inputs: ['flat', 'first'], outputs: ['c'] },
    { op: 'Tanh', inputs: ['c'], outputs: ['d'] },
    { op: 'MatMul', inputs: ['d', 'second'], outputs: ['scores'] },
  ],
  weights: { w: random(3, 6, 3, 3, 3), first: random(4, 6, 7), second: random(5, 7, classes) },
  inputs: { picture: [1, 3, side, side] },
  outputs: { scores: [1, classes] },
}

/** A head that fits clips of any length. */
const pooledHead: ModelSpec['nodes'] = [
  { op: 'GlobalAveragePool', inputs: ['b'], outputs: ['c'] },
  { op: 'Flatten', inputs: ['c'], outputs: ['d'] },
  { op: 'MatMul', inputs: ['d', 'head'], outputs: ['scores'] },
]

const pixels = 'mean: [0, 0, 0]\nstd: [255, 255, 255]\n'

function file(spec: ModelSpec, manifest = pixels): string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-video-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'model.yaml'), manifest)
  return writeModel(join(folder, 'model.onnx'), spec)
}

async function open(model: string, options: Partial<ClassifierOptions> = {}): Promise<Classifier> {
  const classifier = await openClassifier({ model, threads: 1, ...options })
  onTestFinished(() => classifier.close())
  return classifier
}

const pictures = Array.from({ length: 14 }, (_, i) => {
  const noise = new Random(20 + i)
  return Uint8Array.from({ length: side * side * 3 }, () => 256 * noise.next())
})
const frameAt = (picture: number, ms = picture * 100): Frame =>
  frameOf({ data: pictures[picture]!, width: side, height: side }, { seq: picture + 1, capturedNs: BigInt(ms * 1e6) })

const logitsOf = (outcome: Classification): number[] => (outcome.ok ? Array.from(outcome.prediction.logits) : [])

function expectNear(found: readonly number[], right: readonly number[]): void {
  expect(found).toHaveLength(right.length)
  const worst = right.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0)
  expect(worst).toBeLessThanOrEqual(1e-4 * Math.max(...right.map(Math.abs), 1))
}

/** What onnxruntime computes from a whole clip in the file's order. */
async function reference(model: string, axes: keyof typeof axesOf, clip: readonly number[]): Promise<number[]> {
  const engine = await openEngine(model, 'onnxruntime', { threads: 1 })
  const [input] = engine.inputs
  const data = input!.data as Float32Array
  clip.forEach((picture, t) => {
    for (let place = 0; place < side * side; place++)
      for (let c = 0; c < 3; c++) {
        const value = pictures[picture]![place * 3 + c]! / 255
        const index = {
          ncthw: (c * frames + t) * side * side + place,
          ntchw: (t * 3 + c) * side * side + place,
          nthwc: (t * side * side + place) * 3 + c,
        }[axes]
        data[index] = value
      }
  })
  await engine.run()
  const scores = Array.from(engine.outputs[0]!.data as Float32Array)
  await engine.close()
  return scores
}

it.each(Object.keys(axesOf) as (keyof typeof axesOf)[])(
  'a clip %s has the last frames in their order',
  async (axes) => {
    const model = file(clipNetwork(axes))
    for (const engine of ['native', 'onnxruntime'] as const) {
      const classifier = await open(model, { engine })
      expect(classifier).toMatchObject({ task: 'video', clip: { frames, everyMs: 100 } })
      const view = classifier.view()
      const outcomes: number[][] = []
      for (let i = 0; i < 9; i++) {
        const outcome = await view.classify(frameAt(i))
        if (i < frames - 1)
          expect(outcome).toEqual({
            ok: false,
            reason: 'clip_short',
            detail: `${i + 1} of the ${frames} frames of a clip`,
          })
        outcomes.push(logitsOf(outcome))
      }
      for (const last of [3, 8]) {
        const right = await reference(model, axes, [last - 3, last - 2, last - 1, last])
        expectNear(outcomes[last]!, right)
      }
      view.close()
    }
  },
)

it('frames of two views that share a network are not mixed', async () => {
  const model = file(clipNetwork())
  const classifier = await open(model)
  const [one, other] = [classifier.view(), classifier.view()]
  let last: [number[], number[]] = [[], []]
  for (let i = 0; i < 7; i++)
    last = [logitsOf(await one.classify(frameAt(i))), logitsOf(await other.classify(frameAt(i + 7, i * 100)))]
  expectNear(last[0], await reference(model, 'ncthw', [3, 4, 5, 6]))
  expectNear(last[1], await reference(model, 'ncthw', [10, 11, 12, 13]))
})

it('a camera that is slower than the clip stands for a place twice', async () => {
  const model = file(clipNetwork())
  const view = (await open(model)).view()
  const outcomes: Classification[] = []
  for (let i = 0; i < 6; i++) outcomes.push(await view.classify(frameAt(i, i * 150)))
  // Places at 450, 550, 650 and 750 ms; frames at 450, 600 and 750 ms.
  expectNear(logitsOf(outcomes[5]!), await reference(model, 'ncthw', [3, 4, 4, 5]))
})

it('a network over pictures takes the mean of the vectors, and runs once a frame', async () => {
  const model = file(pictureNetwork)
  const single = await openEngine(model, 'onnxruntime', { threads: 1, outputs: ['vector'] })
  const vectors: number[][] = []
  for (const picture of pictures) {
    const data = single.inputs[0]!.data as Float32Array
    picture.forEach((level, i) => (data[(i % 3) * side * side + Math.floor(i / 3)] = level / 255))
    await single.run()
    vectors.push(Array.from(single.outputs[0]!.data as Float32Array))
  }
  await single.close()
  const head = (clip: readonly number[]): number[] => {
    const mean = vectors[0]!.map((_, i) => clip.reduce((sum, frame) => sum + vectors[frame]![i]!, 0) / clip.length)
    const [first, second] = [valuesOf(pictureNetwork, 'first'), valuesOf(pictureNetwork, 'second')]
    const hidden = Array.from({ length: 7 }, (_, j) =>
      Math.tanh(mean.reduce((sum, v, i) => sum + v * first[i * 7 + j]!, 0)),
    )
    return Array.from({ length: classes }, (_, k) =>
      hidden.reduce((sum, v, j) => sum + v * second[j * classes + k]!, 0),
    )
  }
  for (const engine of ['native', 'onnxruntime'] as const) {
    const classifier = await open(model, { engine, task: 'video', clip: { frames: 5, everyMs: 100, pool: 'mean' } })
    const view = classifier.view()
    const outcomes: Classification[] = []
    for (let i = 0; i < 9; i++) outcomes.push(await view.classify(frameAt(i)))
    expect(outcomes.map(({ ok }) => ok)).toEqual([false, false, false, false, true, true, true, true, true])
    expectNear(logitsOf(outcomes[8]!), head([4, 5, 6, 7, 8]))
    const other = classifier.view()
    for (let i = 0; i < 5; i++) outcomes.push(await other.classify(frameAt(i)))
    expectNear(logitsOf(outcomes.at(-1)!), head([0, 1, 2, 3, 4]))
  }
})

const valuesOf = (spec: ModelSpec, name: string): readonly number[] =>
  Array.from(spec.weights![name]!.data as Float32Array)

it('leaves frames out that come too early', async () => {
  const view: ClassifierView = (await open(file(pictureNetwork), { task: 'video' })).view()
  expect(view.isDue!(frameAt(0, 0))).toBe(true)
  await view.classify(frameAt(0, 0))
  expect([40, 70, 80, 120].map((ms) => view.isDue!(frameAt(1, ms)))).toEqual([false, false, true, true])
})

it('completes a clip whose sizes the file leaves open, and says what it assumed', async () => {
  const spec = clipNetwork('ncthw', ['n', 3, 't', side, side])
  const classifier = await open(file(spec), { clip: { frames } })
  expect(classifier.clip).toMatchObject({ frames })
  expect(classifier.assumed).toEqual([])
  const heads = {
    ...spec,
    nodes: [...spec.nodes.slice(0, 3), ...pooledHead],
    weights: { ...spec.weights, head: random(2, 5, classes) },
  }
  const pooled = await open(file(heads))
  expect(pooled.clip).toEqual({ form: 'clips', axes: 'ncthw', input: 'clip', frames: 16, everyMs: 100 })
  expect(pooled.assumed).toEqual(['clips of 16 frames (the file leaves it free, no manifest says otherwise)'])
})

it.each<[string, () => Promise<unknown>, RegExp]>([
  [
    'clips to classify',
    () => open(file(clipNetwork()), { task: 'classify' }),
    /cannot classify pictures \(asked for\): its input clip \[1, 3, 4, 8, 8\] takes clips; write task: video, or leave task out/,
  ],
  [
    'clips to classify, by the manifest',
    () => open(file(clipNetwork(), 'task: classify\n')),
    /cannot classify pictures \(by the manifest\)/,
  ],
  [
    'clips of another length',
    () => open(file(clipNetwork()), { clip: { frames: 8 } }),
    /clips of 4 frames, and 8 are asked for/,
  ],
  [
    'a mean of clips',
    () => open(file(clipNetwork()), { clip: { pool: 'mean' } }),
    /pool is for networks over pictures/,
  ],
  [
    'channels in another place',
    () => open(file(clipNetwork(), 'video: { axes: ntchw }\n')),
    /has 4 channels if its axes are ntchw; write video: \{ axes: ntchw \} or another order/,
  ],
  ['axes of a picture', () => open(file(pictureNetwork, 'task: video\nvideo: { axes: ncthw }\n')), /is for clips/],
  ['an unknown field', () => open(file(clipNetwork(), 'video: { every: 200ms }\n')), /manifest .*video/],
])('refuses %s in one sentence', async (_, opened, sentence) => {
  await expect(opened()).rejects.toThrow(sentence)
})
