/** Each layout of a detector's outputs is recognised, and gives boxes in shares of the frame; what cannot be told is named. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { boxesOf as foundBoxes } from '../../src/decision/task.js'
import { floats, int64, writeModel } from '../onnx-builder.js'
import { Random } from '../random.js'
import { detectorFile, openDetector, predictionOf, type GivenDetector } from './fixture.js'

/** Label, score and rectangle of each box, in thousandths. */
const boxesOf = ({ found }: Prediction): (string | number)[][] =>
  foundBoxes(found).map(({ label, score, x, y, width, height }) => [
    label,
    ...[score, x, y, width, height].map((value) => Math.round(value * 1000)),
  ])

/** Two places of a thing, and one of another: centre x, centre y, width, height in pixels of an input of 64. */
const places = [
  { box: [32, 32, 32, 16], scores: [0.9, 0.1] },
  { box: [33, 32, 32, 16], scores: [0.8, 0.1] },
  { box: [16, 24, 8, 8], scores: [0.2, 0.7] },
  ...Array.from({ length: 37 }, () => ({ box: [1, 1, 1, 1], scores: [0.01, 0.02] })),
]
const columns = [0, 1, 2, 3, 4, 5].flatMap((row) => places.map(({ box, scores }) => [...box, ...scores][row]!))
const labels = 'labels: [cat, dog]\n'

/** A frame of 128 × 64 lies in the middle of the input, with bars of 16 rows above and below. */
const letterboxed = [
  ['cat', 900, 250, 250, 500, 500],
  ['dog', 700, 188, 125, 125, 250],
]
const corners = places.slice(0, 3).map(({ box: [x, y, w, h] }) => [x! - w! / 2, y! - h! / 2, x! + w! / 2, y! + h! / 2])

const layouts: Readonly<Record<string, readonly [GivenDetector, (string | number)[][]]>> = {
  'YOLO 8: [1, 4 + classes, n]': [
    { outputs: { output0: { shape: [1, 6, 40], values: columns } }, manifest: labels },
    letterboxed,
  ],
  'YOLO 8 with the names of its exporter': [
    {
      outputs: { output0: { shape: [1, 6, 40], values: columns } },
      metadata: { author: 'Ultralytics', task: 'detect', names: "{0: 'cat', 1: 'dog'}" },
    },
    letterboxed,
  ],
  'YOLO 5: [1, n, 5 + classes]': [
    {
      outputs: {
        output: {
          shape: [1, 40, 7],
          values: places.flatMap(({ box, scores }) => [...box, 0.5, ...scores.map((s) => 2 * s)]),
        },
      },
      manifest: labels,
    },
    letterboxed,
  ],
  'YOLOX: [1, n, 5 + classes] from convolutions, relative to the cells of grids of 8, 16 and 32 pixels': [
    {
      outputs: {
        output: {
          shape: [1, 84, 7],
          maker: 'Conv',
          // The middle of the input lies at the cells (4, 4) of 8 pixels and (2, 2) of 16 pixels.
          values: Array.from({ length: 84 }, (_, i) =>
            i === 4 * 8 + 4
              ? [0, 0, Math.log(4), Math.log(2), 0.9, 1, 0.1]
              : i === 64 + 4 + 1
                ? [0, 0.5, Math.log(0.5), Math.log(0.5), 0.7, 0.2, 1]
                : [0, 0, 0, 0, 0.01, 0.01, 0.01],
          ).flat(),
        },
      },
      manifest: labels,
    },
    letterboxed,
  ],
  'DETR: boxes in shares behind a sigmoid, and one logit more than there are labels': [
    {
      outputs: {
        boxes: {
          shape: [1, 16, 4],
          maker: 'Sigmoid',
          values: Array.from({ length: 16 }, (_, i) => (i === 5 ? [0.5, 0.5, 0.5, 0.25] : [0.1, 0.1, 0.1, 0.1])).flat(),
        },
        logits: {
          shape: [1, 16, 3],
          values: Array.from({ length: 16 }, (_, i) => (i === 5 ? [9, 0, 0] : [0, 0, 9])).flat(),
        },
      },
      manifest: labels,
    },
    [['cat', 1000, 250, 375, 500, 250]],
  ],
  'rows of six': [
    {
      outputs: {
        output0: { shape: [1, 3, 6], values: [...corners[0]!, 0.9, 0, ...corners[2]!, 0.7, 1, 0, 0, 0, 0, 0, 0] },
      },
      manifest: labels,
    },
    letterboxed,
  ],
  torchvision: [
    {
      outputs: {
        boxes: { shape: [3, 4], values: [0, 0, 32, 16, 32, 32, 64, 64, 8, 8, 16, 16] },
        labels: { shape: [3], values: [2, 1, 1], isInteger: true },
        scores: { shape: [3], values: [0.95, 0.5, 0.1] },
      },
      manifest: labels,
    },
    [
      ['dog', 950, 0, 0, 500, 250],
      ['cat', 500, 500, 500, 500, 500],
    ],
  ],
  'TensorFlow with a count': [
    {
      outputs: {
        detection_boxes: { shape: [1, 3, 4], values: [0, 0.5, 0.25, 1, 0.5, 0.5, 1, 1, 0, 0, 1, 1] },
        detection_classes: { shape: [1, 3], values: [0, 1, 1] },
        detection_scores: { shape: [1, 3], values: [0.9, 0.6, 0.9] },
        num_detections: { shape: [1], values: [2] },
      },
      manifest: labels,
    },
    [
      ['cat', 900, 500, 0, 500, 250],
      ['dog', 600, 500, 500, 500, 500],
    ],
  ],
  'SSD with anchors of the manifest': [
    {
      outputs: {
        offsets: { shape: [1, 16, 4], values: [1, 0, 0, 0, ...new Array<number>(60).fill(0)] },
        logits: {
          shape: [1, 16, 3],
          values: Array.from({ length: 16 }, (_, i) => (i === 0 ? [0, 0, 9] : [9, 0, 0])).flat(),
        },
      },
      manifest: `${labels}detect:
  format: ssd
  activation: softmax
  background: first
  exponential: true
  scales: [10, 10, 5, 5]
  anchors: [${Array.from({ length: 16 }, () => '[0.25, 0.5, 0.5, 0.25]').join(', ')}]
`,
    },
    [['dog', 1000, 50, 375, 500, 250]],
  ],
}

it.each(Object.entries(layouts))('%s is recognised and read', async (_, [given, wanted]) => {
  for (const engine of ['auto', 'onnxruntime'] as const) {
    const detector = await openDetector(given, { engine })
    expect(detector.task).toBe('detect')
    expect(detector.labels).toEqual(['cat', 'dog', 'none'])
    const prediction = await predictionOf(detector)
    expect(boxesOf(prediction)).toEqual(wanted)
    expect(prediction.top[0]).toMatchObject({ label: wanted[0]![0] })
  }
})

it('RT-DETR of its exporter: [1, n, 4 + labels] are boxes in shares without objectness, and none stands for another', async () => {
  const detector = await openDetector({
    outputs: {
      output0: {
        shape: [1, 40, 7],
        values: places.flatMap(({ box, scores }) => [...box.map((side) => side / 64), ...scores, 0.001]),
      },
    },
    metadata: { author: 'Ultralytics', task: 'detect', imgsz: '[64, 64]', names: "{0: 'cat', 1: 'dog', 2: 'bird'}" },
  })
  expect(boxesOf(await predictionOf(detector))).toEqual([
    ['cat', 900, 250, 375, 500, 250],
    ['cat', 800, 266, 375, 500, 250],
    ['dog', 700, 188, 313, 125, 125],
  ])
})

it.each([
  ['the far range', 192, 2304, 16],
  ['the back camera', 256, 896, 16],
  ['poses', 224, 2254, 12],
])(
  'anchors of MediaPipe are known for %s, and a list of places is never a list of classes',
  async (_, side, count, numbers) => {
    const outputs = (extra: number) => ({
      regressors: { shape: [1, count + extra, numbers], values: new Array<number>((count + extra) * numbers).fill(0) },
      classificators: { shape: [1, count + extra, 1], values: new Array<number>(count + extra).fill(-9) },
    })
    const detector = await openDetector({ side, outputs: outputs(0), manifest: 'labels: [face]\n' })
    expect((await predictionOf(detector)).found).toEqual({ task: 'detect', boxes: [] })
    await expect(openClassifier({ model: detectorFile({ side, outputs: outputs(1) }) })).rejects.toThrow(
      'it detects objects (boxes and scores of many places, by the outputs), but it cannot be told what the boxes are relative to',
    )
  },
)

it('says none where there is nothing, and clips boxes at the edges', async () => {
  const at = (...numbers: number[]): GivenDetector => ({
    outputs: { output0: { shape: [1, 2, 6], values: [...numbers, 0, 0, 0, 0, 0, 0] } },
    manifest: 'labels: [cat]\nresize: stretch\n',
  })
  const none = await predictionOf(await openDetector(at(0, 0, 9, 9, 0.1, 0)))
  expect(none.top[0]).toMatchObject({ label: 'none', score: 1 })
  expect(none.found).toEqual({ task: 'detect', boxes: [] })
  expect(boxesOf(await predictionOf(await openDetector(at(-32, 32, 32, 96, 0.9, 0))))).toEqual([
    ['cat', 900, 0, 500, 500, 500],
  ])
  // Wholly outside, without an area, not a number, and a class that it does not have.
  for (const wrong of [
    [70, 70, 90, 90, 0.9, 0],
    [9, 9, 9, 20, 0.9, 0],
    [NaN, 0, 9, 9, 0.9, 0],
    [0, 0, 9, 9, 0.9, 4],
  ])
    expect(boxesOf(await predictionOf(await openDetector(at(...wrong))))).toEqual([])
})

it('gives no prediction where a score is not a number', async () => {
  const detector = await openDetector({
    outputs: { output0: { shape: [1, 1, 6], values: [0, 0, 9, 9, NaN, 0] } },
    manifest: 'labels: [cat]\n',
  })
  await expect(predictionOf(detector)).rejects.toThrow('nan')
})

it('keeps the best hundred of ten thousand boxes', async () => {
  const count = 10_000
  const value = (row: number, i: number): number =>
    [i % 100, Math.floor(i / 100), 0.4, 0.4, 0.5 + i / (2 * count)][row]! * (row < 4 ? 0.64 : 1)
  const values = [0, 1, 2, 3, 4].flatMap((row) => Array.from({ length: count }, (_, i) => value(row, i)))
  const detector = await openDetector({
    outputs: { output0: { shape: [1, 5, count], values } },
    manifest: 'labels: [cat]\nresize: stretch\n',
  })
  const scores = boxesOf(await predictionOf(detector)).map(([, score]) => score)
  expect(scores).toHaveLength(100)
  expect(scores).toEqual(scores.toSorted((a, b) => Number(b) - Number(a)))
  expect(scores[0]).toBe(1000)
})

const told: Readonly<Record<string, readonly [GivenDetector, string]>> = {
  'no anchors': [
    {
      outputs: {
        a: { shape: [1, 16, 4], values: new Array<number>(64).fill(0) },
        b: { shape: [1, 16, 2], values: new Array<number>(32).fill(0) },
      },
      manifest: labels,
    },
    'what the boxes are relative to; write detect: { format: ssd, anchors: … }',
  ],
  'no number of classes': [
    { outputs: { output0: { shape: [1, 1, 6], values: [0, 0, 9, 9, 0.9, 0] } } },
    'how many classes it has; write detect: { classCount: 80 }',
  ],
  'no classes at all': [
    {
      outputs: { output0: { shape: [1, 4, 40], values: new Array<number>(160).fill(0) } },
      manifest: 'detect: { format: yolo, boxes: output0, classCount: 0 }\n',
    },
    'what it looks for: it has no class',
  ],
  'an output that is not there': [
    {
      outputs: { output0: { shape: [1, 1, 6], values: [0, 0, 9, 9, 0.9, 0] } },
      manifest: `${labels}detect: { boxes: boxes }\n`,
    },
    'it has no output boxes',
  ],
  'a classifier that is to detect': [
    { outputs: { scores: { shape: [1, 2], values: [1, 2] } }, manifest: 'task: detect\n' },
    'it cannot be told how to detect with it (by the manifest): its outputs are scores [1, 2]; write detect:',
  ],
}

it.each(Object.entries(told))('names what to write in the manifest: %s', async (_, [given, sentence]) => {
  await expect(openClassifier({ model: detectorFile(given) })).rejects.toThrow(sentence)
})

it('a detector whose end runs on onnxruntime is kept in both parts, and finds the same at the next start', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-detect-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const random = new Random(4)
  const model = writeModel(join(folder, 'model.onnx'), {
    nodes: [
      { op: 'Conv', inputs: ['picture', 'filters', 'bias'], outputs: ['map'], attributes: { strides: [8, 8] } },
      { op: 'Sigmoid', inputs: ['map'], outputs: ['level'] },
      { op: 'Transpose', inputs: ['level'], outputs: ['last'], attributes: { perm: [0, 2, 3, 1] } },
      { op: 'Reshape', inputs: ['last', 'rows'], outputs: ['all'] },
      { op: 'ReduceMax', inputs: ['all'], outputs: ['best'], attributes: { axes: [2], keepdims: 0 } },
      { op: 'TopK', inputs: ['best', 'five'], outputs: ['high', 'place'] },
      { op: 'Transpose', inputs: ['place'], outputs: ['column'], attributes: { perm: [1, 0] } },
      { op: 'Squeeze', inputs: ['column', 'one'], outputs: ['places'] },
      { op: 'Gather', inputs: ['all', 'places'], outputs: ['rows of six'], attributes: { axis: 1 } },
    ],
    weights: {
      filters: floats(
        [6, 3, 8, 8],
        random.normals(6 * 192, 0.2).map((value, i) => (i < 5 * 192 ? value : 0)),
      ),
      // The class is 0.
      bias: floats([6], [0, 0, 0, 0, 0, -200]),
      ...{ rows: int64(1, -1, 6), five: int64(5), one: int64(1) },
    },
    inputs: { picture: [1, 3, 64, 64] },
    outputs: { 'rows of six': [1, 5, 6] },
  })
  const manifest =
    'detect: { format: rows, boxes: rows of six, unit: shares, coordinates: corner-size, classCount: 1, minScore: 0 }\n'
  writeFileSync(join(folder, 'model.yaml'), `labels: [thing]\n${manifest}`)
  const found = []
  for (const planCache of [{ folder: join(folder, 'plans') }, { folder: join(folder, 'plans') }, undefined]) {
    const classifier = await openClassifier({ model, planCache, threads: 1 })
    found.push(boxesOf(await predictionOf(classifier)))
    expect(classifier.engine.describe().parts).toHaveLength(2)
    await classifier.close()
    if (planCache) expect(readdirSync(planCache.folder).filter((name) => name.endsWith('.plan'))).toHaveLength(1)
  }
  expect(found[0]!.length).toBeGreaterThan(0)
  expect(found[1]).toEqual(found[0])
  expect(found[2]).toEqual(found[0])
})
