/** When a zone looks, and the reason that it gives. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Moved } from '../../src/zone/motion/timing.js'
import { Trigger, type LookReason, type TriggerOptions } from '../../src/zone/trigger.js'

const settled = { isSettling: false }

/** Takes one frame every `stepMs` and looks whenever the trigger says so; gives the reasons in order. */
function watch(
  options: Partial<TriggerOptions> & Pick<TriggerOptions, 'trigger'>,
  {
    frames,
    stepMs,
    startMs = 0,
    isSettling = () => false,
  }: {
    frames: number
    stepMs: number
    startMs?: number
    isSettling?: (frame: number) => boolean
  },
): (LookReason | null)[] {
  const trigger = new Trigger({ mostSettling: 5, ...options })
  return Array.from({ length: frames }, (_, i) => {
    const moment = { nowMs: i * stepMs, wallMs: startMs + i * stepMs, isSettling: isSettling(i) }
    const reason = trigger.reason(moment)
    if (reason) trigger.looked(reason, moment)
    return reason
  })
}

it('every trigger looks at the first frame', () => {
  const kinds: TriggerOptions['trigger'][] = [
    { kind: 'always' },
    { kind: 'motion', maxIdleMs: 1000 },
    { kind: 'every', everyMs: 1000 },
    { kind: 'cron', line: '0 0 1 1 *' },
    { kind: 'command' },
    { kind: 'gpio', chip: 'gpiochip0', line: 1 },
  ]
  for (const trigger of kinds) expect(watch({ trigger }, { frames: 1, stepMs: 1 }), trigger.kind).toEqual(['start'])
})

it('always looks at every frame', () => {
  expect(watch({ trigger: { kind: 'always' } }, { frames: 3, stepMs: 100 })).toEqual(['start', 'always', 'always'])
})

it('an interval looks at the first frame after it', () => {
  expect(watch({ trigger: { kind: 'every', everyMs: 250 } }, { frames: 8, stepMs: 100 })).toEqual([
    'start',
    null,
    null,
    'interval',
    null,
    null,
    'interval',
    null,
  ])
})

describe('motion', () => {
  it('looks when something moves, and says so', () => {
    const moves: (Moved | null)[] = [null, null, 'motion', null, 'exposure']
    const trigger = { kind: 'motion' as const, maxIdleMs: 10_000 }
    expect(watch({ trigger, moved: () => moves.shift() ?? null }, { frames: 6, stepMs: 100 })).toEqual([
      'start',
      null,
      'motion',
      null,
      'exposure',
      null,
    ])
  })

  it('never waits longer than maxIdle, whatever moves and at any frame rate', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 20, max: 900 }),
        (moves, stepMs) => {
          const maxIdleMs = 2000
          let frame = 0
          const trigger = { kind: 'motion' as const, maxIdleMs }
          const reasons = watch(
            { trigger, moved: () => (moves[frame++] ? 'motion' : null) },
            { frames: moves.length, stepMs },
          )
          let lastMs = 0
          for (const [i, reason] of reasons.entries()) {
            expect(i * stepMs - lastMs).toBeLessThan(maxIdleMs + stepMs)
            if (reason) lastMs = i * stepMs
          }
        },
      ),
    )
  })

  it('fails open without a gate', () => {
    expect(watch({ trigger: { kind: 'motion', maxIdleMs: 1e6 } }, { frames: 3, stepMs: 1 })).toEqual([
      'start',
      'motion',
      'motion',
    ])
  })
})

it('a label that is on its way is followed, for a limited number of looks', () => {
  const options = { trigger: { kind: 'command' as const }, mostSettling: 3 }
  expect(watch(options, { frames: 6, stepMs: 100, isSettling: () => true })).toEqual([
    'start',
    'settling',
    'settling',
    'settling',
    null,
    null,
  ])
})

it('a request is answered by the next frame, and a look that was skipped does not answer it', () => {
  const trigger = new Trigger({ trigger: { kind: 'command' }, mostSettling: 0 })
  const at = (nowMs: number) => ({ nowMs, wallMs: nowMs, ...settled })
  trigger.looked('start', at(0))
  expect(trigger.reason(at(1))).toBeNull()
  trigger.ask('command')
  trigger.ask('gpio')
  expect(trigger.reason(at(2))).toBe('command')
  expect(trigger.reason(at(3))).toBe('command')
  trigger.looked('command', at(3))
  expect(trigger.reason(at(4))).toBeNull()
})

describe('a cron line', () => {
  const noon = Date.UTC(2026, 0, 5, 12, 0, 0)
  const trigger = { kind: 'cron' as const, line: '*/5 * * * *' }

  it('looks at the first frame after each of its times', () => {
    const reasons = watch({ trigger, timezone: 'UTC' }, { frames: 22, stepMs: 30_000, startMs: noon + 1000 })
    expect(reasons.flatMap((reason, i) => (reason === 'cron' ? [i] : []))).toEqual([10, 20])
  })

  it('tells a run that comes late, and how many did not happen', () => {
    const told: string[] = []
    const late = new Trigger({ trigger, timezone: 'UTC', mostSettling: 0, onLate: (sentence) => told.push(sentence) })
    const at = (wallMs: number) => ({ nowMs: wallMs, wallMs, ...settled })
    late.looked(late.reason(at(noon + 1000))!, at(noon + 1000))
    expect(late.reason(at(noon + 17 * 60_000))).toBe('cron')
    expect(late.reason(at(noon + 17 * 60_000 + 1))).toBe('cron')
    expect(told).toEqual(['the run of 2026-01-05T12:05:00.000Z comes 12 min late; 2 more did not happen'])
  })

  it('starts again where the clock was set back, and does not run all day', () => {
    const set = new Trigger({ trigger, timezone: 'UTC', mostSettling: 0 })
    const at = (wallMs: number) => ({ nowMs: wallMs, wallMs, ...settled })
    set.looked(set.reason(at(noon + 1000))!, at(noon + 1000))
    expect(set.reason(at(noon - 86_400_000))).toBeNull()
    expect(set.reason(at(noon - 86_400_000 + 5 * 60_000 + 1))).toBe('cron')
  })

  it('keeps to its time zone through the change to summer time', () => {
    const daily = { kind: 'cron' as const, line: '30 6 * * *' }
    const start = Date.UTC(2026, 2, 28, 0, 0, 0)
    const hour = 3_600_000
    const reasons = watch(
      { trigger: daily, timezone: 'Europe/Berlin' },
      { frames: 96, stepMs: hour / 2, startMs: start },
    )
    const times = reasons.flatMap((reason, i) =>
      reason === 'cron' ? [new Date(start + (i * hour) / 2).toISOString()] : [],
    )
    expect(times).toEqual(['2026-03-28T05:30:00.000Z', '2026-03-29T04:30:00.000Z'])
  })
})
