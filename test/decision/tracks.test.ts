/** Boxes that overlap from frame to frame are one thing; what leaves is one visit. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Box } from '../../src/decision/task.js'
import {
  endTracks,
  follow,
  noTracks,
  overlapOfBoxes,
  trackDefaults,
  voted,
  type Tracks,
} from '../../src/decision/tracks.js'
import type { Visit } from '../../src/decision/task.js'

const boxAt = (x: number, y: number, label = 'cat', score = 0.8): Box => ({
  x,
  y,
  width: 0.2,
  height: 0.2,
  label,
  index: 0,
  score,
})

/** Follows one list of boxes every 100 ms. */
function run(frames: readonly (readonly Box[])[], stepMs = 100): { tracks: Tracks; ids: number[][]; ended: Visit[] } {
  let tracks = noTracks
  const [ids, ended]: [number[][], Visit[]] = [[], []]
  frames.forEach((boxes, i) => {
    const step = follow(tracks, boxes, i * stepMs, trackDefaults)
    tracks = step.tracks
    ids.push(step.boxes.map(({ track }) => track!))
    ended.push(...step.ended)
  })
  return { tracks, ids, ended }
}

const nothing = (count: number): Box[][] => Array.from({ length: count }, () => [])

describe('tracks', () => {
  it('a thing that crosses the picture keeps its number, also when it moves by half of its size', () => {
    const { ids } = run(Array.from({ length: 8 }, (_, i) => [boxAt(0.02 * i * Math.min(i, 5), 0.4)]))
    expect(new Set(ids.flat())).toEqual(new Set([1]))
  })

  it('two things that pass each other keep theirs', () => {
    const { ids } = run(Array.from({ length: 17 }, (_, i) => [boxAt(0.05 * i, 0.3), boxAt(0.8 - 0.05 * i, 0.42)]))
    expect(new Set(ids.map((each) => each.join()))).toEqual(new Set(['1,2']))
  })

  it('one that is not seen for a moment keeps it; one that left is a visit and comes back as another', () => {
    const there = Array.from({ length: 5 }, () => [boxAt(0.5, 0.5)])
    const { ids, ended } = run([...there, ...nothing(10), ...there, ...nothing(25), ...there])
    expect(ids.flat()).toEqual([...new Array<number>(10).fill(1), ...new Array<number>(5).fill(2)])
    expect(ended).toEqual([{ track: 1, label: 'cat', score: 0.8, beginMs: 0, endMs: 1900, looks: 10 }])
  })

  it('a box of one or two pictures is no visit; all visits end with the camera', () => {
    const { tracks, ended } = run([[boxAt(0, 0)], [boxAt(0, 0)], ...nothing(40), [boxAt(0.5, 0.5)]])
    expect(ended).toEqual([])
    expect(endTracks(tracks, trackDefaults).ended).toEqual([])
    expect(endTracks(tracks, { ...trackDefaults, consecutive: 1 }).ended).toHaveLength(1)
  })

  it('a label with enough of a lead is final', () => {
    let votes: Parameters<typeof voted>[0] = { votes: new Map(), locked: null }
    for (const label of ['cat', 'dog', 'cat', 'cat', 'cat']) votes = voted(votes, { label, score: 0.9 }, 2)
    expect(votes.locked).toBe('cat')
    for (let i = 0; i < 20; i++) votes = voted(votes, { label: 'dog', score: 1 }, 2)
    expect(votes.locked).toBe('cat')
  })
})

const share = fc.double({ min: 0, max: 0.7, noNaN: true })
const boxes = fc.array(
  fc.record({ x: share, y: share, label: fc.constantFrom('cat', 'dog') }).map(({ x, y, label }) => boxAt(x, y, label)),
  { maxLength: 5 },
)

describe('whatever the boxes are', () => {
  it('no number is given twice in a frame, none comes back after its end, and no visit is lost', () => {
    fc.assert(
      fc.property(fc.array(boxes, { maxLength: 40 }), (frames) => {
        const { tracks, ids, ended } = run(frames, 250)
        for (const each of ids) expect(new Set(each).size).toBe(each.length)
        const looks = new Map<number, number>()
        for (const id of ids.flat()) looks.set(id, (looks.get(id) ?? 0) + 1)
        const all = [...ended, ...endTracks(tracks, trackDefaults).ended]
        const visits = [...looks].filter(([, count]) => count >= trackDefaults.consecutive)
        expect(all.map(({ track, looks: count }) => [track, count]).sort()).toEqual(visits.sort())
        for (const { track } of ended) expect(tracks.all.some(({ id }) => id === track)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  it('overlap is 1 with itself, symmetric, and within 0 and 1', () => {
    fc.assert(
      fc.property(share, share, share, share, (ax, ay, bx, by) => {
        const [a, b] = [boxAt(ax, ay), boxAt(bx, by)]
        expect(overlapOfBoxes(a, a)).toBeCloseTo(1, 9)
        expect(overlapOfBoxes(a, b)).toBeCloseTo(overlapOfBoxes(b, a), 12)
        expect(overlapOfBoxes(a, b)).toBeLessThanOrEqual(1 + 1e-9)
      }),
      { numRuns: 60 },
    )
  })
})
