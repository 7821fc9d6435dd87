/** Cameras without a question of their own: the whole picture is checked, and their zones tell what is found. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../../src/classifier.js'
import { systemClock } from '../../../src/clock.js'
import { policyDefaults } from '../../../src/decision/policy.js'
import type { Prediction } from '../../../src/decision/prediction.js'
import { frameOf, type Frame } from '../../../src/frame.js'
import { createMetrics } from '../../../src/metrics.js'
import type { Publisher } from '../../../src/publish/publisher.js'
import { openLenses } from '../../../src/run/cameras/lenses.js'
import { Turns } from '../../../src/run/zones/turns.js'
import { zonesOf } from '../../../src/zone/definition.js'
import { Zone } from '../../../src/zone/zone.js'
import { Random } from '../../random.js'
import { projectRoot } from '../../shared.js'

let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1 })
})
afterAll(() => classifier.close())

const lens = { watch: true, checks: 3, everyMs: 100, frozenAfterMs: 30_000 }
const size = { width: 448, height: 448 }
const black = (): Frame => frameOf({ ...size, data: new Uint8Array(448 * 448 * 3) })
/** Coarse noise, as a scene with detail has. */
function scene(): Frame {
  const random = new Random(5)
  const blocks = Uint8Array.from({ length: 112 * 112 }, () => random.between(0, 255))
  const level = (i: number): number => blocks[Math.floor(Math.floor(i / 448) / 4) * 112 + Math.floor((i % 448) / 4)]!
  return frameOf({ ...size, data: Uint8Array.from({ length: 448 * 448 * 3 }, (_, i) => level(Math.floor(i / 3))) })
}

it('a black picture is told by a zone that looks at a part of it, once, and so is its end', async () => {
  const lenses = openLenses(lens)
  const [definition] = zonesOf({
    id: 'yard',
    source: 'x',
    zones: [{ id: 'gate', region: { x: 0, y: 0, width: 0.3, height: 0.3 } }],
  })
  const events: [string, string | null | undefined][] = []
  const problems: (string | null | undefined)[] = []
  const settings = { isEnabled: true, isSwitchedOn: true, roi: null, policy: { ...policyDefaults, consecutive: 1 } }
  const zone: Zone = new Zone({
    definition: definition!,
    classifier,
    turns: new Turns(),
    topK: 1,
    settings: () => settings,
    publisher: {
      settled: () => undefined,
      result: (_: string, { problem }: Prediction) => void problems.push(problem),
      event: (_: string, type: string, __: unknown, prediction: Prediction | null) => {
        if (type.startsWith('lens_')) events.push([type, prediction?.problem])
      },
    } as unknown as Publisher,
    metrics: createMetrics(0),
    clock: systemClock,
    cameraLens: () => lenses.finding([zone]),
    onSettled: () => undefined,
  })
  let nowMs = 0
  const show = async (frame: Frame, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await lenses.of('yard').look(frame, (nowMs += 100))
      await zone.take(frame)
    }
  }
  await show(scene(), 3)
  await show(black(), 4)
  await show(scene(), 4)
  expect(events).toEqual([
    ['lens_problem', 'black'],
    ['lens_cleared', null],
  ])
  expect(problems[0]).toBeNull()
  expect(problems[6]).toBe('black')
  await zone.close()
  lenses.close()
})

it('checks are seldom, can be switched off, and are left to a question of the camera that there is', async () => {
  const lenses = openLenses(lens)
  const watched = lenses.of('yard')
  for (let nowMs = 1; nowMs < 100; nowMs += 20) await watched.look(black(), nowMs)
  expect(watched.problem).toBeNull()
  expect(lenses.finding([{ key: 'yard/gate', camera: 'yard' }])).toBe(watched)
  expect(
    lenses.finding([
      { key: 'yard', camera: 'yard' },
      { key: 'yard/gate', camera: 'yard' },
    ]),
  ).toBeNull()
  lenses.close()
  const off = openLenses({ ...lens, watch: false })
  for (let nowMs = 0; nowMs < 1000; nowMs += 100) await off.of('yard').look(black(), nowMs)
  expect(off.of('yard').problem).toBeNull()
})
