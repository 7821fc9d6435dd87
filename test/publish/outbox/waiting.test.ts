import { describe, expect, it } from 'vitest'
import { createItem, type Item, type ItemState } from '../../../src/publish/outbox/item.js'
import { LiveQueue, maxLive } from '../../../src/publish/outbox/live.js'
import { Waiting } from '../../../src/publish/outbox/waiting.js'

const item = (seq: number, state: ItemState = 'backlog', payload = 'x'): Item =>
  createItem({ kind: 'event', seq, camera: 'a', payload }, state)
const seqs = (items: readonly Item[]): number[] => items.map(({ seq }) => seq)

function waitingOf(...items: Item[]): Waiting {
  const waiting = new Waiting({ maxEvents: 3, maxBytes: 100 })
  for (const one of items) waiting.add(one)
  return waiting
}

describe('the waiting events', () => {
  it('a batch takes each event once, and the disk has them when it says so', () => {
    const waiting = waitingOf(item(1), item(2))
    expect(seqs(waiting.nextBatch())).toEqual([1, 2])
    expect(waiting.nextBatch()).toEqual([])
    expect(seqs(waiting.items)).toEqual([1, 2])
    waiting.add(item(3))
    expect(waiting.firstUnwritten()?.seq).toBe(3)
    waiting.written(waiting.items.slice(0, 2))
    expect(seqs(waiting.items)).toEqual([3])
    expect(waiting.bytes).toBe(1)
  })

  it('a batch that the disk does not have is handed out again, without the events that are done by then', () => {
    const waiting = waitingOf(item(1), item(2))
    const batch = waiting.nextBatch()
    waiting.settle(batch[0]!)
    expect(seqs(waiting.items), 'while it is being written').toEqual([1, 2])
    waiting.unwritten(batch)
    expect(seqs(waiting.nextBatch())).toEqual([2])
  })

  it('a batch is bounded', () => {
    const waiting = new Waiting({ maxEvents: 100, maxBytes: 1e9 })
    for (let seq = 1; seq <= 10; seq++) waiting.add(item(seq, 'backlog', '.'.repeat(100 << 10)))
    expect(seqs(waiting.nextBatch())).toEqual([1, 2, 3])
  })

  it('the oldest event makes room that neither the disk nor the broker is using', () => {
    const waiting = waitingOf(item(1), item(2, 'sending-live'), item(3))
    expect(waiting.excess()).toBeNull()
    waiting.nextBatch()
    waiting.add(item(4))
    waiting.add(item(5))
    expect(waiting.excess()?.seq).toBe(4)
  })

  it('the bytes of payloads are bounded too', () => {
    const waiting = waitingOf(item(1, 'backlog', 'ä'.repeat(50)))
    expect(waiting.bytes).toBe(100)
    expect(waiting.excess()).toBeNull()
    waiting.add(item(2))
    expect(waiting.excess()?.seq).toBe(1)
  })

  it('events whose numbers the disk has given already are never written', () => {
    const waiting = waitingOf(item(1), item(2))
    waiting.makeMemoryOnly()
    waiting.add(item(3))
    expect(waiting.memoryOnlyCount).toBe(2)
    expect(seqs(waiting.nextBatch())).toEqual([3])
    const [first] = waiting.items
    expect(waiting.isMemoryOnly(first!)).toBe(true)
    waiting.settle(first!)
    expect(waiting.memoryOnlyCount).toBe(1)
  })
})

describe('the live queue', () => {
  it('takes 50 events; further ones go to the backlog', () => {
    const queue = new LiveQueue()
    const items = Array.from({ length: maxLive + 1 }, (_, i) => item(i + 1, 'new'))
    for (const one of items) queue.enter(one)
    expect(items.map(({ isLive }) => isLive)).toEqual([...Array<boolean>(maxLive).fill(true), false])
    expect(items.at(-1)?.state).toBe('backlog')
    expect(queue.shift()?.seq).toBe(1)
    queue.remove(items[1]!)
    expect(queue.shift()?.seq).toBe(3)
    queue.toBacklog()
    expect(queue.shift()).toBeNull()
    expect(items[3]?.state).toBe('backlog')
  })
})
