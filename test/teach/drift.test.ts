import { expect, it } from 'vitest'
import { DriftWatch } from '../../src/teach/drift.js'

const usual = { distance: 0.1, score: 0.95 }
const minute = 60_000
const novel = { distance: 0.5, limit: 0.3, cause: 'features' } as const
const far = { distance: 0.28, limit: 0.3, cause: null }
const near = { distance: 0.12, limit: 0.3, cause: null }

/** Looks once a minute; returns after how many minutes it has drifted, null for never. */
function driftAfter(watch: DriftWatch, minutes: number, look: (minute: number) => [typeof novel | typeof far, number]) {
  let first: number | null = null
  for (let m = 0; m < minutes; m++) {
    const [novelty, score] = look(m)
    watch.observe(novelty, score, m * minute)
    if (watch.isDrifted) first ??= m
  }
  return first
}

it.each([
  ['novel pictures', (): [typeof novel, number] => [novel, 0.95]],
  ['pictures at the edge of what was taught', (): [typeof far, number] => [far, 0.95]],
  ['unsure answers', (): [typeof far, number] => [near, 0.5]],
])('%s for most of an hour are drift', (_, look) => {
  const after = driftAfter(new DriftWatch(usual), 60, look)
  expect(after).toBeGreaterThan(30)
  expect(after).toBeLessThan(45)
})

it('a person who stands before the camera for twenty minutes is no drift, nor one look in three', () => {
  expect(driftAfter(new DriftWatch(usual), 120, (m) => [m > 30 && m < 50 ? novel : near, 0.95])).toBeNull()
  expect(driftAfter(new DriftWatch(usual), 600, (m) => [m % 3 === 0 ? novel : near, 0.95])).toBeNull()
})

it('it is over when the pictures are usual again', () => {
  const watch = new DriftWatch(usual)
  driftAfter(watch, 60, () => [novel, 0.95])
  for (let m = 60; m < 90; m++) watch.observe(near, 0.95, m * minute)
  expect(watch.isDrifted).toBe(false)
})
