/** What is asked of decoders, streams and devices for the zones that look. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  jpegShrink,
  scaleNeeded,
  shrunkSize,
  smallestMode,
  streamSize,
  type PictureNeed,
} from '../../src/camera/decode-size.js'

const fullHd = { width: 1920, height: 1080 }
const whole = { x: 0, y: 0, width: 1, height: 1 }
const input = (more: Partial<PictureNeed> = {}): PictureNeed => ({
  roi: whole,
  resize: 'stretch',
  width: 224,
  height: 224,
  ...more,
})

describe('the scale that zones need', () => {
  it('is the greatest of them, and never above 1', () => {
    expect(scaleNeeded(fullHd, [input()])).toBeCloseTo(224 / 1080)
    const small = input({ roi: { x: 0, y: 0, width: 0.25, height: 0.5 } })
    expect(scaleNeeded(fullHd, [input(), small])).toBeCloseTo(224 / 480)
    expect(scaleNeeded(fullHd, [input({ roi: { x: 0, y: 0, width: 0.05, height: 0.05 } })])).toBe(1)
  })

  it('is 1 while nothing is known of the zones', () => {
    expect(scaleNeeded(fullHd, [])).toBe(1)
  })

  it('fills the longer side only where the picture is contained', () => {
    expect(scaleNeeded(fullHd, [input({ resize: 'contain' })])).toBeCloseTo(224 / 1920)
  })

  it('knows that a turned picture has its width in its height', () => {
    const tall = input({ width: 96, height: 192 })
    expect(scaleNeeded(fullHd, [tall])).toBeCloseTo(192 / 1080)
    expect(scaleNeeded(fullHd, [{ ...tall, rotate: 90 }])).toBeCloseTo(192 / 1920)
  })

  it('no zone enlarges its part of the shrunk JPEG, and the next smaller one would be enlarged by some', () => {
    const share = fc.double({ min: 0.02, max: 1, noNaN: true })
    const need = fc.record({
      roi: fc.record({ x: fc.constant(0), y: fc.constant(0), width: share, height: share }),
      resize: fc.constantFrom('cover' as const, 'stretch' as const),
      width: fc.integer({ min: 16, max: 512 }),
      height: fc.integer({ min: 16, max: 512 }),
    })
    const side = fc.integer({ min: 64, max: 4096 })
    fc.assert(
      fc.property(fc.array(need, { minLength: 1, maxLength: 5 }), side, side, (needs, width, height) => {
        const shrink = jpegShrink(scaleNeeded({ width, height }, needs))
        const isEnlarged = (by: number): boolean =>
          needs.some(
            (n) => (n.roi.width * width) / by < n.width - 1e-6 || (n.roi.height * height) / by < n.height - 1e-6,
          )
        expect(shrink > 1 && isEnlarged(shrink)).toBe(false)
        expect(shrink < 8 && !isEnlarged(shrink * 2)).toBe(false)
      }),
    )
  })
})

it('a JPEG of 1080 rows for one network of 224 is decoded at a quarter', () => {
  const shrink = jpegShrink(scaleNeeded(fullHd, [input()]))
  expect([shrink, shrunkSize(fullHd, shrink)]).toEqual([4, { width: 480, height: 270 }])
  expect(shrunkSize({ width: 1921, height: 1081 }, 8)).toEqual({ width: 241, height: 136 })
})

it('a stream is scaled to even sides, and only where that saves a quarter of the pixels', () => {
  expect(streamSize(fullHd, 224 / 1080)).toEqual({ width: 400, height: 224 })
  expect(streamSize(fullHd, 0.9)).toBeNull()
  expect(streamSize(fullHd, 1)).toBeNull()
  expect(streamSize({ width: 641, height: 481 }, 0.5)).toEqual({ width: 322, height: 242 })
})

describe('a device', () => {
  const modes = [
    { width: 320, height: 180 },
    { width: 320, height: 240 },
    { width: 640, height: 360 },
    { width: 640, height: 480 },
    { width: 1920, height: 1080 },
  ]

  it('runs in the smallest mode that serves and shows the same part of the scene', () => {
    expect(smallestMode(modes, fullHd, 224 / 1080)).toEqual({ width: 640, height: 360 })
    expect(smallestMode(modes, fullHd, 0.1)).toEqual({ width: 320, height: 180 })
  })

  it('keeps its mode where none serves', () => {
    expect(smallestMode(modes, fullHd, 0.8)).toEqual(fullHd)
    expect(smallestMode([], { width: 640, height: 480 }, 0.1)).toEqual({ width: 640, height: 480 })
  })
})
