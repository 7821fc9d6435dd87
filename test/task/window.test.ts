/** A clip is made of the frames that lie where its places are in time, whatever the rate of the camera is. */
import { describe, expect, it } from 'vitest'
import { ClipWindow } from '../../src/task/video/window.js'
import { Random } from '../random.js'

const [frames, everyMs] = [8, 100]

/** Shows a window frames at these times, and gives the times of the clip after each one that is taken. */
function shown(times: Iterable<number>, window = new ClipWindow(frames, everyMs)): (number[] | string)[] {
  const slots: number[] = []
  const clips: (number[] | string)[] = []
  for (const ms of times) {
    const ns = BigInt(Math.round(ms * 1e6))
    if (!window.isDue(ns)) continue
    slots[window.next] = ms
    window.add(ns)
    clips.push(window.shortage() ?? Array.from(window.order, (slot) => slots[slot]!))
  }
  return clips
}

const ticks = (count: number, periodMs: number, startMs = 0): number[] =>
  Array.from({ length: count }, (_, i) => startMs + i * periodMs)

describe('a camera of each rate', () => {
  it('as fast as the clip: the last frames, oldest first', () => {
    const clips = shown(ticks(10, 100))
    expect(clips[6]).toBe('7 of the 8 frames of a clip')
    expect(clips[7]).toEqual(ticks(8, 100))
    expect(clips[9]).toEqual(ticks(8, 100, 200))
  })

  it('faster: as many frames are taken as the clip needs', () => {
    const clips = shown(ticks(100, 40))
    // 4 s of frames, one every 100 ms.
    expect(clips.length).toBeGreaterThanOrEqual(39)
    expect(clips.length).toBeLessThanOrEqual(41)
    for (const clip of clips.slice(8)) {
      const [first = 0, last = 0] = [(clip as number[])[0], (clip as number[]).at(-1)]
      expect(Math.abs(last - first - 700)).toBeLessThanOrEqual(40)
    }
  })

  it('slower: a frame may stand for two places', () => {
    const clip = shown(ticks(12, 150)).at(-1) as number[]
    expect(clip.at(-1)).toBe(1650)
    clip.forEach((ms, place) => expect(Math.abs(ms - (1650 - (7 - place) * 100))).toBeLessThanOrEqual(75))
  })

  it('too slow: never whole, with the reason', () => {
    const clips = shown(ticks(50, 1000))
    expect(clips).toHaveLength(50)
    expect(clips.every((clip) => typeof clip === 'string')).toBe(true)
    expect(clips.at(-1)).toBe(
      '1 of the 8 frames of a clip: frames come every 1000 ms, and a clip needs one every 100 ms, at least every 250 ms',
    )
  })
})

it('the places of a clip have frames of about their times, at any steady rate that is not much slower', () => {
  const random = new Random(5)
  for (let round = 0; round < 60; round++) {
    const window = new ClipWindow(frames, everyMs)
    const periodMs = 10 + 150 * random.next()
    let ms = 1e6 * random.next()
    const times = Array.from({ length: 200 }, () => (ms += periodMs * (0.8 + 0.4 * random.next())))
    const clips = shown(times, window).slice(2 * frames)
    expect(clips.length).toBeGreaterThan(0)
    let worst = 0
    for (const clip of clips) {
      if (typeof clip === 'string') throw new Error(`${clip} at ${periodMs} ms`)
      for (let place = 1; place < frames; place++) {
        const isInOrder = clip[place]! >= clip[place - 1]!
        const away = Math.abs(clip[place]! - (clip.at(-1)! - (frames - 1 - place) * everyMs))
        worst = Math.max(worst, isInOrder ? away : Infinity)
      }
    }
    expect(worst).toBeLessThanOrEqual(1.5 * everyMs + 1)
  }
})

it('follows a camera whose rate changes', () => {
  const times = [...ticks(20, 40), ...ticks(20, 100, 900), ...ticks(20, 160, 3000), ...ticks(30, 20, 6200)]
  const clips = shown(times).slice(frames + 1)
  expect(clips.filter((clip) => typeof clip === 'string')).toEqual([])
})

it('is whole again a clip after a gap, and starts anew when the clock goes back', () => {
  const after = shown([...ticks(8, 100), ...ticks(8, 100, 5000)])
  expect(after[7]).toBeInstanceOf(Array)
  expect(after.slice(8, 15).every((clip) => typeof clip === 'string')).toBe(true)
  expect(after[15]).toEqual(ticks(8, 100, 5000))
  const back = shown([...ticks(8, 100, 90_000), ...ticks(8, 100)])
  expect(back.slice(8, 15).every((clip) => typeof clip === 'string')).toBe(true)
  expect(back[15]).toEqual(ticks(8, 100))
})
