/** A zone that looks at clips has a label while its clip is whole, and else says why it has none. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { loadConfig } from '../../src/config/config.js'
import type { Decision } from '../../src/decision/decision.js'
import { frameOf } from '../../src/frame.js'
import { createLogger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { createPublisher } from '../../src/publish/publisher.js'
import { openSettings } from '../../src/run/commands/settings.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { projectRoot } from '../shared.js'

let classifier: Classifier
beforeAll(async () => {
  const model = join(projectRoot, 'models/convnet-gap.onnx')
  classifier = await openClassifier({ model, threads: 1, task: 'video', clip: { frames: 5, everyMs: 100 } })
})
afterAll(() => classifier.close())

interface Shown {
  readonly zone: Zone
  readonly settled: Decision[]
  /** Shows a frame of this time, in milliseconds. */
  readonly show: (ms: number) => Promise<Decision>
}

function setUp(): Shown {
  const { config } = loadConfig({
    environment: {},
    flags: {
      cameras: [{ id: 'cam0', source: 'test://' }],
      'policy.threshold': 0,
      'policy.hysteresis': 0,
      'policy.margin': 0,
      'policy.consecutive': 1,
    },
  })
  const log = createLogger('silent')
  const settings = openSettings({ config, cameras: config.cameras, folder: null, log })
  const settled: Decision[] = []
  let nowMs = 0
  const zone = new Zone({
    definition: zonesOf(config.cameras[0]!)[0]!,
    classifier,
    turns: new Turns(),
    topK: 3,
    settings: () => settings.zone('cam0'),
    publisher: createPublisher({ broker: null, node: 'desk', cameras: ['cam0'], log }),
    metrics: createMetrics(0),
    clock: { now: () => nowMs, wall: () => 1e12 + nowMs },
    onSettled: (_zone, decision) => settled.push(decision),
  })
  let seq = 0
  const data = Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => (i * 7) % 90)
  return {
    zone,
    settled,
    async show(ms) {
      nowMs = ms
      await zone.take(
        frameOf({ data, width: 64, height: 48 }, { seq: ++seq, capturedNs: BigInt(Math.round(ms * 1e6)) }),
      )
      return zone.decision
    },
  }
}

it('waits for a whole clip, and looks once for each of its frames', async () => {
  const { zone, show } = setUp()
  for (let i = 0; i < 4; i++)
    expect(await show(i * 100)).toMatchObject({
      label: 'unknown',
      reason: 'clip_short',
      detail: `${i + 1} of the 5 frames of a clip`,
    })
  const whole = await show(400)
  expect(whole.index).not.toBeNull()
  expect(whole).not.toHaveProperty('detail')
  expect(zone.frames).toBe(1)
  // A camera that is faster delivers frames between.
  for (let ms = 420; ms <= 800; ms += 20) await show(ms)
  expect(zone.frames).toBe(5)
  await zone.close()
})

it('is unknown with the reason while the camera is too slow, and recovers with it', async () => {
  const { zone, settled, show } = setUp()
  for (let i = 0; i < 12; i++) await show(i * 700)
  expect(zone.decision).toMatchObject({
    label: 'unknown',
    reason: 'clip_short',
    detail:
      '1 of the 5 frames of a clip: frames come every 700 ms, and a clip needs one every 100 ms, at least every 250 ms',
  })
  expect(settled).toHaveLength(1)
  for (let i = 0; i < 5; i++) await show(8000 + i * 100)
  expect(zone.decision.index).not.toBeNull()
  await zone.close()
})

it('forgets the clip from before the camera was away', async () => {
  const { zone, settled, show } = setUp()
  for (let i = 0; i < 5; i++) await show(i * 100)
  zone.lose()
  expect(zone.decision.reason).toBe('camera_lost')
  zone.opened(false)
  expect(await show(5000)).toMatchObject({ reason: 'clip_short', detail: '1 of the 5 frames of a clip' })
  for (let i = 1; i < 5; i++) await show(5000 + i * 100)
  expect(zone.decision.index).not.toBeNull()
  expect(settled.map(({ reason }) => reason ?? 'label')).toEqual([
    'clip_short',
    'label',
    'camera_lost',
    'clip_short',
    'label',
  ])
  await zone.close()
})
