/** Commands to a group: which nodes take them, and where they answer. */
import { connectAsync } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.js'
import { systemClock } from '../../src/clock.js'
import type { Incoming } from '../../src/publish/mqtt.js'
import { createRequests, requestSubscriptions } from '../../src/publish/requests.js'
import { createTopics } from '../../src/publish/topics.js'
import { quickPublisher, recordingLog } from './fixture.js'
import { cleanUp, hasMosquitto, startMosquitto, until } from './mosquitto.js'

const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  await cleanUp()
})

describe('the key groups', () => {
  const load = (groups: unknown): unknown => loadConfig({ flags: { groups }, environment: {} }).config.groups

  it('holds names of a-z, 0-9 and -', () => {
    expect(load(['site-a', 'canary'])).toEqual(['site-a', 'canary'])
    expect(load([])).toEqual([])
  })

  it.each([
    [['site/a'], 'must not contain /: a group is one level of a topic'],
    [['+'], 'must consist of a-z, 0-9 and -'],
    [['Canary'], 'must consist of a-z, 0-9 and -'],
    [['a', 'a'], 'must not name a group twice'],
  ])('refuses %j', (groups, sentence) => {
    expect(() => load(groups)).toThrow(sentence)
  })

  it('and the node name groups is refused, whose topics the groups have', () => {
    expect(() => loadConfig({ flags: { node: 'groups' }, environment: {} })).toThrow('must not be groups')
  })
})

describe.skipIf(!hasMosquitto)('a command to a group (skipped where mosquitto is not installed)', () => {
  /** A node with the real publisher and requests; `info` answers with its name, other commands are refused. */
  async function startNode(url: string, node: string, groups: readonly string[]): Promise<void> {
    const topics = createTopics('gapcam', node)
    const requests = createRequests({
      topics,
      groups,
      cameras: ['cam0'],
      commands: { info: { bare: 'camera' }, restart: { bare: 'camera' } },
      execute: async ({ kind }) =>
        kind === 'info'
          ? { status: 'ok', data: { of: node } }
          : { status: 'error', code: 'not_available', error: 'not here' },
      send: (message) => publisher.sendNow(message),
      log: recordingLog().log,
      clock: systemClock,
    })
    const publisher = quickPublisher(url, {
      node,
      subscriptions: requestSubscriptions(topics, ['cam0'], groups),
      onMessage: (message: Incoming) => requests.handle(message),
    })
    opened.push(publisher)
    await publisher.start()
    await until(() => publisher.stats().connected, `${node} to connect`)
  }

  async function setUp() {
    const broker = await startMosquitto()
    await startNode(broker.url, 'dock1', ['site-a', 'canary'])
    await startNode(broker.url, 'dock2', ['site-a'])
    await startNode(broker.url, 'dock3', [])
    const client = await connectAsync(broker.url, { protocolVersion: 5 })
    opened.push({ close: () => client.endAsync(true) })
    const answers: { topic: string; correlation: string; body: Record<string, unknown> }[] = []
    client.on('message', (topic, payload, { properties }) => {
      answers.push({
        topic,
        correlation: String(properties?.correlationData ?? ''),
        body: JSON.parse(payload.toString()) as Record<string, unknown>,
      })
    })
    await client.subscribeAsync(['gapcam/+/response/+', 'gapcam/groups/+/response/+', 'elsewhere/#'], { qos: 1 })
    const ask = async (topic: string, responseTopic?: string): Promise<void> => {
      answers.length = 0
      await client.publishAsync(topic, JSON.stringify({ transaction: 't1' }), {
        qos: 1,
        properties: { ...(responseTopic ? { responseTopic } : {}), correlationData: Buffer.from('c7') },
      })
    }
    return { answers, ask }
  }

  it('is answered by each of its nodes on the shared response topic, with the correlation', async () => {
    const { answers, ask } = await setUp()
    await ask('gapcam/groups/site-a/request/info', 'gapcam/groups/site-a/response/desk-1')
    await until(() => answers.length === 2, 'two answers')
    expect(answers.map(({ body }) => body['node']).sort()).toEqual(['dock1', 'dock2'])
    for (const { topic, correlation, body } of answers) {
      expect(topic).toBe('gapcam/groups/site-a/response/desk-1')
      expect(correlation).toBe('c7')
      expect(body).toEqual({
        status: 'ok',
        data: { of: body['node'] },
        node: body['node'],
        group: 'site-a',
        transaction: 't1',
      })
    }
    await ask('gapcam/groups/canary/request/restart', 'gapcam/groups/canary/response/desk-1')
    await until(() => answers.length === 1, 'one answer')
    expect(answers[0]!.body).toMatchObject({ status: 'error', code: 'not_available', node: 'dock1', group: 'canary' })
  })

  it('never makes a node write outside the response topics of that group', async () => {
    const { answers, ask } = await setUp()
    for (const asked of [
      undefined,
      'elsewhere/x',
      'gapcam/dock3/request/restart',
      'gapcam/groups/site-a/response/desk/1',
      'gapcam/groups/site-a/response/',
      'gapcam/groups/site-a/request/restart',
    ]) {
      await ask('gapcam/groups/canary/request/info', asked)
      await until(() => answers.length === 1, 'an answer')
      expect(answers[0]).toMatchObject({ topic: 'gapcam/dock1/response/info', body: { node: 'dock1' } })
    }
  })
})
