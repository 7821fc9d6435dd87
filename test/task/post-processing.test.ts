/**
 * The last operator of TensorFlow's SSD detectors, TFLite_Detection_PostProcess. The expected boxes are LiteRT's, kept in
 * test/fixtures/tflite.json as those of the other TFLite models.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { boxesOf } from '../../src/decision/task.js'
import { loadModel } from '../../src/model/load.js'
import { numbersOfFlexbuffer } from '../../src/model/tflite/flexbuffer.js'
import { tfliteModel, type TensorSpec } from '../model/tflite/tflite-builder.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'
import { predictionOf } from './fixture.js'

/** Written by flatbuffers.flexbuffers of PyPI: a map with the options of `expected`. */
const options = Buffer.from(
  'bWF4X2RldGVjdGlvbnMAbWF4X2NsYXNzZXNfcGVyX2RldGVjdGlvbgBkZXRlY3Rpb25zX3Blcl9jbGFzcwB1c2VfcmVndWxhcl9ubXMAbnVtX2NsYXNzZXMA' +
    'bm1zX3Njb3JlX3RocmVzaG9sZABubXNfaW91X3RocmVzaG9sZAB5X3NjYWxlAHhfc2NhbGUAaF9zY2FsZQB3X3NjYWxlAAt4EpSkN0xZahEiKwAAAAAPAAAA' +
    'AAAAAAEAAAAAAAAACwAAAAAAAABkAAAAAAAAAAAAAAAAABRAAQAAAAAAAAAFAAAAAAAAAAAAAAAAAOA/zczMzMzM3D8DAAAAAAAAAAAAAAAAAAAAAAAAAAAA' +
    'FEAAAAAAAAAkQAAAAAAAACRABw8HBw8PB2sPDw9jJwE=',
  'base64',
)
const expected = {
  max_detections: 5,
  max_classes_per_detection: 1,
  detections_per_class: 100,
  use_regular_nms: 0,
  num_classes: 3,
  nms_score_threshold: 0.45,
  nms_iou_threshold: 0.5,
  y_scale: 10,
  x_scale: 10,
  h_scale: 5,
  w_scale: 5,
}

it('reads the options, and refuses what is cut off', () => {
  expect(Object.fromEntries(numbersOfFlexbuffer(options))).toEqual(expected)
  for (let length = 0; length < options.length; length++) {
    try {
      numbersOfFlexbuffer(options.subarray(0, length))
    } catch (error) {
      expect(error).toMatchObject({ code: 'MODEL_INVALID' })
    }
  }
})

const random = new Random(5)
const places = 12
const uniform = (count: number, low: number, high: number): Float32Array =>
  Float32Array.from({ length: count }, () => low + (high - low) * random.next())

/** The numbers that come out whatever the picture is: a layer with weights of 0. */
const layer = (name: string, last: number, bias: Float32Array): readonly TensorSpec[] => [
  { name: `${name} weights`, shape: [bias.length, 192], data: new Float32Array(bias.length * 192) },
  { name: `${name} bias`, shape: [bias.length], data: bias },
  { name: `${name} row`, shape: [1, bias.length] },
  { name, shape: [1, places, last] },
  { name: `${name} shape`, type: 'int32', shape: [3], data: Int32Array.from([1, places, last]) },
]
const anchors = Float32Array.from({ length: places * 4 }, (_, i) =>
  i % 4 < 2 ? 0.25 + 0.25 * (Math.floor(i / 12) % 3) : 0.3,
)
const [boxNumbers, scoreNumbers] = [uniform(places * 4, -2, 2), uniform(places * 4, 0, 1)]
/** A file in which the boxes have this name. */
const fileOf = (boxesName: string): Uint8Array =>
  tfliteModel({
    tensors: [
      { name: 'picture', shape: [1, 8, 8, 3] },
      ...layer('boxes', 4, boxNumbers).map((each) => (each.name === 'boxes' ? { ...each, name: boxesName } : each)),
      ...layer('scores', 4, scoreNumbers),
      { name: 'anchors', shape: [places, 4], data: anchors },
      { name: 'TFLite_Detection_PostProcess', shape: [1, 5, 4] },
      { name: 'TFLite_Detection_PostProcess:1', shape: [1, 5] },
      { name: 'TFLite_Detection_PostProcess:2', shape: [1, 5] },
      { name: 'TFLite_Detection_PostProcess:3', shape: [1] },
    ],
    operators: [
      { op: 'FULLY_CONNECTED', inputs: [0, 1, 2], outputs: [3], options: {} },
      { op: 'RESHAPE', inputs: [3, 5], outputs: [4], options: {} },
      { op: 'FULLY_CONNECTED', inputs: [0, 6, 7], outputs: [8], options: {} },
      { op: 'RESHAPE', inputs: [8, 10], outputs: [9], options: {} },
      {
        op: 'TFLite_Detection_PostProcess',
        inputs: [4, 9, 11],
        outputs: [12, 13, 14, 15],
        customOptions: new Uint8Array(options),
      },
    ],
    inputs: [0],
    outputs: [12, 13, 14, 15],
  })
const bytes = fileOf('boxes')

/** The file in a folder of its own, with these labels beside it. */
function fileWith(labels: readonly string[], manifest?: string, content = bytes): string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-detect-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'labelmap.txt'), labels.join('\n'))
  if (manifest !== undefined) writeFileSync(join(folder, 'model.yaml'), manifest)
  writeFileSync(join(folder, 'model.tflite'), content)
  return join(folder, 'model.tflite')
}

it('gives the boxes that LiteRT gives, in its order, with the labels of a label map', async () => {
  const written = process.env['GAPCAM_WRITE_TFLITE']
  if (written !== undefined) {
    writeFileSync(join(written, 'post-processing.tflite'), bytes)
    writeFileSync(join(written, 'post-processing.input'), new Float32Array(192))
  }
  const fixtures = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/tflite.json'), 'utf8')) as Record<
    string,
    { readonly sha256: string; readonly outputs: readonly (readonly number[])[] }
  >
  const golden = fixtures['post-processing']!
  expect(golden.sha256, 'the fixture is of another model').toBe(createHash('sha256').update(bytes).digest('hex'))
  const [corners = [], classes = [], scores = [], [count = 0] = []] = golden.outputs
  expect(count).toBeGreaterThan(2)

  const labels = ['cat', 'dog', 'owl']
  const classifier = await openClassifier({ model: fileWith(['???', ...labels]) })
  onTestFinished(() => classifier.close())
  const { found } = await predictionOf(classifier, 64, 64)
  expect(boxesOf(found).map(({ label }) => label)).toEqual(classes.slice(0, count).map((i) => labels[i]))
  boxesOf(found).forEach(({ x, y, width, height, score }, i) => {
    const [top = 0, left = 0, bottom = 0, right = 0] = corners
      .slice(4 * i, 4 * i + 4)
      .map((value) => Math.min(1, Math.max(0, value)))
    const right5 = [left, top, right - left, bottom - top, scores[i]!]
    ;[x, y, width, height, score].forEach((value, k) => expect(Math.abs(value - right5[k]!)).toBeLessThan(1e-3))
  })
})

it.each(['boxes row', 'scores', 'picture'])(
  'reads a file whose boxes are named like another tensor, %s',
  async (name) => {
    const found = []
    for (const content of [bytes, fileOf(name)]) {
      const classifier = await openClassifier({ model: fileWith(['a', 'b', 'c'], undefined, content) })
      onTestFinished(() => classifier.close())
      found.push(boxesOf((await predictionOf(classifier, 64, 64)).found))
    }
    expect(found[0]!.length).toBeGreaterThan(0)
    expect(found[1]).toEqual(found[0])
  },
)

it('lets a manifest change one field and keep the others', async () => {
  const classifier = await openClassifier({ model: fileWith(['a', 'b', 'c'], 'detect: { most: 1 }\n') })
  onTestFinished(() => classifier.close())
  expect(boxesOf((await predictionOf(classifier, 64, 64)).found)).toHaveLength(1)
})

it('refuses a file in which operators stand behind it', async () => {
  const model = tfliteModel({
    tensors: [
      { name: 'boxes', shape: [1, 4, 4] },
      { name: 'scores', shape: [1, 4, 2] },
      { name: 'anchors', shape: [4, 4], data: new Float32Array(16) },
      { name: 'found', shape: [1, 1, 4] },
      { name: 'moved', shape: [1, 1, 4] },
    ],
    operators: [
      {
        op: 'TFLite_Detection_PostProcess',
        inputs: [0, 1, 2],
        outputs: [3],
        customOptions: new Uint8Array(options),
      },
      { op: 'ABS', inputs: [3], outputs: [4] },
    ],
    inputs: [0, 1],
    outputs: [4],
  })
  const file = fileWith([])
  await expect(loadModel(file, model)).rejects.toThrow(/operators stand behind TFLite_Detection_PostProcess/)
})
