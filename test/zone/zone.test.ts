/** Settings take effect between two frames: the next frame is judged by the new values. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { systemClock } from '../../src/clock.js'
import { loadConfig } from '../../src/config/config.js'
import type { Decision } from '../../src/decision/decision.js'
import type { Prediction } from '../../src/decision/prediction.js'
import type { Frame } from '../../src/frame.js'
import { createLogger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf, type ZoneDefinition } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { createPublisher } from '../../src/publish/publisher.js'
import { openSettings, type Settings } from '../../src/run/commands/settings.js'
import { projectRoot } from '../shared.js'

let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1 })
})
afterAll(() => classifier.close())

function setUp(
  definition: Partial<ZoneDefinition> = {},
  own = classifier,
): { zone: Zone; results: Prediction[]; settings: Settings; settled: Decision[]; next: () => Promise<Decision> } {
  const { config } = loadConfig({
    environment: {},
    flags: {
      cameras: [{ id: 'cam0', source: 'test://' }],
      'policy.threshold': 0,
      'policy.hysteresis': 0,
      'policy.margin': 0,
      'policy.consecutive': 1,
      'policy.smoothingMs': 0,
    },
  })
  const log = createLogger('silent')
  const settings = openSettings({ config, cameras: config.cameras, folder: null, log })
  const settled: Decision[] = []
  const results: Prediction[] = []
  const publisher = createPublisher({ broker: null, node: 'desk', cameras: ['cam0'], log })
  const zone = new Zone({
    definition: { ...zonesOf(config.cameras[0]!)[0]!, ...definition },
    classifier: own,
    turns: new Turns(),
    topK: 3,
    settings: () => settings.zone('cam0'),
    publisher,
    metrics: createMetrics(0),
    clock: systemClock,
    onSettled: (_camera, decision) => settled.push(decision),
    onSeen: (_camera, prediction) => results.push(prediction),
  })
  let seq = 0
  const next = async (): Promise<Decision> => {
    const asked = zone.capture({ maxSide: 1 })
    await zone.take(frameOf(++seq))
    return (await asked).decision
  }
  return { zone, results, settings, settled, next }
}

function frameOf(seq: number): Frame {
  const pixels = new Uint8Array(64 * 48 * 3).map((_, i) => (i % (64 * 3) < 32 * 3 ? 250 : (i * 7) % 90))
  return {
    seq,
    capturedNs: process.hrtime.bigint(),
    wallTime: 0,
    width: 64,
    height: 48,
    format: 'rgb24',
    stride: 64 * 3,
    pixels,
    copyTo: (target) => target.set(pixels),
    release: () => undefined,
  }
}

it('a threshold judges the next frame', async () => {
  const { zone, settings, next } = setUp()
  expect((await next()).index).not.toBeNull()
  void settings.change({ zone: 'cam0', threshold: 1 })
  expect(await next()).toMatchObject({ label: 'unknown', reason: 'low_confidence' })
  void settings.change({ zone: 'cam0', threshold: 0 })
  expect((await next()).index).not.toBeNull()
  zone.close()
})

it('a new region is what the network sees of the next frame', async () => {
  const { zone, settings, next } = setUp()
  const scores: number[] = []
  for (const roi of [
    { x: 0, y: 0, width: 0.5, height: 1 },
    { x: 0.5, y: 0, width: 0.5, height: 1 },
    { x: 0, y: 0, width: 0.5, height: 1 },
  ]) {
    void settings.change({ zone: 'cam0', roi })
    const asked = zone.capture({ maxSide: 1 })
    const decision = await next()
    expect((await asked).shown.x).toBeGreaterThanOrEqual(roi.x)
    expect((await asked).shown.x + (await asked).shown.width).toBeLessThanOrEqual(roi.x + roi.width + 1e-6)
    scores.push(decision.top[0]!.score)
  }
  expect(scores[0]).not.toBe(scores[1])
  expect(scores[2]).toBeCloseTo(scores[0]!, 5)
  zone.close()
})

it('a camera that is disabled during a frame gets no label from that frame', async () => {
  const { zone, settings, settled, next } = setUp()
  await next()
  const underWay = zone.take(frameOf(99))
  void settings.change({ zone: 'cam0', enabled: false })
  zone.disable()
  await underWay
  expect(settled.at(-1)).toMatchObject({ label: 'unknown', reason: 'camera_disabled' })
  void settings.change({ zone: 'cam0', enabled: true })
  zone.enable()
  expect(settled.at(-1)).toMatchObject({ label: 'unknown', reason: 'starting' })
  expect((await next()).index).not.toBeNull()
  zone.close()
})

it('a requested picture is refused when the camera is disabled', async () => {
  const { zone } = setUp()
  const asked = zone.capture()
  zone.disable()
  await expect(asked).rejects.toMatchObject({ code: 'CAMERA_LOST' })
  zone.close()
})

it('a result has the embedding only where its zone asks for it', async () => {
  const own = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1, embedding: true })
  for (const embedding of [true, false]) {
    const { zone, results, next } = setUp({ embedding }, own)
    await next()
    expect(results[0]!.embedding?.length).toBe(embedding ? 64 : undefined)
    await zone.close()
  }
  await own.close()
})
