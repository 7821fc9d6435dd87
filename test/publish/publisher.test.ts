import { afterEach, describe, expect, it } from 'vitest'
import { memoryDefaults } from '../../src/publish/outbox/outbox.js'
import { createPublisher } from '../../src/publish/publisher.js'
import type { Decision } from '../../src/decision/decision.js'
import { decision, prediction, quickPublisher, recordingLog } from './fixture.js'
import { cleanUp, hasMosquitto, retained, startMosquitto, subscribe, until, type Received } from './mosquitto.js'

const open: { close(): Promise<void> }[] = []

/** Closed after the test, also if it fails. */
function track<T extends { close(): Promise<void> }>(closable: T): T {
  open.push(closable)
  return closable
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()))
  await cleanUp()
})

const on = (messages: readonly Received[], topic: string): string[] =>
  messages.filter((message) => message.topic === topic).map(({ payload }) => payload)

describe.skipIf(!hasMosquitto)(
  'with a real mosquitto (skipped where mosquitto is not installed)',
  { timeout: 60_000 },
  () => {
    it('label, state and status are retained for a client that connects later', async () => {
      const broker = await startMosquitto()
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      publisher.cameraStatus('cam0', 'online')
      publisher.event('cam0', 'label_changed', decision('open'), prediction(7))
      publisher.settled('cam0', decision('open'), prediction(7))
      publisher.info({ version: '0.1.0' })
      publisher.health({ uptime_s: 1, fps: 10, dropped: 0, infer_ms: { p50: 1, p95: 2, p99: 3 }, rss_mb: 80 })
      await until(() => publisher.stats().connected && publisher.stats().queued === 0, 'the event to be acknowledged')

      await until(async () => (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open', 'the label')
      expect(await retained(broker.port, 'gapcam/dock1/status')).toBe('online')
      expect(await retained(broker.port, 'gapcam/dock1/cam0/status')).toBe('online')
      expect(JSON.parse(await retained(broker.port, 'gapcam/dock1/cam0/state'))).toMatchObject({
        v: 1,
        seq: 1,
        frame: 7,
        label: 'open',
        score: 0.97,
        prev: 'unknown',
        top: [{ label: 'open', score: 0.97 }],
        ms: { capture: 8.1, preprocess: 0.3, infer: 11.2, total: 34 },
        model: { id: 'dock-7', sha256: '9f2c' },
        engine: 'native-neon',
      })
      expect(JSON.parse(await retained(broker.port, 'gapcam/dock1/info'))).toMatchObject({ v: 1, version: '0.1.0' })
      expect(JSON.parse(await retained(broker.port, 'gapcam/dock1/health'))).toMatchObject({
        mqtt: { dropped: 0, reconnects: 0 },
        infer_ms: { p99: 3 },
      })
      expect(publisher.stats()).toMatchObject({ protocol: '5', url: broker.url })
    })

    it('events are sent with QoS 1, not retained, as they happen', async () => {
      const broker = await startMosquitto()
      const client = await subscribe(broker.port, 'gapcam/#')
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      await until(() => publisher.stats().connected, 'a connection')
      for (const label of ['open', 'closed', 'open'])
        publisher.event('cam0', 'label_changed', decision(label), prediction())
      await until(() => on(client.messages, 'gapcam/dock1/cam0/event').length === 3, 'three events')
      const events = on(client.messages, 'gapcam/dock1/cam0/event').map((text) => JSON.parse(text))
      expect(events.map(({ seq, label, event_type }) => [seq, label, event_type])).toEqual([
        [1, 'open', 'label_changed'],
        [2, 'closed', 'label_changed'],
        [3, 'open', 'label_changed'],
      ])
      expect(new Set(events.map(({ id }) => id)).size).toBe(3)
      expect(client.messages.find(({ topic }) => topic.endsWith('/event'))).toMatchObject({ qos: 1, retain: 0 })
    })

    it('everything is published again after the broker was killed and lost its data', async () => {
      const broker = await startMosquitto()
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      publisher.cameraStatus('cam0', 'online')
      publisher.settled('cam0', decision('open'), prediction())
      await until(
        async () => publisher.stats().connected && (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open',
        'the label',
      )

      await broker.kill()
      await until(() => !publisher.stats().connected, 'the loss to be noticed')
      publisher.event('cam0', 'label_changed', decision('closed', 1), prediction(8))
      publisher.event('cam0', 'label_changed', decision('open', 2), prediction(9))
      expect(publisher.stats().queued).toBe(2)
      await broker.restart()
      await until(() => publisher.stats().connected && publisher.stats().queued === 0, 'the outbox to be empty')
      await until(async () => (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open', 'the label again')
      expect(await retained(broker.port, 'gapcam/dock1/status')).toBe('online')
      expect(await retained(broker.port, 'gapcam/dock1/cam0/status')).toBe('online')
      expect(publisher.stats().reconnects).toBe(1)
    })

    it('missed events are replayed in order, to the backlog and never as live events', async () => {
      const broker = await startMosquitto()
      const client = await subscribe(broker.port, 'gapcam/#')
      const publisher = track(quickPublisher(broker.url))
      for (let i = 0; i < 100; i++)
        publisher.event('cam0', 'label_changed', decision(i % 2 ? 'open' : 'closed', i), prediction(i))
      await publisher.start()
      await until(() => on(client.messages, 'gapcam/dock1/cam0/backlog').length === 100, 'the backlog')
      expect(on(client.messages, 'gapcam/dock1/cam0/backlog').map((text) => JSON.parse(text).seq)).toEqual(
        Array.from({ length: 100 }, (_, i) => i + 1),
      )
      expect(on(client.messages, 'gapcam/dock1/cam0/event')).toEqual([])
    })

    it('a broker that starts later is connected', async () => {
      const broker = await startMosquitto()
      await broker.kill()
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      publisher.settled('cam0', decision('open'), prediction())
      await until(() => publisher.lines.some(({ level }) => level === 'warn'), 'the warning')
      await broker.restart()
      await until(
        async () => publisher.stats().connected && (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open',
        'the label',
      )
      expect(publisher.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
      expect(publisher.lines[0]).toMatchObject({
        fields: { code: 'BROKER_UNREACHABLE' },
        message: expect.stringContaining('ECONNREFUSED'),
      })
    })

    it('closing leaves a retained offline and the last labels', async () => {
      const broker = await startMosquitto()
      const publisher = quickPublisher(broker.url)
      await publisher.start()
      publisher.settled('cam0', decision('open'), prediction())
      await publisher.close()
      expect(await retained(broker.port, 'gapcam/dock1/status')).toBe('offline')
      expect(await retained(broker.port, 'gapcam/dock1/cam0/label')).toBe('open')
      expect(publisher.stats().connected).toBe(false)
    })

    it('the label of a lost camera is withdrawn', async () => {
      const broker = await startMosquitto()
      const publisher = track(quickPublisher(broker.url, { cameras: ['cam0', 'cam1'] }))
      await publisher.start()
      for (const camera of ['cam0', 'cam1']) publisher.settled(camera, decision('open'), prediction())
      publisher.cameraStatus('cam0', 'offline')
      publisher.cameraStatus('cam1', 'disabled')
      await until(
        async () =>
          publisher.stats().connected && (await retained(broker.port, 'gapcam/dock1/cam1/status')) === 'disabled',
        'the status',
      )
      expect(await retained(broker.port, 'gapcam/dock1/cam0/status')).toBe('offline')
      for (const [camera, reason] of [
        ['cam0', 'camera_lost'],
        ['cam1', 'camera_disabled'],
      ] as const) {
        expect(await retained(broker.port, `gapcam/dock1/${camera}/label`)).toBe('unknown')
        expect(JSON.parse(await retained(broker.port, `gapcam/dock1/${camera}/state`))).toMatchObject({
          label: 'unknown',
          reason,
          prev: 'open',
          score: 0,
          top: [],
        })
      }
    })

    it('the status of a stale camera follows from its decision, and so does its return', async () => {
      const broker = await startMosquitto()
      const client = await subscribe(broker.port, 'gapcam/dock1/cam0/status')
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      const said = (): string[] => client.messages.map(({ payload }) => payload)
      await until(() => said().at(-1) === 'offline', 'offline at the start')
      publisher.settled('cam0', decision('open'), prediction())
      await until(() => said().at(-1) === 'online', 'online')
      const stale: Decision = {
        label: 'unknown',
        index: null,
        score: 0,
        prev: 'open',
        sinceMs: 5,
        reason: 'camera_stale',
        top: [],
      }
      publisher.settled('cam0', stale, null)
      await until(() => said().at(-1) === 'offline', 'offline')
      expect(said()).toEqual(['offline', 'online', 'offline'])
    })

    it('a state carries the number of the last event, in any order of the two calls', async () => {
      const broker = await startMosquitto()
      const publisher = track(quickPublisher(broker.url))
      await publisher.start()
      publisher.settled('cam0', decision('open', 1), prediction())
      publisher.event('cam0', 'label_changed', decision('open', 1), prediction())
      publisher.event('cam0', 'label_changed', decision('closed', 2), prediction())
      publisher.settled('cam0', decision('closed', 2), prediction())
      await until(async () => publisher.stats().connected && publisher.stats().queued === 0, 'both events')
      await until(async () => JSON.parse(await retained(broker.port, 'gapcam/dock1/cam0/state')).seq === 2, 'the state')
    })

    it('results are published with QoS 0 when they are on, and counted when they cannot be sent', async () => {
      const broker = await startMosquitto()
      const client = await subscribe(broker.port, 'gapcam/+/+/result')
      const publisher = track(quickPublisher(broker.url, { resultEveryMs: 0 }))
      publisher.result('cam0', prediction(1))
      expect(publisher.stats().droppedResults).toBe(1)
      await publisher.start()
      await until(() => publisher.stats().connected, 'a connection')
      publisher.result('cam0', prediction(2))
      await until(() => client.messages.length === 1, 'the result')
      expect(client.messages[0]).toMatchObject({ qos: 0, retain: 0 })
      expect(JSON.parse(client.messages[0]!.payload)).toMatchObject({
        frame: 2,
        label: 'open',
        score: 0.97,
        engine: 'native-neon',
      })
    })
  },
)

describe.skipIf(!hasMosquitto)('results that are kept (skipped where mosquitto is not installed)', () => {
  it('are numbered like events, acknowledged, and replayed after a time without the broker', async () => {
    const broker = await startMosquitto()
    const client = await subscribe(broker.port, 'gapcam/dock1/cam0/#')
    const publisher = track(quickPublisher(broker.url, { resultEveryMs: 0, durableResults: true }))
    publisher.result('cam0', prediction(1))
    publisher.event('cam0', 'label_changed', decision('open'), prediction(1))
    await publisher.start()
    await until(() => on(client.messages, 'gapcam/dock1/cam0/backlog').length === 2, 'the backlog')
    publisher.result('cam0', prediction(2))
    await until(() => on(client.messages, 'gapcam/dock1/cam0/result').length === 1, 'the result')
    const seqs = (topic: string): unknown[] =>
      on(client.messages, `gapcam/dock1/cam0/${topic}`)
        .map((text) => JSON.parse(text))
        .map(({ seq, event_type }) => [seq, event_type])
    expect(seqs('backlog')).toEqual([
      [1, undefined],
      [2, 'label_changed'],
    ])
    expect(seqs('result')).toEqual([[3, undefined]])
    expect(client.messages.find(({ topic }) => topic.endsWith('/result'))).toMatchObject({ qos: 1, retain: 0 })
  })
})

describe('without a broker', () => {
  it('a publisher publishes nothing and keeps nothing', async () => {
    const { log } = recordingLog()
    const publisher = createPublisher({ broker: null, node: 'dock1', cameras: ['cam0'], log })
    await publisher.start()
    for (let i = 0; i < 100; i++) publisher.event('cam0', 'label_changed', decision('open', i), prediction(i))
    publisher.result('cam0', prediction())
    expect(publisher.stats()).toMatchObject({ connected: false, url: null, queued: 0, dropped: 0, droppedResults: 0 })
    await publisher.close()
  })

  it('a publisher keeps a bounded number of events, and counts the others', async () => {
    const publisher = track(quickPublisher('mqtt://127.0.0.1:1', { cameras: ['cam0', 'cam1'], resultEveryMs: 0 }))
    const [first, second] = [prediction(1), prediction(2)]
    for (let i = 0; i < 20_000; i++) {
      const label = i % 2 ? 'open' : 'closed'
      publisher.event(i % 3 ? 'cam0' : 'cam1', 'label_changed', decision(label, i), first)
      publisher.settled(i % 3 ? 'cam0' : 'cam1', decision(label, i), second)
      publisher.result('cam0', second)
    }
    const { queued, dropped, droppedResults } = publisher.stats()
    expect(queued).toBeLessThanOrEqual(memoryDefaults.maxEvents)
    expect(queued + dropped).toBe(20_000)
    expect(droppedResults).toBe(20_000)
  })
})

it.each(['', 'x', 'http://host', 'mqtt://'])('the address %j is refused', (url) => {
  expect(() => quickPublisher(url)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
})

it('an unknown camera is a TypeError', async () => {
  const publisher = track(quickPublisher('mqtt://127.0.0.1:1'))
  expect(() => publisher.cameraStatus('cam7', 'online')).toThrow(/Expected one of cam0 for camera/)
})
