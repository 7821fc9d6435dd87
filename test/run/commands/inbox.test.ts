/** Messages that come before a node takes commands. */
import { expect, it } from 'vitest'
import type { Incoming } from '../../../src/publish/mqtt.js'
import { maxRequestBytes } from '../../../src/publish/requests.js'
import { Inbox } from '../../../src/run/commands/inbox.js'

const message = (topic: string, bytes = 0): Incoming => ({
  topic,
  payload: Buffer.alloc(bytes),
  isRetained: false,
  properties: {},
})

it('keeps the first 64 messages of the length of a command until the node is open, in order', () => {
  const inbox = new Inbox()
  const heard: string[] = []
  inbox.take(message('first'))
  inbox.listen(({ topic }) => void heard.push(topic))
  inbox.take(message('long', maxRequestBytes + 1))
  for (let i = 1; i < 80; i++) inbox.take(message(`early ${i}`))
  expect(heard).toEqual([])
  inbox.open()
  expect(heard).toEqual(['first', ...Array.from({ length: 63 }, (_, i) => `early ${i + 1}`)])
  inbox.take(message('long', maxRequestBytes + 1))
  expect(heard.at(-1)).toBe('long')
})
