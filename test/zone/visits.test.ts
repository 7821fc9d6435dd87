/** A zone that detects follows its boxes, shows each thing to a second model once, and publishes one event for each visit. */
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { systemClock } from '../../src/clock.js'
import { loadConfig } from '../../src/config/config.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { boxesOf, type Box } from '../../src/decision/task.js'
import { frameOf } from '../../src/frame.js'
import { createLogger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { createPublisher } from '../../src/publish/publisher.js'
import { openSettings } from '../../src/run/commands/settings.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { BestCrops, type CropPicture } from '../../src/zone/crops.js'
import { Zone } from '../../src/zone/zone.js'
import { projectRoot } from '../shared.js'
import { openDetector } from '../task/fixture.js'

async function open(
  now: () => number,
): Promise<{ zone: Zone; seen: Prediction[]; visits: unknown[]; crops: CropPicture[] }> {
  const detector = await openDetector({
    outputs: { output0: { shape: [1, 2, 6], values: [8, 8, 40, 40, 0.9, 0, 0, 0, 0, 0, 0, 0] } },
    manifest: 'labels: [thing]\nresize: stretch\n',
  })
  const second = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1 })
  onTestFinished(() => second.close())
  const { config } = loadConfig({ environment: {}, flags: { cameras: [{ id: 'cam0', source: 'test://' }] } })
  const log = createLogger('silent')
  const settings = openSettings({ config, cameras: config.cameras, folder: null, log })
  const publisher = createPublisher({ broker: null, node: 'desk', cameras: ['cam0'], log })
  const [seen, visits]: [Prediction[], unknown[]] = [[], []]
  const crops: CropPicture[] = []
  const zone = new Zone({
    definition: zonesOf(config.cameras[0]!)[0]!,
    classifier: detector,
    second: { classifier: second, most: 2, perSecond: 2 },
    turns: new Turns(),
    topK: 3,
    settings: () => settings.zone('cam0'),
    publisher: {
      ...publisher,
      event(key, type, decision, prediction) {
        const found = prediction?.found
        if (type === 'visit') visits.push(found?.task === 'detect' ? found.visit : undefined)
        publisher.event(key, type, decision, prediction)
      },
    },
    metrics: createMetrics(0),
    clock: { ...systemClock, now, wall: () => 1_000_000 + now() },
    onSeen: (_, prediction) => seen.push(prediction),
    onCrop: (_, picture) => crops.push(picture),
    onSettled: () => undefined,
  })
  onTestFinished(() => zone.close())
  return { zone, seen, visits, crops }
}

it('numbers its boxes, asks the second model once, and publishes the visit when it ends', async () => {
  let nowMs = 0
  const { zone, seen, visits } = await open(() => nowMs)
  for (let i = 0; i < 5; i++) {
    nowMs = 200 * i
    await zone.take(frameOf({ data: new Uint8Array(64 * 64 * 3).map((_, k) => (k * 7) % 251), width: 64, height: 64 }))
  }
  const boxes = seen.map(({ found }) => boxesOf(found)[0]!)
  expect(boxes.map(({ track, label }) => [track, label])).toEqual(new Array(5).fill([1, 'thing']))
  expect(boxes.every(({ which }) => which?.label === boxes[0]!.which?.label)).toBe(true)
  expect(boxes[0]!.which?.label).toMatch(/./)
  expect(zone.decision.label).toBe('thing')
  expect(visits).toEqual([])
  nowMs = 1000
  zone.lose()
  expect(visits).toEqual([
    {
      track: 1,
      label: 'thing',
      score: expect.closeTo(0.9, 5),
      beginMs: 0,
      endMs: 800,
      looks: 5,
      beginWallMs: 1_000_000,
      endWallMs: 1_000_800,
    },
  ])
})

it('gives the best picture of a visit once, when it ends: the one with the greatest box and score', async () => {
  let nowMs = 0
  const { zone, visits, crops } = await open(() => nowMs)
  // The box is 32 of 64 pixels wide; the picture is brighter in the second frame, and the boxes are all as good.
  for (let i = 0; i < 4; i++) {
    nowMs = 200 * i
    await zone.take(frameOf({ data: new Uint8Array(64 * 64 * 3).fill(40 + 20 * i), width: 64, height: 64 }))
  }
  expect(crops).toEqual([])
  nowMs = 1000
  zone.lose()
  expect(visits).toHaveLength(1)
  expect(crops).toHaveLength(1)
  const { rgb, width, height } = crops[0]!
  // With a margin of a tenth on each side.
  expect([width, height]).toEqual([38, 38])
  expect([...rgb].every((level) => Math.abs(level - 40) <= 1)).toBe(true)
})

it('takes a better picture in place of one, and forgets things that were no visits', async () => {
  const crops = new BestCrops({})
  const box = (track: number, score: number, width: number): Box => ({
    ...{ index: 0, label: 'thing', score, track, x: 0.25, y: 0.25, width, height: 0.5 },
  })
  const grey = (level: number) => frameOf({ data: new Uint8Array(40 * 40 * 3).fill(level), width: 40, height: 40 })
  await crops.see(grey(10), [box(1, 0.5, 0.25), box(2, 0.9, 0.25)])
  await crops.see(grey(90), [box(1, 0.9, 0.5), box(2, 0.85, 0.25)])
  const [first, second] = [crops.take(1)!, crops.take(2)!]
  expect([first.width, first.height, first.rgb[0]]).toEqual([24, 24, 90])
  expect([second.width, second.rgb[0]]).toEqual([12, 10])
  expect(crops.take(1)).toBeNull()
  await crops.see(grey(50), [box(3, 0.9, 0.25), box(4, 0.9, 0.25)])
  crops.keep([{ id: 4 }])
  expect(crops.take(3)).toBeNull()
  expect(crops.take(4)).not.toBeNull()
})

it('gives an upright picture of a camera that hangs on its side', async () => {
  const crops = new BestCrops({ rotate: 90 })
  const frame = frameOf({ data: new Uint8Array(80 * 40 * 3), width: 80, height: 40 })
  await crops.see(frame, [{ index: 0, label: 'x', score: 1, track: 1, x: 0.25, y: 0.25, width: 0.5, height: 0.5 }])
  expect(crops.take(1)).toMatchObject({ width: 24, height: 48 })
})
