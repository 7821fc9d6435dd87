/** A live camera that delivers one picture again and again has no label; a file, a scene or a still may. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import type { Decision } from '../../src/decision/decision.js'
import { policyDefaults } from '../../src/decision/policy.js'
import { frameOf, type Frame } from '../../src/frame.js'
import { createMetrics } from '../../src/metrics.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1 })
})
afterAll(() => classifier.close())

/** The picture numbered `seed`. One pixel of noise is enough to tell two apart. */
function picture(seed: number): Frame {
  const random = new Random(seed)
  const data = new Uint8Array(64 * 48 * 3).map((_, i) => (i * 7) % 90)
  for (let i = 0; i < 300; i++) data[i] = random.between(0, 255)
  return frameOf({ data, width: 64, height: 48 }, { seq: seed })
}

interface Rig {
  readonly zone: Zone
  readonly events: string[]
  /** Shows a frame 100 ms after the one before it. */
  show(frame: Frame): Promise<Decision>
}

function rig(isLive: boolean, watch = true): Rig {
  const events: string[] = []
  let nowMs = 1000
  const settings = {
    isEnabled: true,
    isSwitchedOn: true,
    roi: null,
    policy: { ...policyDefaults, threshold: 0, hysteresis: 0, margin: 0, consecutive: 1, smoothingMs: 0 },
  }
  const zone = new Zone({
    definition: zonesOf({ id: 'cam0', source: 'test' })[0]!,
    classifier,
    turns: new Turns(),
    topK: 3,
    settings: () => settings,
    lens: { watch, checks: 1000, everyMs: 200, frozenAfterMs: 2000 },
    publisher: {
      settled: () => undefined,
      result: () => undefined,
      event: (_: string, type: string) => void events.push(type),
    } as unknown as Publisher,
    metrics: createMetrics(0),
    clock: { now: () => nowMs, wall: () => 0 },
    onSettled: () => undefined,
  })
  zone.opened(isLive)
  return {
    zone,
    events,
    async show(frame) {
      nowMs += 100
      await zone.take(frame)
      return zone.decision
    },
  }
}

it('a live camera without a change for lens.frozenAfterMs loses its label, and gets it back with the next change', async () => {
  const { zone, events, show } = rig(true)
  for (let i = 0; i < 30; i++) expect((await show(picture(i))).index).not.toBeNull()
  const still = picture(99)
  for (let i = 0; i < 20; i++) expect((await show(still)).index).not.toBeNull()
  let frozen: Decision | null = null
  for (let i = 0; i < 10; i++) frozen = await show(still)
  expect(frozen).toMatchObject({ label: 'unknown', reason: 'frozen', score: 0, top: [] })
  expect(events.slice(-1)).toEqual(['camera_lost'])
  const since = frozen!.sinceMs
  expect((await show(still)).sinceMs).toBe(since)
  // The lens is checked every 200 ms.
  await show(picture(100))
  expect((await show(picture(101))).index).not.toBeNull()
  expect(events.slice(-2)).toEqual(['camera_recovered', 'label_changed'])
  zone.close()
})

it('a live camera that never changes from the start is frozen too', async () => {
  const { zone, show } = rig(true)
  const still = picture(1)
  for (let i = 0; i < 24; i++) await show(still)
  expect(zone.decision).toMatchObject({ label: 'unknown', reason: 'frozen' })
  zone.close()
})

it.each([
  ['a source that is not known to be live', rig.bind(null, false)],
  ['a camera without lens checks', rig.bind(null, true, false)],
])('%s keeps its label', async (_, make) => {
  const { zone, events, show } = make()
  for (let i = 0; i < 15; i++) await show(picture(i))
  const still = picture(99)
  for (let i = 0; i < 60; i++) expect((await show(still)).index).not.toBeNull()
  expect(events).not.toContain('camera_lost')
  zone.close()
})

it('a lost camera is no longer frozen when it comes back', async () => {
  const { zone, show } = rig(true)
  const still = picture(1)
  for (let i = 0; i < 24; i++) await show(still)
  zone.lose()
  expect((await show(still)).index).not.toBeNull()
  zone.close()
})
