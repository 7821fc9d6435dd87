/** What is told of a policy's decisions: dwell times hold labels back, and a forbidden one changes nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { undecided, type Decision, type PolicyEvent } from '../../src/decision/decision.js'
import type { DwellOptions } from '../../src/decision/dwell.js'
import { initialTold, isHolding, tell, type Told } from '../../src/decision/told.js'

const labels = ['open', 'closed', 'ajar']
const decisionOf = (label: string, sinceMs: number): Decision => {
  const index = labels.indexOf(label)
  const base = { ...undecided(0), label, sinceMs, score: 0.9 }
  const { reason: _, ...known } = base
  return index < 0 ? { ...base, label: 'unknown', reason: 'low_confidence' } : { ...known, index }
}

interface Line {
  readonly label: string
  readonly events: readonly PolicyEvent[]
}

/** What is told at each second of a sequence of labels. */
function play(sequence: readonly string[], options: DwellOptions): Line[] {
  let told: Told = initialTold(undecided(0), 0)
  let before = 'unknown'
  return sequence.map((label, second) => {
    const events: PolicyEvent[] = label === before ? [] : [label === 'unknown' ? 'low_confidence' : 'label_changed']
    before = label
    const step = tell(told, decisionOf(label, second * 1000), events, options, second * 1000)
    told = step.told
    return { label: told.decision.label, events: step.events }
  })
}

const text = (lines: readonly Line[]): string[] => lines.map(({ label, events }) => [label, ...events].join(' '))

describe('a label', () => {
  it('without a dwell time is told at once', () => {
    expect(isHolding({ dwellMs: {}, transitions: {} })).toBe(false)
    expect(text(play(['open', 'open', 'closed'], { dwellMs: { ajar: 9 }, transitions: {} }))).toEqual([
      'open label_changed',
      'open',
      'closed label_changed',
    ])
  })

  it('is told when it has lasted, and not where it was short', () => {
    const options = { dwellMs: { open: 2000 }, transitions: {} }
    expect(text(play(['closed', 'open', 'open', 'open', 'closed'], options))).toEqual([
      'closed label_changed',
      'closed',
      'closed',
      'open label_changed',
      'closed label_changed',
    ])
    expect(text(play(['closed', 'open', 'closed', 'open', 'closed'], options)).slice(1)).toEqual(
      Array(4).fill('closed'),
    )
  })

  it('that must not follow is an event of its own, once, and changes nothing', () => {
    const options = { dwellMs: {}, transitions: { closed: ['ajar'] } }
    expect(text(play(['closed', 'open', 'open', 'ajar', 'open'], options))).toEqual([
      'closed label_changed',
      'closed transition_forbidden',
      'closed',
      'ajar label_changed',
      'open label_changed',
    ])
  })

  it('that was told is withdrawn at once, and told again when it returns', () => {
    expect(text(play(['closed', 'unknown', 'closed'], { dwellMs: { closed: 0, open: 1 }, transitions: {} }))).toEqual([
      'closed label_changed',
      'unknown low_confidence',
      'closed label_changed',
    ])
  })
})

it('nothing is told before its dwell time or after a label that it must not follow, for every sequence', () => {
  const options = { dwellMs: { open: 3000 }, transitions: { open: ['closed'] } }
  fc.assert(
    fc.property(fc.array(fc.constantFrom('open', 'closed', 'ajar', 'unknown'), { maxLength: 40 }), (sequence) => {
      let held: string | null = null
      for (const [second, { label }] of play(sequence, options).entries()) {
        if (label === 'unknown' || label === held) continue
        expect(sequence[second]).toBe(label)
        if (label === 'open') expect(sequence.slice(Math.max(0, second - 3), second + 1)).toEqual(Array(4).fill('open'))
        if (held === 'open') expect(label).toBe('closed')
        held = label
      }
    }),
  )
})
