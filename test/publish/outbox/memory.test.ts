import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutboxEntry } from '../../../src/publish/outbox/outbox.js'
import { add, memoryOutbox, numbers, takeAll } from './fixture.js'

const limits = { maxEvents: 5, maxBytes: 1000 }

describe('the outbox in memory', () => {
  it('gives events in order, live until the link is lost', async () => {
    const outbox = memoryOutbox({ memory: limits })
    for (let i = 0; i < 3; i++) add(outbox, 'a', true)
    const first = outbox.takeLive()!
    expect(first).toMatchObject({ seq: 1, payload: '{"seq":1,"camera":"a"}', isLive: true })
    outbox.confirm(first)
    outbox.takeLive()
    outbox.takeBack()
    expect(outbox.takeLive()).toBeNull()
    const rest = await takeAll(outbox)
    expect(numbers(rest)).toEqual([2, 3])
    expect(rest.every((entry) => entry.kind === 'event' && !entry.isLive)).toBe(true)
  })

  it('has a gap for each camera whose events had to make room', async () => {
    const outbox = memoryOutbox({ memory: limits })
    for (const camera of ['a', 'a', 'b', 'a', 'b', 'a', 'a', 'a']) add(outbox, camera)
    expect(numbers(await takeAll(outbox))).toEqual([[1, 2, 2], [3, 3, 1], 4, 5, 6, 7, 8])
    expect(outbox.stats()).toMatchObject({ state: 'memory', dropped: 3 })
  })

  it('limits the bytes too', async () => {
    const outbox = memoryOutbox({ memory: { maxEvents: 100, maxBytes: 10 } })
    for (let i = 0; i < 4; i++) outbox.add('a', 'event', false, () => 'äää')
    expect(outbox.stats().bytes).toBe(6)
    expect(numbers(await takeAll(outbox))).toEqual([[1, 3, 3], 4])
  })

  it('stays within its bound and accounts for every event through all changes of the link', async () => {
    type Step =
      | { readonly kind: 'add'; readonly camera: string; readonly isLive: boolean }
      | { readonly kind: 'live' | 'backlog' | 'confirm' | 'lose' }
    const steps: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .tuple(fc.constantFrom('a', 'b'), fc.boolean())
          .map(([camera, isLive]) => ({ kind: 'add', camera, isLive }) as const),
      },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          { kind: 'live' } as const,
          { kind: 'backlog' } as const,
          { kind: 'confirm' } as const,
        ),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'lose' } as const) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 200 }), async (plan) => {
        const outbox = memoryOutbox({ memory: limits })
        let underWay: OutboxEntry[] = []
        const confirmed: OutboxEntry[] = []
        let added = 0
        for (const step of plan) {
          if (step.kind === 'add') {
            add(outbox, step.camera, step.isLive)
            added++
          } else if (step.kind === 'lose') {
            outbox.takeBack()
            underWay = []
          } else if (step.kind === 'confirm') {
            const entry = underWay.shift()
            if (entry) {
              outbox.confirm(entry)
              confirmed.push(entry)
            }
          } else if (underWay.length < 3) {
            const entry = step.kind === 'live' ? outbox.takeLive() : outbox.takeBacklog()
            if (entry) underWay.push(entry)
          }
          expect(outbox.stats().queued).toBeLessThanOrEqual(limits.maxEvents)
        }
        outbox.takeBack()
        const all = [...confirmed, ...(await takeAll(outbox))]
        const sum = all.reduce((total, entry) => total + (entry.kind === 'event' ? 1 : entry.missing), 0)
        expect(sum).toBe(added)
        const seqs = all.flatMap((entry) => (entry.kind === 'event' ? [entry.seq] : []))
        expect(new Set(seqs).size).toBe(seqs.length)
      }),
    )
  })
})
