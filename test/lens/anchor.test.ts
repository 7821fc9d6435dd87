/** Following small moves of a camera: what is judged, and how well places are found on photographs. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { frameOf, type Frame } from '../../src/frame.js'
import {
  anchorSide,
  createAnchor,
  judgeView,
  viewOfFrame,
  type Anchor,
  type AnchorMeasure,
} from '../../src/lens/anchor.js'
import { projectRoot, sharedFolder } from '../shared.js'
import { draw } from './blots.js'

const still = { a: 1, b: 0, dx: 0, dy: 0, aspect: 4 / 3 }
const good: AnchorMeasure = { place: still, correlation: 0.9, agreeing: 0.95, rival: 0.1, textured: 50 }
const turn = (degrees: number): AnchorMeasure['place'] => ({
  ...still,
  a: Math.cos((degrees * Math.PI) / 180),
  b: Math.sin((degrees * Math.PI) / 180),
})

describe('a measurement', () => {
  it('within the bounds holds, and its place is told', () => {
    const place = { ...turn(5), dx: 0.1, dy: -0.1 }
    expect(judgeView({ ...good, place })).toEqual({ state: 'held', place, correlation: 0.9, isSure: true })
  })

  it.each<[string, Partial<AnchorMeasure>]>([
    ['a shift of 12 %', { place: { ...still, dx: 0.12 } }],
    ['a shift of 12 % of the height', { place: { ...still, dy: -0.12 } }],
    ['a turn of 7°', { place: turn(-7) }],
    ['a zoom of 1.15', { place: { ...still, a: 1.15 } }],
    ['another scene', { correlation: 0.2, agreeing: 0.1 }],
    ['most of the view behind something', { agreeing: 0.3 }],
    ['a pattern that repeats', { rival: 0.85 }],
  ])('%s is moved', (_, measure) => {
    expect(judgeView({ ...good, ...measure })).toEqual({ state: 'moved' })
  })

  it('of a picture with nothing to compare says that it is unsure', () => {
    expect(judgeView({ ...good, textured: 3 })).toEqual({ state: 'unsure' })
  })
})

function anchorOn(frame: Frame): Anchor {
  const anchor = createAnchor(viewOfFrame(frame))
  if ('reason' in anchor) throw new Error(anchor.reason)
  return anchor
}

describe('a camera', () => {
  it('that was pushed is followed step by step, and back, in other light', () => {
    const anchor = anchorOn(draw(0, 0))
    for (const [dx, dy, gain] of [
      [0, 0, 1],
      [6, -4, 0.5],
      [20, 10, 1.2],
      [30, -15, 0.7],
      [0, 0, 1],
    ] as const) {
      const found = anchor.look(draw(dx, dy, gain))
      expect(found).toMatchObject({ state: 'held' })
      if (found.state !== 'held') continue
      expect(found.place.dx).toBeCloseTo(dx / 320, 2)
      expect(found.place.dy).toBeCloseTo(dy / 180, 2)
    }
  })

  it('that was pushed too far, covered or switched to another scene is not held; a dark picture is unsure', () => {
    const anchor = anchorOn(draw(0, 0))
    expect(anchor.look(draw(80, 0)).state).not.toBe('held')
    const flat = {
      ...frameOf({ data: new Uint8Array(320 * 180).fill(3), width: 320, height: 180 }),
      format: 'grey' as const,
      stride: 320,
    }
    expect(anchor.look(flat).state).not.toBe('held')
    expect(anchorOn(flat).look(draw(0, 0))).toEqual({ state: 'unsure' })
    expect(anchor.look(draw(0, 0)).state).toBe('held')
  })

  it('has a view of at most 160 pixels, in its proportions', () => {
    const { width, height, levels } = viewOfFrame(draw(0, 0))
    expect([width, height, levels.length]).toEqual([anchorSide, 90, anchorSide * 90])
  })
})

const shared = sharedFolder()

it.skipIf(shared === null)(
  'on photographs by day, darkened, noisy and blurred the place is right in 95 of 100, and never silently wrong',
  { timeout: 120_000 },
  () => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [join(projectRoot, 'scripts/bench/anchor.mjs'), '--count', '5', '--shared', shared!, '--json'],
      { encoding: 'utf8' },
    )
    expect(status, stderr).toBe(0)
    const { followed, strangers } = JSON.parse(stdout) as {
      readonly followed: { readonly views: number; readonly within: number; readonly wrong: number }
      readonly strangers: { readonly views: number; readonly held: number }
    }
    expect(followed.views).toBe(65)
    expect(followed.within / followed.views).toBeGreaterThanOrEqual(0.95)
    expect(followed.wrong).toBe(0)
    expect(strangers.views).toBeGreaterThan(25)
    expect(strangers.held).toBe(0)
  },
)
