/** Which pictures are worth a label. */
import { expect, it } from 'vitest'
import { Worth } from '../../src/collector/worth.js'
import type { Decision } from '../../src/decision/decision.js'
import type { Prediction } from '../../src/decision/prediction.js'

const prediction = (scores: readonly number[], isNovel = false): Prediction =>
  ({
    top: scores.map((score, index) => ({ index, label: String(index), score })),
    novelty: { distance: 1, limit: 0.5, cause: isNovel ? 'features' : null },
  }) as unknown as Prediction
const says = (label: string): Decision => ({ label }) as Decision
const never = { auditEveryMs: 0 }

it('a small lead is unsure, a clear one is not worth a label', () => {
  const worth = new Worth(never)
  expect(worth.judge(prediction([0.5, 0.4]), says('0'), 0)).toBe('unsure')
  expect(worth.judge(prediction([0.7, 0.2]), says('0'), 1)).toBeNull()
  expect(worth.judge(prediction([0.1]), says('0'), 1)).toBe('unsure')
})

it('a novel picture is worth a label even where the model is sure', () => {
  expect(new Worth(never).judge(prediction([0.9, 0.1], true), says('unknown'), 0)).toBe('novel')
})

it('a label that follows another one has changed; the first one and a return from unknown have not', () => {
  const worth = new Worth(never)
  const sure = prediction([0.9, 0.1])
  const said = ['open', 'open', 'unknown', 'open', 'closed', 'closed'].map((label) => worth.judge(sure, says(label), 0))
  expect(said).toEqual([null, null, null, null, 'changed', null])
})

it.each([1, 30])('chance picks once in the given time in the mean, at %i frames a second', (fps) => {
  let seed = 1
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647
  const worth = new Worth({ auditEveryMs: 60_000, random })
  const seconds = 60 * 400
  let picked = 0
  for (let i = 0; i < seconds * fps; i++)
    if (worth.judge(prediction([0.9, 0.1]), says('open'), (i * 1000) / fps) === 'audit') picked++
  expect(picked).toBeGreaterThan(340)
  expect(picked).toBeLessThan(460)
})
