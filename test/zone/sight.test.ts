/** What a zone adds to a prediction: the focus, the watched region, lens problems. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { systemClock } from '../../src/clock.js'
import type { CameraConfig } from '../../src/config/schema.js'
import type { Frame } from '../../src/frame.js'
import { isInside } from '../../src/pixels/shape.js'
import { createMetrics } from '../../src/metrics.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import type { Decision } from '../../src/decision/decision.js'
import { policyDefaults } from '../../src/decision/policy.js'
import type { Prediction } from '../../src/decision/prediction.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { compose, thingOf, type Scene } from '../heat/scenes.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

let classifier: Classifier
let scene: Scene
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/efficientnet-lite0.onnx'), heat: true })
  scene = compose(new Random(41), await thingOf(join(projectRoot, 'models/photos/parrot.jpg'), 200), {
    width: 640,
    height: 480,
    within: { x: 0.5, y: 0, width: 0.375, height: 1 },
    level: 120,
    swing: 50,
    noise: 10,
  })
})
afterAll(() => classifier.close())

interface Told {
  readonly predictions: (Prediction | null)[]
  readonly events: { readonly type: string; readonly decision: Decision; readonly prediction: Prediction | null }[]
}

/** A zone with a publisher that only records. */
function listening(camera: Partial<CameraConfig> = {}, watch = false): { zone: Zone; told: Told } {
  const told: Told = { predictions: [], events: [] }
  const publisher = {
    settled: (_: string, __: Decision, prediction: Prediction | null) => void told.predictions.push(prediction),
    result: () => undefined,
    cameraStatus: () => undefined,
    event: (_: string, type: string, decision: Decision, prediction: Prediction | null) =>
      void told.events.push({ type, decision, prediction }),
  } as unknown as Publisher
  const settings = {
    isEnabled: true,
    isSwitchedOn: true,
    roi: null,
    policy: { ...policyDefaults, threshold: 0.05, hysteresis: 0, margin: 0, consecutive: 1, smoothingMs: 0 },
  }
  const zone = new Zone({
    definition: zonesOf({ id: 'cam0', source: 'test', ...camera })[0]!,
    classifier,
    turns: new Turns(),
    topK: 3,
    settings: () => settings,
    publisher,
    metrics: createMetrics(0),
    clock: systemClock,
    lens: { watch, checks: 3, everyMs: 0, frozenAfterMs: 30_000 },
    onSettled: () => undefined,
  })
  return { zone, told }
}

const centre = (box: { x: number; y: number; width: number; height: number }): [number, number] => [
  box.x + box.width / 2,
  box.y + box.height / 2,
]

it('a settled label has its focus on the object', async () => {
  const { zone, told } = listening()
  await zone.take(scene.frame)
  const [x, y] = centre(told.predictions[0]!.focus!)
  const { object } = scene
  expect(
    isInside(
      [
        [object.x, object.y],
        [object.x + object.width, object.y],
        [object.x + object.width, object.y + object.height],
        [object.x, object.y + object.height],
      ],
      x,
      y,
    ),
  ).toBe(true)
  expect(told.predictions[0]!.problem).toBeUndefined()
  zone.close()
})

describe('a watched region', () => {
  const left: CameraConfig['watchRegion'] = {
    polygon: [
      [0, 0],
      [0.4, 0],
      [0.4, 1],
      [0, 1],
    ],
    share: 0.5,
  }
  const right: CameraConfig['watchRegion'] = {
    polygon: [
      [0.45, 0],
      [1, 0],
      [1, 1],
      [0.45, 1],
    ],
    share: 0.5,
  }
  it.each([
    ['without the object', left, true],
    ['around the object', right, undefined],
  ] as const)('%s', async (_, watchRegion, isElsewhere) => {
    const { zone, told } = listening({ watchRegion })
    await zone.take(scene.frame)
    expect(told.events[0]).toMatchObject({ type: 'label_changed' })
    expect(told.events[0]!.prediction!.isElsewhere).toBe(isElsewhere)
    zone.close()
  })
  it('lies in the frame, also for a camera that is turned or mirrored', async () => {
    for (const view of [{ rotate: 90 as const }, { flipX: true }, { rotate: 270 as const, flipY: true }]) {
      const { zone, told } = listening({ watchRegion: right, ...view })
      await zone.take(scene.frame)
      expect(told.predictions[0]!.isElsewhere, JSON.stringify(view)).toBeUndefined()
      zone.close()
    }
  })
  it('may have any shape: the even-odd rule', () => {
    const horseshoe = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0.7, 1],
      [0.7, 0.3],
      [0.3, 0.3],
      [0.3, 1],
      [0, 1],
    ] as const
    expect([
      isInside(horseshoe, 0.5, 0.1),
      isInside(horseshoe, 0.5, 0.6),
      isInside(horseshoe, 0.1, 0.9),
      isInside(horseshoe, 0.9, 0.9),
      isInside(horseshoe, 1.1, 0.5),
    ]).toEqual([true, false, true, true, false])
  })
})

it('a lens that goes black and recovers causes one event each, with the problem in between', async () => {
  const { zone, told } = listening({}, true)
  const black: Frame = { ...scene.frame, pixels: new Uint8Array((scene.frame.pixels as Uint8Array).length) }
  for (const frame of [
    ...Array<Frame>(4).fill(scene.frame),
    ...Array<Frame>(4).fill(black),
    ...Array<Frame>(4).fill(scene.frame),
  ])
    await zone.take(frame)
  const lens = told.events.filter(({ type }) => type.startsWith('lens_'))
  expect(lens.map(({ type, prediction }) => [type, prediction!.problem])).toEqual([
    ['lens_problem', 'black'],
    ['lens_cleared', null],
  ])
  expect(told.predictions.map((prediction) => prediction!.problem)).toContain('black')
  zone.close()
})

describe('a picture with its heat', () => {
  it('is that of the settled label, or of the requested class', async () => {
    const { zone, told } = listening()
    const asked = [
      zone.capture({ heat: 'label', maxSide: 64 }),
      zone.capture({ heat: 3, maxSide: 64 }),
      zone.capture({ maxSide: 64 }),
    ]
    await zone.take(scene.frame)
    const [own, third, bare] = await Promise.all(asked)
    expect(own!.heat!.map).toMatchObject({ classIndex: told.predictions[0]!.top[0]!.index, width: 7, height: 7 })
    expect(third!.heat!.map.classIndex).toBe(3)
    expect(own!.heat!.map.values).not.toEqual(third!.heat!.map.values)
    expect(bare!.heat).toBeUndefined()
    zone.close()
  })
  it('is refused for a class that the model does not have, and for a model without heat maps', async () => {
    const { zone } = listening()
    for (const heat of [1000, -1, 1.5])
      await expect(zone.capture({ heat })).rejects.toMatchObject({
        code: 'USAGE',
        message: `there is no class ${heat}: the model has 1000 classes`,
      })
    zone.close()
    const without = await openClassifier({ model: join(projectRoot, 'models/convnet-flatten.onnx'), heat: true })
    const flat = new Zone({
      definition: zonesOf({ id: 'cam0', source: 'test' })[0]!,
      classifier: without,
      turns: new Turns(),
      topK: 3,
      settings: () => ({ isEnabled: true, isSwitchedOn: true, roi: null, policy: policyDefaults }),
      publisher: {} as Publisher,
      metrics: createMetrics(0),
      clock: systemClock,
      onSettled: () => undefined,
    })
    await expect(flat.capture({ heat: 'label' })).rejects.toMatchObject({
      code: 'NO_HEAT_MAP',
      message: expect.stringMatching(/^this model has no heat map: its head flattens/),
    })
    flat.close()
    await without.close()
  })
})
