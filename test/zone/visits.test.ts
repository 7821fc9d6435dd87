/** A zone that detects follows its boxes, shows each thing to a second model once, and publishes one event for each visit. */
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { systemClock } from '../../src/clock.js'
import { loadConfig } from '../../src/config/config.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { boxesOf } from '../../src/decision/task.js'
import { frameOf } from '../../src/frame.js'
import { createLogger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { createPublisher } from '../../src/publish/publisher.js'
import { openSettings } from '../../src/run/settings.js'
import { Turns } from '../../src/run/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { projectRoot } from '../shared.js'
import { openDetector } from '../task/fixture.js'

async function open(now: () => number): Promise<{ zone: Zone; seen: Prediction[]; visits: unknown[] }> {
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
    onSettled: () => undefined,
  })
  onTestFinished(() => zone.close())
  return { zone, seen, visits }
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
