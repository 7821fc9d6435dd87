/** Time in states: counted by the monotonic clock, kept over restarts, and not counted while nothing is known. */
import { describe, expect, it } from 'vitest'
import { undecided, type Decision } from '../../src/decision/decision.js'
import type { KeptDurations } from '../../src/decision/durations.js'
import { Answer } from '../../src/zone/answer.js'

const noon = Date.UTC(2026, 0, 5, 12, 0, 0)
const known = (label: string): Decision => {
  const { reason: _, ...rest } = undecided(0)
  return { ...rest, label, index: 0, score: 1 }
}

function rig(kept: KeptDurations | null = null) {
  const clock = { nowMs: 0, wallMs: noon, now: () => clock.nowMs, wall: () => clock.wallMs }
  const stored: { value: KeptDurations | null; urgent: number } = { value: kept, urgent: 0 }
  const answer = new Answer(
    {
      dwell: { dwellMs: {}, transitions: {} },
      timezone: 'UTC',
      clock,
      tallies: {
        kept,
        keep(value, isUrgent) {
          stored.value = value
          if (isUrgent) stored.urgent++
        },
      },
    },
    undecided(0),
  )
  /** Says a decision, then lets seconds pass with a tick each. */
  const spend = (decision: Decision, seconds: number): void => {
    answer.say(decision, [], true)
    for (let i = 0; i < seconds; i++) {
      clock.nowMs += 1000
      clock.wallMs += 1000
      answer.tick()
    }
  }
  return { answer, clock, stored, spend }
}

describe('a zone says how long it is in its state', () => {
  it('and how long and how often it was in each this hour and day', () => {
    const { answer, spend, stored } = rig()
    spend(known('open'), 10)
    spend(known('closed'), 5)
    spend(known('open'), 3)
    expect(answer.decision.times).toEqual({
      inStateMs: 3000,
      hour: { open: { ms: 13_000, entries: 2 }, closed: { ms: 5000, entries: 1 } },
      day: { open: { ms: 13_000, entries: 2 }, closed: { ms: 5000, entries: 1 } },
    })
    expect(stored.urgent).toBe(3)
  })

  it.each(['novel', 'low_confidence'] as const)('also in unknown, where the picture is %s', (reason) => {
    const { answer, spend } = rig()
    spend(known('open'), 10)
    spend({ ...undecided(0), reason }, 5)
    expect(answer.decision.times).toMatchObject({
      inStateMs: 5000,
      hour: { open: { ms: 10_000, entries: 1 }, unknown: { ms: 5000, entries: 1 } },
    })
  })

  it('without the time that its camera was away, and goes on afterwards', () => {
    const { answer, spend } = rig()
    spend(known('open'), 10)
    spend({ ...undecided(0), reason: 'camera_lost' }, 600)
    expect(answer.decision.times?.inStateMs).toBe(0)
    spend({ ...undecided(0), reason: 'settling' }, 2)
    spend(known('open'), 4)
    expect(answer.decision.times).toMatchObject({ inStateMs: 14_000, hour: { open: { ms: 14_000, entries: 1 } } })
  })

  it('over a restart', () => {
    const first = rig()
    first.spend(known('open'), 10)
    first.answer.end()
    const second = rig(first.stored.value)
    second.spend(undecided(0), 5)
    second.spend(known('open'), 2)
    expect(second.answer.decision.times).toMatchObject({ inStateMs: 12_000, day: { open: { ms: 12_000, entries: 1 } } })
  })

  it('whatever is done to the wall clock', () => {
    const { answer, clock, spend } = rig()
    spend(known('open'), 10)
    clock.wallMs += 20 * 60_000
    spend(known('open'), 10)
    clock.wallMs -= 30 * 60_000
    spend(known('open'), 10)
    expect(answer.decision.times?.inStateMs).toBe(30_000)
  })
})
