/** Dwell times and allowed transitions, by example and for any sequence of labels. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  dwell,
  initialDwell,
  mayFollow,
  type DwellEvent,
  type DwellOptions,
  type DwellState,
} from '../../src/decision/dwell.js'

const free: DwellOptions = { dwellMs: {}, transitions: {} }

interface Seen {
  readonly nowMs: number
  readonly state: DwellState
  readonly event: DwellEvent | null
}

/** Plays labels, each with the time at which it is settled. */
function play(
  labels: readonly (readonly [string | null, number])[],
  options: DwellOptions,
  start: DwellState = initialDwell(null, 0),
): Seen[] {
  let state = start
  return labels.map(([label, nowMs]) => {
    const step = dwell(state, label, nowMs, options)
    state = step.state
    return { nowMs, ...step }
  })
}

const toldAt = (seen: readonly Seen[]): string[] =>
  seen.flatMap(({ nowMs, event }) => (event?.kind === 'told' ? [`${event.label} at ${nowMs}`] : []))
const forbidden = (seen: readonly Seen[]): string[] =>
  seen.flatMap(({ event }) => (event?.kind === 'forbidden' ? [`${event.held} to ${event.label}`] : []))

describe('dwell', () => {
  const gate: DwellOptions = { dwellMs: { open: 30_000 }, transitions: {} }

  it('a label without a dwell time is told at once, one with it when it has lasted', () => {
    const seen = play(
      [
        ['closed', 0],
        ['open', 1000],
        ['open', 30_999],
        ['open', 31_000],
        ['closed', 31_100],
      ],
      gate,
    )
    expect(toldAt(seen)).toEqual(['closed at 0', 'open at 31000', 'closed at 31100'])
  })

  it('an interruption by another label, or by unknown, begins the wait anew', () => {
    for (const other of ['closed', null]) {
      const seen = play(
        [
          ['closed', 0],
          ['open', 1000],
          [other, 20_000],
          ['open', 20_100],
          ['open', 31_000],
        ],
        gate,
      )
      expect(toldAt(seen)).toEqual(['closed at 0'])
    }
  })

  it('the told label stays while there is none', () => {
    expect(
      play(
        [
          ['closed', 0],
          [null, 1000],
        ],
        gate,
      ).at(-1)!.state.told,
    ).toBe('closed')
  })
})

describe('transitions', () => {
  const door: DwellOptions = { dwellMs: {}, transitions: { open: ['closed'], closed: ['open', 'ajar'] } }

  it('a forbidden one is told once for as long as it lasts, and changes nothing', () => {
    const seen = play(
      [
        ['open', 0],
        ['ajar', 100],
        ['ajar', 200],
        ['open', 300],
        ['ajar', 400],
      ],
      door,
    )
    expect(forbidden(seen)).toEqual(['open to ajar', 'open to ajar'])
    expect(seen.at(-1)!.state.told).toBe('open')
  })

  it('a label that is not named may be followed by all, also one that is called like a part of each object', () => {
    expect(mayFollow('ajar', 'open', door)).toBe(true)
    expect(mayFollow('constructor', 'open', door)).toBe(true)
    expect(
      toldAt(
        play(
          [
            ['toString', 0],
            ['constructor', 1],
          ],
          free,
        ),
      ),
    ).toEqual(['toString at 0', 'constructor at 1'])
  })

  it('the label from before a restart counts: what must not follow it does not', () => {
    expect(forbidden(play([['ajar', 10]], door, initialDwell('open', 0)))).toEqual(['open to ajar'])
  })
})

describe('for any labels, dwell times and transitions', () => {
  const label = fc.constantFrom('a', 'b', 'c')
  const options: fc.Arbitrary<DwellOptions> = fc.record({
    dwellMs: fc.dictionary(label, fc.integer({ min: 0, max: 3000 })),
    transitions: fc.dictionary(label, fc.array(label)),
  })
  const moments = fc
    .array(fc.tuple(fc.option(label), fc.integer({ min: 0, max: 1500 })), { minLength: 1, maxLength: 60 })
    .map((steps) => {
      let nowMs = 0
      return steps.map(([name, passed]): [string | null, number] => [name, (nowMs += passed)])
    })

  it('a told label was settled without interruption for its dwell time', () => {
    fc.assert(
      fc.property(moments, options, (labels, chosen) => {
        play(labels, chosen).forEach(({ event, nowMs }, i) => {
          if (event?.kind !== 'told') return
          let first = i
          while (first > 0 && labels[first - 1]![0] === event.label) first--
          expect(nowMs - labels[first]![1]).toBeGreaterThanOrEqual(chosen.dwellMs[event.label] ?? 0)
        })
      }),
    )
  })

  it('each told label was allowed after the one before it, and no label is told twice in a row', () => {
    fc.assert(
      fc.property(moments, options, (labels, chosen) => {
        let told: string | null = null
        for (const { event, state } of play(labels, chosen)) {
          if (event?.kind === 'told') {
            expect([event.previous, mayFollow(told, event.label, chosen), event.label === told]).toEqual([
              told,
              true,
              false,
            ])
            told = event.label
          }
          expect(state.told).toBe(told)
        }
      }),
    )
  })

  it('without dwell times and transitions each new label is told when it is settled', () => {
    fc.assert(
      fc.property(moments, (labels) => {
        const named = labels.filter(([name]) => name !== null)
        const changes = named.filter(([name], i) => name !== named[i - 1]?.[0])
        expect(toldAt(play(labels, free))).toEqual(changes.map(([name, nowMs]) => `${name} at ${nowMs}`))
      }),
    )
  })
})
