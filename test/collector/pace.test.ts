/** How many pictures are kept in a minute and in a day. */
import { expect, it } from 'vitest'
import { Pace } from '../../src/collector/pace.js'

function taken(pace: Pace, times: readonly number[]): number[] {
  return times.filter((atMs) => {
    if (!pace.isFree(atMs)) return false
    pace.take(atMs)
    return true
  })
}

const every = (stepMs: number, count: number): number[] => Array.from({ length: count }, (_, i) => i * stepMs)

it('takes so many in any minute', () => {
  expect(taken(new Pace({ perMinute: 2, perDay: 100 }), every(10_000, 13))).toEqual([
    0, 10_000, 60_000, 70_000, 120_000,
  ])
})

it('takes so many in any day, pictures of the last run included', () => {
  const pace = new Pace({ perMinute: 60, perDay: 3 }, [-1000, -3_600_000])
  expect(taken(pace, every(60_000, 10))).toEqual([0])
  expect(pace.isFree(24 * 3_600_000 - 3_600_000)).toBe(true)
})

it('takes nothing where a limit is 0, and is free again where the clock is set back', () => {
  expect(new Pace({ perMinute: 0, perDay: 9 }).isFree(0)).toBe(false)
  expect(new Pace({ perMinute: 9, perDay: 0 }).isFree(0)).toBe(false)
  const pace = new Pace({ perMinute: 1, perDay: 2 }, [1e12, 1e12 + 1])
  expect(pace.isFree(1e12 + 2)).toBe(false)
  expect(pace.isFree(5e11)).toBe(true)
})
