/** The deadline for the next frame follows the rate that was measured. */
import { expect, it } from 'vitest'
import { Rhythm } from '../../../src/run/cameras/rhythm.js'

it('the limit is the configured one for a fast camera, and three gaps for a slow one', () => {
  const rhythm = new Rhythm()
  expect(rhythm.limitMs(2000)).toBe(15_000)
  rhythm.frame(0)
  rhythm.frame(100)
  expect(rhythm.limitMs(2000)).toBe(2000)
  rhythm.frame(5100)
  expect(rhythm.limitMs(2000)).toBe(15_000)
  for (let i = 1; i <= 4; i++) rhythm.frame(5100 + i * 100)
  expect(rhythm.limitMs(2000)).toBe(2000)
})

it('the time while a camera is closed is no gap', () => {
  const rhythm = new Rhythm()
  rhythm.frame(0)
  rhythm.frame(100)
  rhythm.interrupt()
  rhythm.frame(60_000)
  expect(rhythm.limitMs(1000)).toBe(1000)
})
