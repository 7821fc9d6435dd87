import { describe, expect, it } from 'vitest'
import { Backlog } from '../../../src/publish/outbox/backlog.js'
import { Numbers } from '../../../src/publish/outbox/numbers.js'
import type { EventRecord } from '../../../src/publish/outbox/record.js'

const record = (seq: number): EventRecord => ({ kind: 'event', seq, camera: 'a', payload: String(seq) })

/** A backlog above a log of two segments, 1 to 3 and 4 to 6. */
function bench({ missing = [] as number[], failures = 0 } = {}) {
  const numbers = new Numbers('boot')
  while (numbers.last < 6) numbers.next()
  const reads: number[] = []
  const faults: unknown[] = []
  const log = {
    lastSeq: 6,
    read: (seq: number): Promise<EventRecord[]> => {
      reads.push(seq)
      if (failures-- > 0) return Promise.reject(new Error('EIO'))
      const segment = seq <= 3 ? [1, 2, 3] : [4, 5, 6]
      return Promise.resolve(segment.filter((n) => n >= seq && !missing.includes(n)).map(record))
    },
  }
  let wake = (): void => undefined
  const backlog = new Backlog({
    numbers,
    onRead: () => wake(),
    onFault: (error) => faults.push(error),
    retryMs: 1,
  })
  /** The oldest event, also where it must be read first. */
  async function oldest(): Promise<number | null> {
    for (;;) {
      const found = backlog.oldest(log)
      if (found !== 'reading') return found?.seq ?? null
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { backlog, numbers, reads, faults, oldest }
}

describe('the backlog', () => {
  it('gives the events of the log in order, one segment at a time', async () => {
    const { backlog, numbers, reads, oldest } = bench()
    const taken: (number | null)[] = []
    for (let seq = await oldest(); seq !== null; seq = await oldest()) {
      taken.push(seq)
      if (seq % 2) backlog.leaveOut(seq)
      else numbers.ledger.done.add(seq)
    }
    expect(taken).toEqual([1, 2, 3, 4, 5, 6])
    expect(reads).toEqual([1, 4])
  })

  it('leaves out what is done and what is offered elsewhere', async () => {
    const { backlog, numbers, reads, oldest } = bench()
    numbers.ledger.done.add(1, 2)
    backlog.leaveOut(3, 4)
    expect(await oldest()).toBe(5)
    expect(reads).toEqual([5])
  })

  it('the oldest event stays until it is left out', async () => {
    const { oldest, reads } = bench()
    expect([await oldest(), await oldest()]).toEqual([1, 1])
    expect(reads).toEqual([1])
  })

  it('after a restart everything that is not done is there again', async () => {
    const { backlog, numbers, oldest } = bench()
    numbers.ledger.done.add(1)
    backlog.leaveOut(2, 6)
    expect(await oldest()).toBeNull()
    backlog.restart()
    expect(await oldest()).toBe(2)
  })

  it('a number that is in no file becomes a gap', async () => {
    const { numbers, oldest, backlog } = bench({ missing: [4, 5, 6] })
    backlog.leaveOut(1, 3)
    expect(await oldest()).toBeNull()
    expect(numbers.ledger.gaps).toMatchObject([{ camera: '', from: 4, to: 6, missing: 3 }])
  })

  it('a failed read is reported and repeated', async () => {
    const { oldest, faults, reads } = bench({ failures: 2 })
    expect(await oldest()).toBe(1)
    expect(faults).toHaveLength(2)
    expect(reads).toEqual([1, 1, 1])
  })
})
