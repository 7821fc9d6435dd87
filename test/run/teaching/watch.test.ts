import { expect, it } from 'vitest'
import type { Prediction } from '../../../src/decision/prediction.js'
import { TaughtWatch } from '../../../src/run/teaching/watch.js'

const usual = { distance: 0.1, score: 0.95 }
const looked = (cause: 'features' | null): Prediction =>
  ({
    top: [{ index: 0, label: 'open', score: 0.95 }],
    novelty: { distance: cause === null ? 0.12 : 0.5, limit: 0.3, cause },
  }) as unknown as Prediction

it('a zone that sees new things for half an hour needs teaching, with at most four examples, until a new head serves', async () => {
  let nowMs = 0
  let [taken, changes] = [0, 0]
  const watch = new TaughtWatch({
    clock: { now: () => nowMs, wall: () => 1e12 + nowMs },
    picture: () => Promise.resolve(Buffer.from([taken++])),
    onChange: () => changes++,
  })
  watch.watch('cam0/gate', usual, 'first')
  for (; nowMs < 3_600_000; nowMs += 60_000) watch.looked('cam0/gate', looked('features'))
  await new Promise(setImmediate)
  expect(changes).toBe(1)
  expect(taken).toBeGreaterThan(4)
  const drifted = watch.drifted('cam0/gate')!
  expect(drifted).toMatchObject({ examples: 4 })
  expect(drifted.sinceMs).toBeGreaterThan(1e12 + 1_800_000)
  // The newest four are kept.
  expect(watch.example('cam0/gate', 3)).toEqual(Buffer.from([taken - 1]))
  expect(watch.example('cam0/gate', 4)).toBeNull()

  watch.watch('cam0/gate', usual, 'first')
  expect(watch.drifted('cam0/gate')).not.toBeNull()
  watch.watch('cam0/gate', usual, 'second')
  expect(watch.drifted('cam0/gate')).toBeNull()
})
