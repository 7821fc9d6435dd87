/** A topic and a payload become a command, and its outcome one response. */
import { expect, it } from 'vitest'
import type { Incoming, Message } from '../../src/publish/mqtt.js'
import { createRequests, requestSubscriptions, type RequestOutcome } from '../../src/publish/requests.js'
import { commandTable } from '../../src/run/commands/commands.js'
import { createTopics } from '../../src/publish/topics.js'
import { recordingLog } from './fixture.js'

const topics = createTopics('gapcam', 'dock1')

function setUp(outcome: RequestOutcome = { status: 'ok', data: {} }) {
  const commands: unknown[] = []
  const sent: Message[] = []
  const { lines, log } = recordingLog()
  const clock = { ms: 0, now: () => clock.ms, wall: () => 0 }
  const requests = createRequests({
    topics,
    cameras: ['cam0'],
    commands: commandTable,
    log,
    clock,
    execute: async (command) => {
      commands.push(command)
      return outcome
    },
    send: (message) => {
      sent.push(message)
      return true
    },
  })
  const say = async (topic: string, payload: string | Buffer, more: Partial<Incoming> = {}): Promise<void> => {
    requests.handle({
      topic: `gapcam/dock1/${topic}`,
      payload: Buffer.from(payload),
      isRetained: false,
      properties: {},
      ...more,
    })
    await new Promise(setImmediate)
  }
  const responses = (): { topic: string; [key: string]: unknown }[] =>
    sent.map(({ topic, payload }) => ({ topic: topic.slice('gapcam/dock1/'.length), ...JSON.parse(String(payload)) }))
  return { requests, commands, sent, lines, clock, say, responses }
}

it.each<[string, string, unknown]>([
  ['cam0/enabled/set', 'ON', { kind: 'enabled', camera: 'cam0', value: true }],
  ['cam0/enabled/set', 'off\n', { kind: 'enabled', camera: 'cam0', value: false }],
  ['cam0/enabled/set', '1', { kind: 'enabled', camera: 'cam0', value: true }],
  ['cam0/enabled/set', 'false', { kind: 'enabled', camera: 'cam0', value: false }],
  ['cam0/enabled/set', '{"value":"ON"}', { kind: 'enabled', camera: 'cam0', value: true }],
  [
    'cam0/enabled/set',
    '{"value":true,"camera":"other","kind":"restart"}',
    { kind: 'enabled', camera: 'cam0', value: true },
  ],
  ['cam0/threshold/set', '0.5', { kind: 'threshold', camera: 'cam0', value: 0.5 }],
  ['cam0/threshold/set', ' 1 ', { kind: 'threshold', camera: 'cam0', value: 1 }],
  ['cam0/threshold/set', '{"value":0.25}', { kind: 'threshold', camera: 'cam0', value: 0.25 }],
  ['cam0/threshold/set', 'null', { kind: 'threshold', camera: 'cam0', value: null }],
  ['request/restart', 'PRESS', { kind: 'restart' }],
  ['request/restart', '', { kind: 'restart' }],
  ['request/model_install', 'latest', { kind: 'model_install' }],
  ['request/snapshot', 'cam0', { kind: 'snapshot', camera: 'cam0' }],
  ['request/snapshot', '{"camera":"cam0"}', { kind: 'snapshot', camera: 'cam0' }],
  ['request/set', '{"policy.margin":0.1,"transaction":"a"}', { kind: 'set', values: { 'policy.margin': 0.1 } }],
])('%s %j', async (topic, payload, command) => {
  const { say, commands } = setUp()
  await say(topic, payload)
  expect(commands).toEqual([command])
})

it("the answer goes to the command's response topic, once, with transaction and correlation data", async () => {
  const { say, sent, responses } = setUp({ status: 'ok', data: { a: 1 } })
  await say('request/info', '{"transaction":"t-1"}', {
    properties: { correlationData: Buffer.from('x'), responseTopic: 'another/topic/set' },
  })
  await say('request/info', '{"transaction":7}')
  expect(responses()).toEqual([
    { topic: 'response/info', status: 'ok', data: { a: 1 }, transaction: 't-1' },
    { topic: 'response/info', status: 'ok', data: { a: 1 }, transaction: 7 },
  ])
  expect(sent[0]).toMatchObject({ qos: 1, isRetained: false, correlationData: Buffer.from('x') })
})

it.each<[string, string | Buffer, RegExp]>([
  ['request/format_disk', '', /not a command/],
  ['request/toString', '', /not a command/],
  ['request/restart/now', '', /not a command/],
  ['request/set', '[1]', /not a list/],
  ['request/info', Buffer.from([0xff, 0xfe]), /not UTF-8/],
  ['request/info', '{"transaction":{}}', /transaction/],
  ['request/info', `{"transaction":"${'x'.repeat(65)}"}`, /transaction/],
  ['request/info', 'x'.repeat(4097), /4097 bytes are more than 4096/],
])('%s %.20j is refused without being executed, with one error', async (topic, payload, error) => {
  const { say, commands, responses } = setUp()
  await say(topic, payload)
  expect(commands).toEqual([])
  expect(responses()).toEqual([
    {
      topic:
        topic.startsWith('request/info') || topic === 'request/set' ? `response/${topic.slice(8)}` : 'response/unknown',
      status: 'error',
      code: 'invalid',
      error: expect.stringMatching(error),
    },
  ])
})

it('a retained command is not executed, is answered with an error, and is logged once', async () => {
  const { say, commands, responses, lines } = setUp()
  for (let i = 0; i < 3; i++) await say('request/restart', 'PRESS', { isRetained: true })
  await say('cam0/enabled/set', 'OFF', { isRetained: true })
  expect(commands).toEqual([])
  expect(responses().map(({ error }) => error)).toEqual(
    Array.from({ length: 4 }, () => 'a retained command is not acted on'),
  )
  expect(lines.map(({ fields }) => fields['topic'])).toEqual([
    'gapcam/dock1/request/restart',
    'gapcam/dock1/cam0/enabled/set',
  ])
})

it('invalid commands are answered at a bounded rate, do not block valid ones, and are answered again after a pause', async () => {
  const { say, requests, responses, commands, clock, lines } = setUp()
  for (let i = 0; i < 1000; i++) await say('request/set', '[1]')
  expect(responses()).toHaveLength(10)
  expect(requests.unanswered).toBe(990)
  expect(lines).toHaveLength(1)
  await say('request/info', '')
  expect(commands).toHaveLength(1)
  clock.ms += 1000
  for (let i = 0; i < 100; i++) await say('request/set', '[1]')
  expect(responses()).toHaveLength(10 + 1 + 10)
})

it('commands beyond the rate are not executed', async () => {
  const { say, commands, responses } = setUp()
  for (let i = 0; i < 100; i++) await say('request/restart', '')
  expect(commands).toHaveLength(10)
  expect(responses().slice(10)).toEqual(
    Array.from({ length: 10 }, () => ({
      topic: 'response/restart',
      status: 'error',
      code: 'busy',
      error: 'too many commands',
    })),
  )
})

it('messages on other topics are ignored', async () => {
  const { say, sent } = setUp()
  for (const topic of ['cam0/label', 'cam1/enabled/set', 'request', 'response/info', 'cam0/enabled/set/x'])
    await say(topic, 'ON')
  expect(sent).toEqual([])
})

it('the subscriptions are exactly the command topics', () => {
  expect(requestSubscriptions(topics, ['cam0']).map(({ filter }) => filter)).toEqual([
    'gapcam/dock1/request/+',
    'gapcam/dock1/cam0/enabled/set',
    'gapcam/dock1/cam0/threshold/set',
    'gapcam/dock1/cam0/+/enabled/set',
    'gapcam/dock1/cam0/+/threshold/set',
  ])
})
