/** A camera's view over time: when it is looked for, what it is followed to, and which views are kept. */
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../src/frame.js'
import { mostViews, type ReferenceViews } from '../../src/lens/references.js'
import { ViewWatch } from '../../src/lens/view-watch.js'
import { draw } from './blots.js'

function watching(views: ReferenceViews = []): {
  readonly watch: ViewWatch
  readonly kept: ReferenceViews[]
  /** Shows frames a quarter of a second apart, and says the state after the last. */
  show(frame: Frame, times?: number): string
  wait(ms: number): void
} {
  const kept: ReferenceViews[] = []
  const watch = new ViewWatch({ views, onViews: (now) => kept.push(now), wall: () => 1_700_000_000_000 + nowMs })
  let nowMs = 0
  return {
    watch,
    kept,
    show(frame, times = 1) {
      for (let i = 0; i < times; i++) watch.observe(frame, (nowMs += 250))
      return watch.seen.state
    },
    wait: (ms) => void (nowMs += ms),
  }
}

/** The left part of one picture over another. */
function behind(frame: Frame, other: Frame, share: number): Frame {
  const pixels = Uint8Array.from(frame.pixels as Uint8Array)
  const wide = Math.round(frame.width * share)
  for (let y = 0; y < frame.height; y++)
    pixels.set((other.pixels as Uint8Array).subarray(y * frame.stride, y * frame.stride + wide), y * frame.stride)
  return { ...frame, pixels }
}

const black = (): Frame => ({ ...draw(0, 0), pixels: new Uint8Array(320 * 180).fill(3) })
const otherScene = draw(0, 0, 1, 8)

describe('the view of a camera', () => {
  it('is the first picture that shows something, and is held', () => {
    const { show, kept, watch } = watching()
    expect(show(black())).toBe('starting')
    expect(show(draw(0, 0))).toBe('held')
    expect(kept).toHaveLength(1)
    expect(watch.seen.place).toMatchObject({ a: 1, b: 0, dx: 0, dy: 0 })
  })

  it('is followed when the camera is pushed, at the very frame in which most of the picture differs', () => {
    const { show, watch, wait } = watching()
    show(draw(0, 0), 2)
    wait(250)
    expect(show(draw(20, -9))).toBe('held')
    expect(watch.seen.place.dx).toBeCloseTo(20 / 320, 2)
    expect(watch.seen.place.dy).toBeCloseTo(-9 / 180, 2)
  })

  it('stays the same object while nothing moves, so what follows it is not made anew', () => {
    const { show, watch } = watching()
    show(draw(0, 0))
    const { seen } = watch
    show(draw(0, 0, 0.9), 20)
    expect(watch.seen).toBe(seen)
  })

  it('has moved when another scene is seen for three looks, never at once, and is found again', () => {
    const { show } = watching()
    show(draw(0, 0), 2)
    expect([show(otherScene), show(otherScene), show(otherScene)]).toEqual(['checking', 'checking', 'moved'])
    expect(show(black(), 3)).toBe('moved')
    expect(show(draw(2, 1))).toBe('held')
  })

  it('has moved beyond its bounds', () => {
    const { show } = watching()
    show(draw(0, 0), 2)
    expect(show(draw(60, 0), 3)).toBe('moved')
  })

  it('is held while two thirds of it are behind something', () => {
    const { show, watch } = watching()
    show(draw(0, 0), 2)
    expect(show(behind(draw(0, 0, 1.05), otherScene, 0.65), 8)).toBe('held')
    expect(watch.seen.place.dx).toBeCloseTo(0, 2)
  })

  it('is unsure in a black picture, where the last place stands', () => {
    const { show, watch } = watching()
    show(draw(0, 0))
    show(draw(12, 0))
    const { place } = watch.seen
    expect(show(black(), 5)).toBe('unsure')
    expect(watch.seen.place).toBe(place)
    expect(show(draw(12, 0))).toBe('held')
  })

  it('is looked for at the first frame after a start, in the views that were kept', () => {
    const first = watching()
    first.show(draw(0, 0))
    const again = watching(first.kept.at(-1))
    expect(again.show(draw(16, 0))).toBe('held')
    expect(again.watch.seen.place.dx).toBeCloseTo(16 / 320, 2)
    const elsewhere = watching(first.kept.at(-1))
    expect(elsewhere.show(otherScene)).toBe('checking')
  })

  it('that was taken of nothing gives way to one that shows something', () => {
    const { show, kept } = watching()
    const flat = draw(0, 0)
    // A ramp: levels differ, and there is nothing to find again.
    const ramp = { ...flat, pixels: Uint8Array.from({ length: 320 * 180 }, (_, i) => 40 + (i % 320) / 4) }
    show(ramp, 2)
    expect(show(draw(0, 0), 4)).toBe('held')
    expect(kept.at(-1)).toHaveLength(1)
    expect(show(otherScene, 3)).toBe('moved')
  })
})

describe('views of the same place', () => {
  it('in other light are kept beside the first, seldom, and a place is the same by all of them', () => {
    const { show, wait, kept, watch } = watching()
    show(draw(0, 0))
    for (const gain of [0.5, 0.25, 0.2, 0.5, 1, 0.3]) {
      wait(700_000)
      expect(show(draw(10, 0, gain), 2)).toBe('held')
      expect(watch.seen.place.dx).toBeCloseTo(10 / 320, 2)
    }
    const views = kept.at(-1)!
    expect(views.length).toBeGreaterThanOrEqual(3)
    expect(views.length).toBeLessThanOrEqual(mostViews)
    expect(views[0]).toMatchObject({ steps: 0, place: { dx: 0 } })
    expect(kept.length).toBeLessThanOrEqual(7)
  })
})

describe('a view that is accepted', () => {
  it('is the one that regions belong to', () => {
    const { show, watch } = watching()
    show(draw(0, 0), 2)
    show(otherScene, 3)
    watch.accept(false)
    expect(show(otherScene)).toBe('held')
    expect(watch.views).toHaveLength(1)
    expect(show(draw(0, 0), 3)).toBe('moved')
  })

  it('as the same is kept beside the others, at the place where the view was', () => {
    const { show, watch } = watching()
    show(draw(0, 0))
    show(draw(10, 0))
    show(otherScene, 3)
    watch.accept(true)
    expect(show(otherScene)).toBe('held')
    expect(watch.seen.place.dx).toBeCloseTo(10 / 320, 2)
    expect(watch.views).toHaveLength(2)
    expect(show(draw(4, 0))).toBe('held')
    expect(watch.seen.place.dx).toBeCloseTo(4 / 320, 2)
  })
})
