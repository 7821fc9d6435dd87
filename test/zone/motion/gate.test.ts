/** What a motion gate lets pass: drawn pictures with noise, light, restless parts and things that come and go. */
import { beforeEach, describe, expect, it } from 'vitest'
import { frameOf, type Frame } from '../../../src/frame.js'
import type { Point } from '../../../src/pixels/spec.js'
import { MotionGate } from '../../../src/zone/motion/gate.js'
import { Random } from '../../random.js'

const [width, height] = [96, 96]
const whole = { x: 0, y: 0, width: 1, height: 1 }
const stepMs = 100

/** A textured wall under a light, with noise, and what else is in front of it. */
interface Scene {
  readonly light?: number
  readonly offset?: number
  readonly noise?: number
  readonly thing?: { readonly x: number; readonly y: number; readonly size: number; readonly level: number }
}

/** Normal numbers: noise is read from a random place of the table. */
const normals = new Random(4).normals(1 << 16)
let random: Random
let nowMs: number

beforeEach(() => {
  random = new Random(4)
  nowMs = 0
})

function draw({ light = 1, offset = 0, noise = 2, thing }: Scene): Frame {
  const data = new Uint8Array(width * height)
  let at = random.between(0, normals.length - data.length)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const isThing = thing && Math.abs(x - thing.x) < thing.size / 2 && Math.abs(y - thing.y) < thing.size / 2
      const level = isThing ? thing.level : 110 + 50 * Math.sin(x / 5) * Math.cos(y / 7)
      data[y * width + x] = Math.max(0, Math.min(255, level * light + offset + noise * normals[at++]!))
    }
  return { ...frameOf({ data, width, height }), format: 'grey', stride: width }
}

/** Shows a gate pictures, each of which is classified when the gate asks for it; says why each was. */
function show(gate: MotionGate, count: number, sceneAt: (i: number) => Scene): (string | null)[] {
  return Array.from({ length: count }, (_, i) => {
    nowMs += stepMs
    const moved = gate.moved(draw(sceneAt(i)), nowMs)
    if (moved) gate.looked(moved, nowMs)
    return moved
  })
}

const passed = (reasons: readonly (string | null)[]): number => reasons.filter((reason) => reason !== null).length
const quiet = (): Scene => ({})
const settled = (): MotionGate => {
  const gate = new MotionGate(whole)
  show(gate, 60, quiet)
  return gate
}

describe('what is let through', () => {
  it('each picture until the first was classified', () => {
    const gate = new MotionGate(whole)
    expect([gate.moved(draw({}), 0), gate.moved(draw({}), 100)]).toEqual(['motion', 'motion'])
    gate.looked('start', 100)
    expect(show(gate, 40, quiet).slice(-10)).toEqual(Array(10).fill(null))
  })

  it('a thing that appears, in its first picture when it is large and in its second when it is small', () => {
    const large = show(settled(), 3, () => ({ thing: { x: 40, y: 40, size: 30, level: 200 } }))
    expect(large[0]).toBe('motion')
    const small = show(settled(), 3, () => ({ thing: { x: 40, y: 40, size: 7, level: 200 } }))
    expect(small.slice(0, 2)).toContain('motion')
  })

  it('a thing that goes, after it has stood there for a minute', () => {
    const gate = settled()
    const standing = show(gate, 600, () => ({ thing: { x: 40, y: 40, size: 16, level: 30 } }))
    expect(passed(standing.slice(60))).toBeLessThan(10)
    expect(show(gate, 2, quiet)).toContain('motion')
  })

  it('a thing that fades in over a minute', () => {
    const fading = show(settled(), 600, (i) => ({ thing: { x: 40, y: 40, size: 20, level: 110 + i / 6 } }))
    expect(fading).toContain('motion')
  })

  it('a lamp that is switched on, as a change of exposure', () => {
    expect(show(settled(), 1, () => ({ light: 1.3 }))).toEqual(['exposure'])
    expect(show(settled(), 1, () => ({ light: 0.9, offset: -15 }))).toEqual(['exposure'])
  })

  it('motion that never ends, again and again: a change in it waits less than a second', () => {
    const wandering = (i: number): Scene => ({ thing: { x: (i * 17) % 96, y: (i * 31) % 96, size: 12, level: 200 } })
    const reasons = show(settled(), 600, wandering)
    const gaps = reasons.map((reason, i) => (reason === null ? -1 : i)).filter((i) => i >= 0)
    const longest = Math.max(...gaps.slice(1).map((at, i) => (at - gaps[i]!) * stepMs))
    expect(longest).toBeLessThan(1000)
  })
})

describe('what is not', () => {
  it.each([0, 2, 8])('noise of %i levels', (noise) => {
    const gate = new MotionGate(whole)
    show(gate, 60, () => ({ noise }))
    expect(passed(show(gate, 600, () => ({ noise })))).toBeLessThan(12)
  })

  it('light that grows slowly, beyond a look at each eighth more', () => {
    const reasons = show(settled(), 1200, (i) => ({ light: 1 + i / 4000 }))
    expect(passed(reasons)).toBeLessThan(40)
    expect(passed(reasons)).toBeGreaterThan(1)
  })

  it('a part that moves all the time, after it was seen for half a minute; a change elsewhere is seen at once', () => {
    const flag = (i: number): Scene => ({ thing: { x: 80 + 4 * Math.sin(i / 2), y: 20, size: 16, level: 160 } })
    const gate = new MotionGate(whole)
    show(gate, 300, flag)
    expect(passed(show(gate, 300, flag))).toBeLessThan(90)
    const both = (i: number): Scene => (i < 0 ? flag(i) : { thing: { x: 30, y: 60, size: 20, level: 230 } })
    expect(show(gate, 2, both)).toContain('motion')
  })

  it('what happens outside of a polygon', () => {
    const left: Point[] = [
      [0, 0],
      [0.5, 0],
      [0.5, 1],
      [0, 1],
      [0, 0.5],
    ]
    const triangle: Point[] = [
      [0, 0],
      [1, 0],
      [0, 1],
    ]
    for (const [shape, thing] of [
      [left, { x: 70, y: 50, size: 20, level: 240 }],
      [triangle, { x: 84, y: 84, size: 12, level: 240 }],
    ] as const) {
      const gate = new MotionGate(shape)
      show(gate, 60, quiet)
      expect(passed(show(gate, 10, () => ({ thing })))).toBe(0)
    }
  })
})

it('forgets what it knew when the camera was away, and when the region changes', () => {
  for (const forget of [(gate: MotionGate) => gate.reset(), (gate: MotionGate) => gate.changeView(whole)]) {
    const gate = settled()
    forget(gate)
    expect(show(gate, 1, quiet)).toEqual(['motion'])
  }
})
