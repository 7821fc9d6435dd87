/** Incoming messages: subscriptions exist on every connection, payloads are bytes, refusals are logged once. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Aedes } from 'aedes'
import { afterEach, describe, expect, it } from 'vitest'
import type { Incoming } from '../../src/publish/mqtt.js'
import { quickPublisher } from './fixture.js'
import { cleanUp, hasMosquitto, startMosquitto, subscribe, temporaryFolder, until } from './mosquitto.js'

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()))
  await cleanUp()
})

function listening(
  url: string,
  more: Parameters<typeof quickPublisher>[1] = {},
): ReturnType<typeof quickPublisher> & { readonly messages: Incoming[] } {
  const messages: Incoming[] = []
  const publisher = quickPublisher(url, {
    subscriptions: [{ filter: 'gapcam/dock1/request/+', qos: 1 }],
    onMessage: (message) => {
      messages.push(message)
    },
    ...more,
  })
  open.push(publisher)
  return Object.assign(publisher, { messages })
}

describe.skipIf(!hasMosquitto)(
  'incoming messages (skipped where mosquitto is not installed)',
  { timeout: 60_000 },
  () => {
    it.each(['5', '3.1.1'] as const)(
      'come as bytes, with what a response needs, again after a broken link (MQTT %s)',
      async (protocol) => {
        const broker = await startMosquitto()
        const publish = (args: readonly string[]): void => {
          execFileSync('mosquitto_pub', [
            '-h',
            '127.0.0.1',
            '-p',
            String(broker.port),
            '-V',
            protocol === '5' ? 'mqttv5' : 'mqttv311',
            ...args,
          ])
        }
        publish(['-t', 'gapcam/dock1/request/restart', '-r', '-m', 'kept'])
        const publisher = listening(broker.url, { broker: { protocol } })
        await publisher.start()
        await until(() => publisher.messages.length === 1, 'the retained message')
        expect(publisher.messages[0]).toMatchObject({
          topic: 'gapcam/dock1/request/restart',
          isRetained: true,
          properties: {},
        })

        const bytes = join(temporaryFolder(), 'bytes')
        writeFileSync(bytes, Buffer.of(0, 255, 10, 128))
        publish([
          '-t',
          'gapcam/dock1/request/info',
          '-f',
          bytes,
          ...(protocol === '5'
            ? ['-D', 'publish', 'response-topic', 'answers/here', '-D', 'publish', 'correlation-data', 'one']
            : []),
        ])
        await until(() => publisher.messages.length === 2, 'the message')
        expect([...publisher.messages[1]!.payload]).toEqual([0, 255, 10, 128])
        expect(publisher.messages[1]).toMatchObject({
          isRetained: false,
          properties: protocol === '5' ? { responseTopic: 'answers/here', correlationData: Buffer.from('one') } : {},
        })

        await broker.kill()
        await broker.restart()
        await until(() => publisher.stats().reconnects === 1, 'the next connection')
        await until(() => {
          publish(['-t', 'gapcam/dock1/request/info', '-m', 'again'])
          return publisher.messages.some(({ payload }) => payload.toString() === 'again')
        }, 'the subscription to stand')
      },
    )

    it('other parts can publish bytes, responses and retained values through the publisher', async () => {
      const broker = await startMosquitto()
      const client = await subscribe(broker.port, 'gapcam/dock1/other/#')
      const publisher = listening(broker.url)
      const retainedValue = { topic: 'gapcam/dock1/other/kept', payload: 'a', qos: 1, isRetained: true } as const
      publisher.keep(retainedValue)
      expect(publisher.sendNow({ topic: 'gapcam/dock1/other/now', payload: 'x', qos: 0, isRetained: false })).toBe(
        false,
      )
      await publisher.start()
      await until(() => client.messages.length === 1, 'the kept value')
      expect(
        publisher.sendNow({
          topic: 'gapcam/dock1/other/now',
          payload: Buffer.from('bytes'),
          qos: 0,
          isRetained: false,
        }),
      ).toBe(true)
      publisher.repeat()
      await until(() => client.messages.length === 3, 'both')
      publisher.forget(retainedValue.topic)
      publisher.repeat()
      publisher.sendNow({ topic: 'gapcam/dock1/other/last', payload: '', qos: 1, isRetained: false })
      await until(() => client.messages.some(({ topic }) => topic.endsWith('last')), 'the last')
      expect(client.messages.filter(({ topic }) => topic === retainedValue.topic)).toHaveLength(2)
    })
  },
)

it('a refused subscription is logged once, and publishing continues (with aedes: mosquitto grants all and delivers nothing)', async () => {
  const aedes = await Aedes.createBroker({ authorizeSubscribe: (_client, _subscription, done) => done(null, null) })
  const server = createServer(aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () =>
      new Promise<void>((resolve) => {
        aedes.close(() => server.close(() => resolve()))
      }),
  })
  const publisher = listening(`mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const refusals = (): number =>
    publisher.lines.filter(({ message }) => /refuses the subscription to gapcam\/dock1\/request\/\+ /.test(message))
      .length
  await publisher.start()
  await until(() => refusals() === 1, 'the refusal')
  expect(publisher.stats().connected).toBe(true)
})
