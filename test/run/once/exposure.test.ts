/** When the exposure of a camera that was just opened has settled. */
import { expect, it } from 'vitest'
import { frameOf } from '../../../src/frame.js'
import { brightnessMeter, Exposure } from '../../../src/run/once/exposure.js'

/** The time at which it settles for pictures of these levels, one each 100 ms; null: never. */
function settledMs(levels: readonly number[]): number | null {
  const exposure = new Exposure()
  const at = levels.findIndex((level, i) => exposure.isSettled(level, i * 100))
  return at < 0 ? null : at * 100
}

it('the exposure settles when the brightness stays for 400 ms', () => {
  expect(settledMs(Array.from({ length: 20 }, () => 90))).toBe(400)
  expect(settledMs([10, 40, 80, 100, 110, 112, 113, 113, 113, 112, 112])).toBe(800)
})

it('a picture that grows brighter slowly, or flickers, does not settle', () => {
  expect(settledMs(Array.from({ length: 40 }, (_, i) => 3 * i))).toBeNull()
  expect(settledMs(Array.from({ length: 40 }, (_, i) => (i % 2) * 20))).toBeNull()
})

it('the brightness is the mean of all pixels', () => {
  const pixels = new Uint8Array(32 * 32 * 3).map((_, i) => (i < 32 * 16 * 3 ? 200 : 100))
  const frame = frameOf({ data: pixels, width: 32, height: 32 })
  expect(brightnessMeter()(frame)).toBeCloseTo(150, 0)
})
