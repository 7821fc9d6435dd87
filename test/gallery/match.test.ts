/** The threshold of a gallery. */
import { expect, it } from 'vitest'
import { calibrate, matches } from '../../src/gallery/match.js'

const at = (degrees: number): Float32Array =>
  Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180))
const names = [
  { name: 'a', vectors: [at(0), at(5), at(10)] },
  { name: 'b', vectors: [at(90), at(95)] },
]

it('the nearest picture decides', () => {
  expect(matches(at(20), names).map(({ name }) => name)).toEqual(['a', 'b'])
  expect(matches(at(60), names)[0]).toMatchObject({ name: 'b' })
})

it('the threshold lies above the impostors and below the genuine pictures where they are apart', () => {
  const others = Array.from({ length: 40 }, (_, i) => at(180 + i))
  const found = calibrate({ names, others, rate: 0.01, usual: null })
  expect(found).toMatchObject({ genuine: 5, rejected: 0, impostors: 45, accepted: 0 })
  expect(found.threshold).toBeGreaterThan(Math.cos((80 * Math.PI) / 180))
  expect(found.threshold).toBeLessThan(Math.cos((5 * Math.PI) / 180))
})

it('no more impostors pass than asked where they overlap with the names', () => {
  const others = Array.from({ length: 100 }, (_, i) => at(i / 10))
  const found = calibrate({ names, others, rate: 0.1, usual: null })
  expect(found.accepted).toBeLessThanOrEqual(11)
})

it("few impostors do not lower the makers' threshold, and none leave it", () => {
  expect(calibrate({ names, others: [], rate: 0.01, usual: 0.82 }).threshold).toBeGreaterThanOrEqual(0.82)
  expect(calibrate({ names: names.slice(0, 1), others: [], rate: 0.01, usual: 0.82 }).threshold).toBe(0.82)
})
