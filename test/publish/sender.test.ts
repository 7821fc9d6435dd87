/**
 * Which message is sent next, and how many at once. The connection is a stand-in that answers when the test says so.
 */
import { expect, it } from 'vitest'
import type { Connection, Delivery, Message } from '../../src/publish/mqtt.js'
import { createSender, type Sender } from '../../src/publish/sender.js'
import { recordingLog } from './fixture.js'
import { add, memoryOutbox, type Tested } from './outbox/fixture.js'

interface StandIn {
  readonly sender: Sender
  readonly outbox: Tested
  readonly sent: { readonly message: Message; answer(delivery: Delivery): void }[]
  readonly connection: Connection
  /** Answers all open messages, `ms` milliseconds after they were sent. */
  answerAll(afterMs: number, delivery?: Delivery): Promise<void>
}

function standIn(): StandIn {
  let nowMs = 0
  const outbox = memoryOutbox()
  const sent: { message: Message; answer(delivery: Delivery): void }[] = []
  const clock = { now: () => nowMs, wall: () => 0 }
  const messageOf: Parameters<typeof createSender>[0]['messageOf'] = (entry) => ({
    topic: entry.kind === 'event' && entry.isLive ? 'event' : 'backlog',
    payload: '',
    qos: 1,
    isRetained: false,
  })
  const sender = createSender({ outbox, log: recordingLog().log, clock, messageOf })
  outbox.listen({ onReady: () => sender.pump(), onNumbered: () => undefined })
  const connection: Connection = {
    protocol: 5,
    receiveMaximum: 65_535,
    maxPacketBytes: Infinity,
    unsentBytes: 0,
    lost: new Promise(() => undefined),
    publish: (message) =>
      new Promise((answer) => {
        sent.push({ message, answer })
      }),
    subscribe: async () => [],
    close: async () => undefined,
  }
  let answered = 0
  return {
    sender,
    outbox,
    sent,
    connection,
    async answerAll(afterMs, delivery = 'sent') {
      nowMs += afterMs
      const open = sent.slice(answered)
      answered = sent.length
      for (const { answer } of open) answer(delivery)
      await new Promise(setImmediate)
    },
  }
}

it('backlog and live events take turns', () => {
  const { sender, outbox, sent, connection } = standIn()
  for (let i = 0; i < 100; i++) add(outbox, 'a', false)
  for (let i = 0; i < 20; i++) add(outbox, 'a', true)
  sender.attach(connection)
  const topics = sent.map(({ message }) => message.topic)
  expect(topics).toHaveLength(10)
  expect(topics.filter((topic) => topic === 'event')).toHaveLength(5)
  expect(topics.filter((topic) => topic === 'backlog')).toHaveLength(5)
})

it("the window grows to 50 while answers are quick, shrinks while they are slow, and stays within the broker's limit", async () => {
  const { sender, outbox, sent, connection, answerAll } = standIn()
  for (let i = 0; i < 900; i++) add(outbox)
  sender.attach(connection)
  const open = async (afterMs: number): Promise<number> => {
    const before = sent.length
    await answerAll(afterMs)
    return sent.length - before
  }
  for (let round = 0; round < 6; round++) await open(5)
  expect(await open(5)).toBe(50)
  expect(await open(6_000)).toBe(25)
  expect(await open(6_000)).toBe(12)
  for (let round = 0; round < 3; round++) await open(6_000)
  expect(await open(6_000)).toBe(4)

  const small = standIn()
  for (let i = 0; i < 20; i++) add(small.outbox)
  small.sender.attach({ ...small.connection, receiveMaximum: 3 })
  expect(small.sent).toHaveLength(3)
})

it('a lost event returns as backlog; a refused one returns once, and is then counted as lost', async () => {
  const { sender, outbox, sent, connection, answerAll } = standIn()
  sender.attach(connection)
  add(outbox, 'a', true)
  await answerAll(1, 'refused')
  expect(sent.map(({ message }) => message.topic)).toEqual(['event', 'backlog'])
  sender.detach()
  sender.attach(connection)
  expect(sent.map(({ message }) => message.topic)).toEqual(['event', 'backlog', 'backlog'])
  expect(outbox.stats()).toMatchObject({ queued: 1, dropped: 0 })
  await answerAll(1, 'refused')
  expect(outbox.stats()).toMatchObject({ queued: 0, dropped: 1 })
})
