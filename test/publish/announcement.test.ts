/** What is published first on a connection, and what is removed, with a real broker. */
import { afterEach, describe, expect, it } from 'vitest'
import { announce, birthJitterMs, birthSubscription, createBirthListener } from '../../src/publish/announcement.js'
import type { DeviceFacts } from '../../src/publish/homeassistant/device.js'
import { openPublishedTopics, type PublishedTopics } from '../../src/publish/published.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { createTopics } from '../../src/publish/topics.js'
import { connectClient, type Client } from './client.js'
import { decision, prediction, quickPublisher, recordingLog } from './fixture.js'
import { cleanUp, retained, startMosquitto, temporaryFolder, until } from './mosquitto.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
  await cleanUp()
})
const track = <T extends { close(): Promise<void> }>(thing: T): T => {
  open.push(thing)
  return thing
}

const topics = createTopics('gapcam', 'dock1')
const device = 'homeassistant/device/gapcam_dock1/config'
const publishedIn = (folder: string | null): PublishedTopics => track(openPublishedTopics(folder, recordingLog().log))

function first(published: PublishedTopics, more: Partial<DeviceFacts> = {}, prefix: string | null = 'homeassistant') {
  const facts = {
    node: 'dock1',
    cameras: ['cam0'],
    version: '1',
    labels: ['open', 'closed'],
    hasHeat: false,
    health: { hasTemperature: false, hasUndervoltage: false, hasThrottling: false },
    ...more,
  }
  return announce({ facts, model: { id: 'dock-7', version: '3' }, topics, prefix, retainsImages: false, published })
}

async function connected(publisher: Publisher): Promise<void> {
  await publisher.start()
  await until(() => publisher.stats().connected && publisher.stats().queued === 0, 'a connection')
}

describe('on every connection', () => {
  it('the device is published before the first state with a new label, also when the broker starts late', async () => {
    const broker = await startMosquitto()
    await broker.kill()
    const publisher = track(quickPublisher(broker.url, { first: await first(publishedIn(null)) }))
    await publisher.start()
    publisher.settled('cam0', decision('open'), prediction())
    await broker.restart()
    const client: Client = track(await connectClient(broker.url))
    await client.sees('gapcam/dock1/cam0/label', 'open')
    // The same on the next connection, with a broker that has lost its data.
    await broker.kill()
    await until(() => !publisher.stats().connected, 'the loss')
    publisher.settled('cam0', decision('closed', 1), prediction(2))
    client.heard.length = 0
    await broker.restart()
    await client.sees('gapcam/dock1/cam0/label', 'closed')
    expect(JSON.parse(await retained(broker.port, device)).components.label.options).toEqual([
      'open',
      'closed',
      'unknown',
    ])
    expect(await retained(broker.port, 'gapcam/dock1/model')).toBe(
      '{"installed_version":"3","latest_version":"3","title":"dock-7"}',
    )
  })

  it('the order is device, model, each camera, and online last, so that no label of an earlier model meets the new options', async () => {
    const broker = await startMosquitto()
    const client = track(await connectClient(broker.url))
    const publisher = track(quickPublisher(broker.url, { first: await first(publishedIn(null)) }))
    publisher.settled('cam0', decision('open'), prediction())
    await connected(publisher)
    await client.sees('gapcam/dock1/cam0/label', 'open')
    await client.sees('gapcam/dock1/cam0/state', /open/)
    await client.sees('gapcam/dock1/status', 'online')
    const order = [
      device,
      'gapcam/dock1/model',
      'gapcam/dock1/cam0/status',
      'gapcam/dock1/cam0/label',
      'gapcam/dock1/cam0/state',
      'gapcam/dock1/status',
    ]
    expect(client.heard.slice(0, 6).map(({ topic }) => topic)).toEqual(order)
    const before = client.heard.length
    publisher.repeat()
    await until(() => client.heard.length >= before + 6, 'all again')
    expect(client.heard.slice(before, before + 6).map(({ topic }) => topic)).toEqual(order)
  })

  it('a live event waits for subscribers that the discovery attracts, and stays live', async () => {
    const broker = await startMosquitto()
    const client = track(await connectClient(broker.url))
    const publisher = track(quickPublisher(broker.url, { first: await first(publishedIn(null)), holdEventsMs: 3000 }))
    await publisher.start()
    await client.sees(device, /cam0_label/)
    publisher.event('cam0', 'label_changed', decision('open'), prediction())
    // Later messages that need not wait arrive before it.
    publisher.keep({ topic: 'gapcam/dock1/marker', payload: 'x', qos: 1, isRetained: true })
    await client.sees('gapcam/dock1/cam0/event', /label_changed/)
    const at = (name: string): number => client.heard.findIndex(({ topic }) => topic === `gapcam/dock1/${name}`)
    expect(at('marker')).toBeGreaterThan(-1)
    expect(at('marker')).toBeLessThan(at('cam0/event'))
    publisher.event('cam0', 'label_changed', decision('closed', 1), prediction(2))
    await client.sees('gapcam/dock1/cam0/event', /closed/)
  })

  it('closing within that wait loses no event', async () => {
    const broker = await startMosquitto()
    const client = track(await connectClient(broker.url))
    const publisher = quickPublisher(broker.url, { first: await first(publishedIn(null)), holdEventsMs: 60_000 })
    await publisher.start()
    await client.sees(device, /cam0_label/)
    publisher.event('cam0', 'label_changed', decision('open'), prediction())
    await publisher.close()
    await client.sees('gapcam/dock1/cam0/event', /label_changed/)
  })
})

describe('birth', () => {
  it('of Home Assistant makes the node publish everything again within ten seconds, once, and not for a retained message', async () => {
    const broker = await startMosquitto()
    const publisher = track(
      quickPublisher(broker.url, {
        first: await first(publishedIn(null)),
        subscriptions: [birthSubscription('homeassistant')],
        onMessage: (message) => birth.handle(message),
      }),
    )
    const waits: number[] = []
    const birth = createBirthListener(
      'homeassistant',
      () => publisher.repeat(),
      () => {
        waits.push(0)
        return 200
      },
    )
    await connected(publisher)
    const client = track(await connectClient(broker.url))
    await client.sees(device, /cam0_label/)
    const count = (): number => client.heard.filter(({ topic, isRetained }) => topic === device && !isRetained).length
    for (let i = 1; i <= 5; i++) {
      const before = count()
      for (const payload of ['online', 'offline', 'Online']) await client.say('homeassistant/status', payload)
      await until(() => count() === before + 1, 'the device again')
    }
    expect(waits).toHaveLength(5)
    birth.handle({ topic: 'homeassistant/status', payload: Buffer.from('online'), isRetained: true, properties: {} })
    expect(waits).toHaveLength(5)
    const jitter = Array.from({ length: 1000 }, () => birthJitterMs(10))
    expect(Math.min(...jitter)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...jitter)).toBeLessThan(10_000)
    expect(Math.max(...jitter)).toBeGreaterThan(9_000)
  })
})

describe('removed', () => {
  it('are device, entities and retained values of a camera that left the configuration', async () => {
    const broker = await startMosquitto()
    const folder = temporaryFolder()
    const two = quickPublisher(broker.url, {
      cameras: ['cam0', 'gate'],
      first: await first(publishedIn(folder), { cameras: ['cam0', 'gate'] }),
    })
    await connected(two)
    await two.close()
    expect(await retained(broker.port, 'gapcam/dock1/gate/label')).toBe('unknown')

    const published = publishedIn(folder)
    const one = quickPublisher(broker.url, { first: await first(published) })
    await connected(one)
    const client = track(await connectClient(broker.url))
    await client.sees(device, /"label"/)
    await until(() => !published.entry.topics.some((topic) => topic.includes('gate')), 'the broker to have taken it')
    await one.close()
    const late = track(await connectClient(broker.url))
    await late.sees('gapcam/dock1/status', 'offline')
    expect(
      late.heard
        .map(({ topic }) => topic)
        .filter((topic) => topic.includes('gate') || topic.includes('gapcam_dock1_cam0')),
    ).toEqual([])
    // A camera that had a device is now a component of the node's device.
    expect(Object.keys(JSON.parse(late.last(device)).components)).toContain('label')

    // And the reverse: a former component is named with its platform alone.
    const again = await first(publishedIn(folder), { cameras: ['cam0', 'gate'] })
    const node = JSON.parse(String(again.find(({ topic }) => topic === device)!.payload)).components
    expect(node.label).toEqual({ platform: 'sensor' })
    expect(node.threshold).toEqual({ platform: 'number' })
    expect(node.restart.command_topic).toBe('gapcam/dock1/request/restart')
  })

  it('is the whole device, and nothing else, when homeassistant is switched off', async () => {
    const broker = await startMosquitto()
    const folder = temporaryFolder()
    const before = quickPublisher(broker.url, { first: await first(publishedIn(folder)) })
    await connected(before)
    await before.close()
    const after = track(quickPublisher(broker.url, { first: await first(publishedIn(folder), {}, null) }))
    await connected(after)
    const client = track(await connectClient(broker.url))
    await client.sees('gapcam/dock1/status', 'online')
    await until(() => client.heard.some(({ topic }) => topic === 'gapcam/dock1/cam0/state'), 'the states')
    expect(client.heard.some(({ topic }) => topic.startsWith('homeassistant/'))).toBe(false)
  })

  it('are also topics of a run that was killed before it sent anything: they are recorded first', async () => {
    const folder = temporaryFolder()
    const messages = await first(publishedIn(folder))
    // The process ends here; the next one finds what may be on the broker.
    expect(openPublishedTopics(folder, recordingLog().log).entry.topics).toEqual(
      expect.arrayContaining(messages.map(({ topic }) => topic)),
    )
  })
})
