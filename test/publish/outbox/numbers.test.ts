import { describe, expect, it } from 'vitest'
import { Ledger } from '../../../src/publish/outbox/ledger.js'
import { Numbers } from '../../../src/publish/outbox/numbers.js'

/** A ledger of an earlier start, which gave the numbers 1 to `last`. */
function ledgerOf(last: number, done: number): { ledger: Ledger; lastSeq: number } {
  const ledger = new Ledger()
  ledger.addBoot('earlier', 1)
  if (done > 0) ledger.done.add(1, done)
  return { ledger, lastSeq: last }
}

describe('the numbers', () => {
  it('continue behind those on disk', () => {
    const numbers = new Numbers('now')
    expect(numbers.adopt(ledgerOf(7, 5))).toBe(true)
    expect(numbers.next()).toBe(8)
    expect(numbers.certain).toBe(7)
    expect(numbers.ledger.lastOf('earlier', 8)).toBe(7)
    expect(numbers.ledger.lastOf('now', 8)).toBe(8)
  })

  it('continue behind those of a disk that can only be read, and match when it can be written', () => {
    const numbers = new Numbers('now')
    numbers.continueAfter(7)
    expect(numbers.next()).toBe(8)
    numbers.ledger.done.add(8)
    expect(numbers.adopt(ledgerOf(7, 5))).toBe(true)
    expect(numbers.ledger.done.runs).toEqual([
      [1, 5],
      [8, 8],
    ])
    expect(numbers.next()).toBe(9)
  })

  it('that the disk has given already are not its own: later numbers follow both', () => {
    const numbers = new Numbers('now')
    for (let i = 0; i < 3; i++) numbers.next()
    expect(numbers.adopt(ledgerOf(2, 0))).toBe(false)
    expect(numbers.ledger.done.runs, 'number 3 is in no file').toEqual([[3, 3]])
    expect(numbers.next()).toBe(4)
    expect(numbers.ledger.lastOf('earlier', 4)).toBe(3)
  })

  it('do not jump once one is given', () => {
    const numbers = new Numbers('now')
    numbers.next()
    numbers.continueAfter(7)
    expect(numbers.next()).toBe(2)
  })

  it('count as lost what was lost in this start alone', () => {
    const before = ledgerOf(7, 0)
    before.ledger.lose('a', 3)
    const numbers = new Numbers('now')
    numbers.next()
    numbers.ledger.lose('a', 1)
    numbers.adopt(before)
    expect(numbers.ledger.lost).toBe(2)
    expect(numbers.lostNow).toBe(1)
    expect(numbers.ledger.gaps).toHaveLength(2)
  })
})
