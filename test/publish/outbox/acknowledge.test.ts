/** Application acknowledgements: an event is done when a consumer says so, and not before. */
import { afterEach, describe, expect, it } from 'vitest'
import type { OutboxEntry } from '../../../src/publish/outbox/outbox.js'
import { acknowledgementOf } from '../../../src/publish/outbox/acknowledgement.js'
import { cleanUp, temporaryFolder, until } from '../mosquitto.js'
import { add, diskOutbox, memoryOutbox, numbers, settled, takeAll } from './fixture.js'

afterEach(cleanUp)

const confirmAll = (outbox: { confirm(entry: OutboxEntry): void }, entries: readonly OutboxEntry[]): void => {
  for (const entry of entries) outbox.confirm(entry)
}

describe('application acknowledgements', () => {
  it("the broker's acknowledgement alone removes nothing: after a restart all events are there", async () => {
    const folder = temporaryFolder()
    const outbox = await diskOutbox({ folder }, { ack: 'application' })
    for (let i = 0; i < 10; i++) add(outbox)
    await settled(outbox)
    confirmAll(outbox, await takeAll(outbox))
    expect(outbox.stats().queued).toBe(10)
    expect(outbox.acknowledge(outbox.boot, 4)).toBe(true)
    expect(outbox.stats().queued).toBe(6)
    await outbox.close()
    const next = await diskOutbox({ folder }, { ack: 'application' })
    expect(numbers(await takeAll(next))).toEqual([5, 6, 7, 8, 9, 10])
    await next.close()
  })

  it('one for an earlier start counts for its events, one for an unknown start for none, and none counts for unsent events', async () => {
    const folder = temporaryFolder()
    const first = await diskOutbox({ folder }, { ack: 'application' })
    for (let i = 0; i < 5; i++) add(first)
    await settled(first)
    await first.close()
    const second = await diskOutbox({ folder }, { ack: 'application' })
    for (let i = 0; i < 5; i++) add(second)
    await settled(second)
    expect(second.acknowledge(first.boot, 5)).toBe(true)
    expect(second.stats().queued, 'nothing has been sent').toBe(10)
    confirmAll(second, await takeAll(second))
    expect(second.acknowledge('another', 10)).toBe(false)
    expect(second.acknowledge(first.boot, 1e9)).toBe(true)
    expect(second.stats().queued, 'those of the first start').toBe(5)
    expect(second.acknowledge(second.boot, 10)).toBe(true)
    expect(second.stats().queued).toBe(0)
    await second.close()
  })

  it('at most 50 events of the backlog wait for a consumer; live events continue', async () => {
    const outbox = memoryOutbox({ ack: 'application' })
    for (let i = 0; i < 80; i++) add(outbox)
    const sent = await takeAll(outbox)
    expect(sent).toHaveLength(50)
    confirmAll(outbox, sent)
    expect(await takeAll(outbox)).toEqual([])
    add(outbox, 'a', true)
    const live = outbox.takeLive()!
    expect(live.seq).toBe(81)
    outbox.confirm(live)
    outbox.acknowledge(outbox.boot, 20)
    expect(numbers(await takeAll(outbox))).toEqual(Array.from({ length: 20 }, (_, i) => 51 + i))
  })

  it("one that arrives before the broker's PUBACK counts", async () => {
    const outbox = memoryOutbox({ ack: 'application' })
    add(outbox, 'a', true)
    const event = outbox.takeLive()!
    outbox.acknowledge(outbox.boot, 1)
    outbox.confirm(event)
    expect(outbox.stats().queued).toBe(0)
    outbox.takeBack()
    expect(await takeAll(outbox)).toEqual([])
  })

  it('a silent consumer gets everything again, gaps included', async () => {
    const outbox = memoryOutbox({ ack: 'application', resendMs: 20, memory: { maxEvents: 3, maxBytes: 1000 } })
    for (let i = 0; i < 5; i++) add(outbox)
    confirmAll(outbox, await takeAll(outbox))
    let again: OutboxEntry[] = []
    await until(async () => (again = await takeAll(outbox)).length > 0, 'the repetition')
    expect(numbers(again)).toEqual([[1, 2, 2], 3, 4, 5])
    confirmAll(outbox, again)
    outbox.acknowledge(outbox.boot, 5)
    outbox.takeBack()
    expect(await takeAll(outbox)).toEqual([])
    await outbox.close()
  })

  it('are refused when they are malformed', () => {
    expect(acknowledgementOf(Buffer.from('{"boot":"b","through":7,"more":1}'))).toEqual({ boot: 'b', through: 7 })
    for (const text of [
      '',
      'x',
      'null',
      '7',
      '{}',
      '{"boot":"b"}',
      '{"boot":1,"through":1}',
      '{"boot":"b","through":1.5}',
      '{"boot":"b","through":-1}',
      `{"boot":"${'b'.repeat(2000)}","through":1}`,
    ]) {
      expect(acknowledgementOf(Buffer.from(text)), text.slice(0, 30)).toBeNull()
    }
  })
})
