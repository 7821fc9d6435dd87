/** The queue before the engine: the zone that waited longest comes first, and a turn that comes too late is skipped. */
import { expect, it } from 'vitest'
import { Turns } from '../../../src/run/zones/turns.js'

/** Work that ends when it is told to. */
function gate(): { readonly work: () => Promise<string>; readonly open: (value: string) => void } {
  let open!: (value: string) => void
  const promise = new Promise<string>((resolve) => {
    open = resolve
  })
  return { work: () => promise, open }
}

const always = Infinity

it('one runs at a time, and of those that wait the one with the oldest last turn comes first', async () => {
  const turns = new Turns()
  const first = gate()
  const order: string[] = []
  const noting = (name: string) => async (): Promise<void> => void order.push(name)
  const running = turns.take(first.work, { lastMs: 9, untilMs: always })
  await Promise.resolve()
  const others = [
    turns.take(noting('recent'), { lastMs: 5, untilMs: always }),
    turns.take(noting('stalest'), { lastMs: 1, untilMs: always }),
    turns.take(noting('as stale, but later'), { lastMs: 1, untilMs: always }),
  ]
  await new Promise(setImmediate)
  expect(order).toEqual([])
  first.open('done')
  expect(await running).toBe('done')
  await Promise.all(others)
  expect(order).toEqual(['stalest', 'as stale, but later', 'recent'])
})

it('a turn that comes after its time is skipped, and the next one runs', async () => {
  let nowMs = 0
  const turns = new Turns(undefined, undefined, { now: () => nowMs })
  const first = gate()
  const running = turns.take(first.work, { lastMs: 0, untilMs: 100 })
  await Promise.resolve()
  let ran = 0
  const late = turns.take(async () => void ran++, { lastMs: 1, untilMs: 100 })
  const patient = turns.take(async () => 'patient', { lastMs: 2, untilMs: always })
  await new Promise(setImmediate)
  nowMs = 101
  first.open('done')
  await running
  expect(await late).toBeNull()
  expect(ran).toBe(0)
  expect(await patient).toBe('patient')
})

it('a failure is its own: the next turn runs', async () => {
  const turns = new Turns()
  const failing = turns.take(() => Promise.reject(new Error('engine')), { lastMs: 0, untilMs: always })
  const next = turns.take(async () => 'next', { lastMs: 1, untilMs: always })
  await expect(failing).rejects.toThrow('engine')
  expect(await next).toBe('next')
})

it('with more work than fits, everybody gets turns: the skipped ones go first at the next frame', async () => {
  let nowMs = 0
  const turns = new Turns(undefined, undefined, { now: () => nowMs })
  const zones = Array.from({ length: 10 }, () => ({ lastMs: -1, looks: 0 }))
  for (let frame = 0; frame < 40; frame++) {
    const untilMs = nowMs + 35
    await Promise.all(
      zones.map(async (zone) => {
        const looked = await turns.take(
          async () => {
            nowMs += 10
            return true
          },
          { lastMs: zone.lastMs, untilMs },
        )
        if (!looked) return
        zone.lastMs = nowMs
        zone.looks++
      }),
    )
  }
  const looks = zones.map((zone) => zone.looks)
  expect(Math.max(...looks) - Math.min(...looks)).toBeLessThanOrEqual(1)
  expect(Math.min(...looks)).toBeGreaterThan(10)
})
