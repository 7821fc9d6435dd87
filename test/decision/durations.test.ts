/** Time in state against a ledger: any labels, clocks that are set, and kills between two writes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  count,
  keptDurationsSchema,
  keptOf,
  momentOf,
  present,
  resume,
  type Durations,
  type Period,
} from '../../src/decision/durations.js'

const start = Date.UTC(2026, 10, 29, 12)
const at = (nowMs: number, wallMs: number = start + nowMs): ReturnType<typeof momentOf> =>
  momentOf(nowMs, wallMs, 'UTC')
const begin = (): Durations => resume(null, at(0))
const sumOf = (periods: readonly Period[]): number =>
  periods.flatMap(({ states }) => Object.values(states)).reduce((sum, { ms }) => sum + ms, 0)

it('counts time and entries of each state in the hour and the day', () => {
  let durations = begin()
  for (const [label, nowMs] of [
    ['open', 0],
    ['open', 1000],
    ['closed', 1500],
    ['open', 4000],
    ['open', 5000],
  ] as const)
    durations = count(durations, label, at(nowMs))
  expect(durations.inStateMs).toBe(1000)
  expect(present(durations.hours)).toEqual({ open: { ms: 2500, entries: 2 }, closed: { ms: 2500, entries: 1 } })
  expect(present(durations.days)).toEqual(present(durations.hours))
  expect(durations.hours.map(({ name }) => name)).toEqual(['2026-11-29T12'])
})

it('begins anew with each hour and day, while the state goes on', () => {
  const hourMs = 3_600_000
  let durations = count(begin(), 'open', at(0))
  for (let nowMs = 0; nowMs <= 13 * hourMs; nowMs += 60_000) durations = count(durations, 'open', at(nowMs))
  expect(durations.inStateMs).toBe(13 * hourMs)
  expect(present(durations.hours)).toEqual({ open: { ms: 60_000, entries: 0 } })
  expect(durations.days.map(({ name, states }) => [name, states['open']!.ms])).toEqual([
    ['2026-11-29', 12 * hourMs - 60_000],
    ['2026-11-30', hourMs + 60_000],
  ])
})

it('names hours and days by the clock on the wall of the zone, also when that is put back', () => {
  expect(momentOf(0, Date.UTC(2026, 11, 31, 23, 30), 'Europe/Zurich')).toEqual({
    nowMs: 0,
    day: '2027-01-01',
    hour: '2027-01-01T00',
  })
  expect(momentOf(0, Date.UTC(2026, 0, 1), 'UTC').hour).toBe('2026-01-01T00')
})

it('a board that boots in the past goes on with its day when its clock is set', () => {
  const before = count(count(begin(), 'open', at(0)), 'open', at(60_000))
  let after = resume(keptOf(before), at(0, 0))
  after = count(after, 'open', at(1000, 1000))
  after = count(after, 'open', at(3000, start + 120_000))
  expect(present(after.days)).toEqual({ open: { ms: 62_000, entries: 1 } })
  expect(after.inStateMs).toBe(63_000)
})

describe('for any labels, steps of the wall clock and kills', () => {
  const step = fc.record({
    label: fc.option(fc.constantFrom('a', 'b', '__proto__', '3')),
    passedMs: fc.integer({ min: 0, max: 5000 }),
    wallStepMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -200_000_000, max: 200_000_000 })),
    fate: fc.oneof({ weight: 6, arbitrary: fc.constant('runs') }, fc.constantFrom('kept', 'killed')),
  })

  it('no millisecond is counted twice or lost but those after the last write before a kill', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let [nowMs, wallMs, inStateMs, label] = [0, start, 0, null as string | null]
        let durations = begin()
        let kept = { durations: keptOf(durations), inStateMs, label }
        for (const { label: next, passedMs, wallStepMs, fate } of steps) {
          nowMs += passedMs
          wallMs += passedMs + wallStepMs
          const moment = at(nowMs, wallMs)
          const before = { hours: sumOf(durations.hours), kept: durations.hours.length }
          durations = count(durations, next, moment)
          inStateMs = next === label ? inStateMs + passedMs : 0
          // The counted time is that of the label before, to the millisecond, in exactly one hour and one day.
          if (durations.hours.length >= before.kept && before.kept < 3)
            expect(sumOf(durations.hours) - before.hours).toBe(label === null ? 0 : passedMs)
          label = next
          expect([durations.label, durations.inStateMs]).toEqual([label, inStateMs])
          if (fate === 'kept') kept = { durations: keptOf(durations), inStateMs, label }
          if (fate === 'killed') {
            const read = keptDurationsSchema.parse(JSON.parse(JSON.stringify(kept.durations)))
            nowMs = 17
            durations = resume(read, at(nowMs, wallMs))
            ;({ inStateMs, label } = kept)
          }
        }
      }),
    )
  })

  it('the monotonic clock never makes time negative', () => {
    const durations = count(count(begin(), 'a', at(5000)), 'a', at(1000, start))
    expect([durations.inStateMs, durations.countedMs]).toEqual([0, 5000])
  })
})
