/** Frame rates over a moving window, on a clock that the test sets. */
import { expect, it } from 'vitest'
import { createFrameRates } from '../../src/server/rates.js'

it('the rate is zero in the first half second, then the mean of the last seconds', () => {
  const cameras = [{ frames: 0 }, { frames: 100 }]
  let nowMs = 0
  const rates = createFrameRates(cameras, () => nowMs)
  rates.count()
  nowMs = 400
  cameras[0]!.frames = 4
  expect(rates.of(0)).toBe(0)
  nowMs = 1000
  cameras[0]!.frames = 10
  cameras[1]!.frames = 125
  expect([rates.of(0), rates.of(1), rates.total()]).toEqual([10, 25, 35])
})

it('a camera that stops reaches zero when the window has passed', () => {
  const camera = { frames: 0 }
  let nowMs = 0
  const rates = createFrameRates([camera], () => nowMs)
  for (; nowMs <= 10_000; nowMs += 1000) {
    if (nowMs <= 4000) camera.frames += 20
    rates.count()
  }
  expect(rates.total()).toBe(0)
})
