import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryOutbox, type OutboxEntry } from '../../src/publish/outbox.js'

const limits = { maxEvents: 5, maxBytes: 1000 }

/** Takes all that waits. */
function takeAll(outbox: ReturnType<typeof createMemoryOutbox>): OutboxEntry[] {
  const entries: OutboxEntry[] = []
  for (let entry = outbox.take(); entry; entry = outbox.take()) entries.push(entry)
  return entries
}

const numbers = (entries: readonly OutboxEntry[]): unknown[] => entries.map((entry) => (entry.kind === 'event' ? entry.seq : [entry.from, entry.to, entry.missing]))

describe('the outbox in memory', () => {
  it('gives events in order, live until the link is gone', () => {
    const outbox = createMemoryOutbox(limits)
    for (let i = 0; i < 3; i++) outbox.add('a', true, (seq) => `event ${seq}`)
    const [first] = [outbox.take()!]
    expect(first).toMatchObject({ seq: 1, payload: 'event 1', isLive: true })
    outbox.confirm(first)
    outbox.take()
    outbox.takeBack()
    const rest = takeAll(outbox)
    expect(numbers(rest)).toEqual([2, 3])
    expect(rest.every((entry) => entry.kind === 'event' && !entry.isLive)).toBe(true)
  })

  it('marks a gap for each camera where the bound cut', () => {
    const outbox = createMemoryOutbox(limits)
    for (const camera of ['a', 'a', 'b', 'a', 'b', 'a', 'a', 'a']) outbox.add(camera, false, () => 'x')
    expect(numbers(takeAll(outbox))).toEqual([[1, 4, 3], [3, 5, 2], 6, 7, 8])
    expect(outbox.dropped).toBe(5)
  })

  it('counts bytes too', () => {
    const outbox = createMemoryOutbox({ maxEvents: 100, maxBytes: 10 })
    for (let i = 0; i < 4; i++) outbox.add('a', false, () => 'äää')
    expect(numbers(takeAll(outbox))).toEqual([[1, 3, 3], 4])
    expect(outbox.bytes).toBe(6)
  })

  it('stays within its bound and accounts for every event, whatever the link does', () => {
    type Step = { readonly kind: 'add'; readonly camera: string } | { readonly kind: 'take' | 'confirm' | 'lose' }
    const steps: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('a', 'b').map((camera) => ({ kind: 'add', camera }) as const) },
      { weight: 4, arbitrary: fc.constantFrom({ kind: 'take' } as const, { kind: 'confirm' } as const) },
      { weight: 1, arbitrary: fc.constant({ kind: 'lose' } as const) },
    )
    fc.assert(fc.property(fc.array(steps, { maxLength: 200 }), (plan) => {
      const outbox = createMemoryOutbox(limits)
      let underWay: OutboxEntry[] = []
      const confirmed: OutboxEntry[] = []
      for (const step of plan) {
        if (step.kind === 'add') outbox.add(step.camera, true, () => 'x')
        else if (step.kind === 'lose') {
          outbox.takeBack()
          underWay = []
        } else if (step.kind === 'take' && underWay.length < 3) {
          const entry = outbox.take()
          if (entry) underWay.push(entry)
        } else if (step.kind === 'confirm') {
          const entry = underWay.shift()
          if (entry) {
            outbox.confirm(entry)
            confirmed.push(entry)
          }
        }
        expect(outbox.size).toBeLessThanOrEqual(limits.maxEvents + 3 + 3)
      }
      outbox.takeBack()
      const all = [...confirmed, ...takeAll(outbox)]
      const sum = all.reduce((total, entry) => total + (entry.kind === 'event' ? 1 : entry.missing), 0)
      expect(sum).toBe(outbox.seq)
      const seqs = all.flatMap((entry) => (entry.kind === 'event' ? [entry.seq] : []))
      expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    }))
  })
})
