/** The focus box: on small maps made by hand, and on scenes in which the position of the object is known. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import type { CameraConfig } from '../../src/config/schema.js'
import { viewOf } from '../../src/pixels/geometry.js'
import { focusOf, interpolated } from '../../src/heat/focus.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import type { Region } from '../../src/pixels/spec.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'
import { compose, digit, thingOf, type Scene, type Thing } from './scenes.js'

describe('a map made by hand', () => {
  const map = (width: number, values: number[]) => ({
    classIndex: 0,
    width,
    height: values.length / width,
    values: Float32Array.from(values),
  })
  it('the box is around the stronger of two regions, not around both', () => {
    const values = new Array<number>(28 * 28).fill(0)
    for (const [x, y] of [
      [3, 4],
      [4, 4],
      [4, 5],
    ])
      values[y! * 28 + x!] = 9
    for (let x = 15; x < 25; x++) values[20 * 28 + x] = 6
    const { x, y, width, height } = focusOf(map(28, values))!
    expect([x * 28, y * 28, width * 28, height * 28].map((v) => Math.round(v * 1e9) / 1e9)).toEqual([3, 4, 2, 2])
  })
  it('the box of a uniform map is the whole map, and a map without evidence has none', () => {
    expect(focusOf(map(2, [1, 1, 1, 1]))).toEqual({ x: 0, y: 0, width: 1, height: 1 })
    for (const values of [
      [0, 0, 0, 0],
      [-1, -2, -3, -4],
      [NaN, NaN, NaN, NaN],
      [Infinity, 1, 1, 1],
    ])
      expect(focusOf(map(2, values))).toBeNull()
  })
  it('interpolation keeps the value in the middle of a cell and is linear between two', () => {
    const { values } = interpolated(map(2, [0, 8, 0, 8]), 4)
    expect([...values.subarray(0, 8)]).toEqual([0, 0, 1, 3, 5, 7, 8, 8])
  })
})

type Turn = Pick<CameraConfig, 'rotate' | 'flipX' | 'flipY'>

/** The share of scenes in which the centre of the box is on the object. */
async function share(
  classifier: Classifier,
  scenes: readonly { scene: Scene; classIndex: number | null; turn: Turn }[],
): Promise<number> {
  if (!('heat' in classifier.heat)) throw new Error(classifier.heat.reason)
  let hits = 0
  for (const {
    scene: { frame, object },
    classIndex,
    turn,
  } of scenes) {
    const spec = classifier.preprocessing(turn as object)
    const preprocessor = createPreprocessor(spec)
    await preprocessor.run(frame, classifier.input.data as Float32Array)
    preprocessor.close()
    await classifier.engine.run()
    const logits = classifier.output.data as Float32Array
    const box = focusOf(classifier.heat.heat(classIndex ?? logits.indexOf(Math.max(...logits))))
    const seen = box && viewOf(spec, frame.width, frame.height).toFrame(box)
    if (seen && isOn(seen, object)) hits++
  }
  return hits / scenes.length
}

function isOn(box: Region, object: Region): boolean {
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  return x >= object.x && x <= object.x + object.width && y >= object.y && y <= object.y + object.height
}

const square = { x: 0.125, y: 0, width: 0.75, height: 1 } // what resize mode `cover` shows of 4:3
/** Background and size of the scenes with photographs. */
const room = { width: 640, height: 480, within: square, level: 120, swing: 50, noise: 10 }
const folder = sharedFolder()
const pictures =
  folder === null
    ? ['bird', 'cat', 'dragonfly', 'hot-dog', 'hot-dog-2', 'parrot', 'sunflower'].map((name) =>
        join(projectRoot, `models/photos/${name}.jpg`),
      )
    : ['bird', 'cat', 'cat-2', 'dog', 'dog-2', 'dragonfly', 'hot-dog', 'hot-dog-2', 'owl', 'parrot', 'sunflower'].map(
        (name) => join(folder, `images/${name}.jpg`),
      )

it.each(['native', 'onnxruntime'] as const)(
  'EfficientNet-Lite0 finds the pasted photograph in at least nine scenes of ten: %s',
  async (engine) => {
    const classifier = await openClassifier({
      model: join(projectRoot, 'models/efficientnet-lite0.onnx'),
      engine,
      heat: true,
    })
    const random = new Random(17)
    const scenes: { scene: Scene; classIndex: null; turn: Turn }[] = []
    for (const side of [140, 180, 220]) {
      for (const file of engine === 'native' ? pictures : pictures.slice(0, 4)) {
        scenes.push({
          scene: compose(random, await thingOf(file, side), room),
          classIndex: null,
          turn: {},
        })
      }
    }
    expect(await share(classifier, scenes)).toBeGreaterThanOrEqual(0.9)
    await classifier.close()
  },
)

it('EfficientNet-Lite0 finds it in frames that are rotated or flipped', async () => {
  const classifier = await openClassifier({ model: join(projectRoot, 'models/efficientnet-lite0.onnx'), heat: true })
  const random = new Random(23)
  const turns: Turn[] = [{ rotate: 90 }, { rotate: 180, flipX: true }, { rotate: 270, flipY: true }, { flipX: true }]
  const scenes = await Promise.all(
    turns.flatMap((turn) =>
      pictures.slice(0, 5).map(async (file) => ({
        scene: compose(random, await thingOf(file, 200), room),
        classIndex: null,
        turn,
      })),
    ),
  )
  expect(await share(classifier, scenes)).toBeGreaterThanOrEqual(0.9)
  await classifier.close()
})

it.each([64, 96])('the ConvNet with GAP finds a digit of 32 pixels in an input of %s pixels', async (side) => {
  // In training every digit filled the picture, so the label is often wrong here; the map is that of the digit's class.
  const classifier = await openClassifier({
    model: join(projectRoot, 'models/convnet-gap.onnx'),
    inputSize: { height: side, width: side },
    heat: true,
  })
  const random = new Random(side)
  const things: Thing[] = await Promise.all(Array.from({ length: 10 }, (_, value) => digit(value)))
  const scenes = Array.from({ length: 60 }, (_, i) => ({
    scene: compose(random, things[i % 10]!, {
      width: side,
      height: side,
      within: { x: 0, y: 0, width: 1, height: 1 },
      level: 0,
      swing: 0,
      noise: 0,
    }),
    classIndex: i % 10,
    turn: {},
  }))
  expect(await share(classifier, scenes)).toBeGreaterThanOrEqual(0.9)
  await classifier.close()
})
