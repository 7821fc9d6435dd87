/**
 * Connecting: TLS with a private authority, client certificates, access rules, WebSockets, and the messages when it
 * fails.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { createLink } from '../../src/publish/link.js'
import { makeCertificates } from './certificates.js'
import { decision, prediction, quickPublisher, recordingLog } from './fixture.js'
import {
  asThisUser,
  cleanUp,
  freePort,
  hasMosquitto,
  retained,
  startMosquitto,
  subscribe,
  temporaryFolder,
  until,
} from './mosquitto.js'

const open: { close(): Promise<unknown> }[] = []
function track<T extends { close(): Promise<unknown> }>(closable: T): T {
  open.push(closable)
  return closable
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()))
  await cleanUp()
})

describe.skipIf(!hasMosquitto)('a connection (skipped where mosquitto is not installed)', { timeout: 60_000 }, () => {
  it('TLS: a configured authority is trusted, an unknown one and a wrong name are refused, and insecure warns', async () => {
    const { ca, settings } = makeCertificates()
    const broker = await startMosquitto(['allow_anonymous true', ...settings])
    const url = `mqtts://127.0.0.1:${broker.port}`
    const trusting = track(quickPublisher(url, { node: 'trusting', broker: { tls: { ca, servername: 'localhost' } } }))
    const wary = track(quickPublisher(url, { node: 'wary', broker: { tls: { servername: 'localhost' } } }))
    const wrongName = track(
      quickPublisher(url, { node: 'wrong-name', broker: { tls: { ca, servername: 'elsewhere.example' } } }),
    )
    const careless = track(quickPublisher(url, { node: 'careless', broker: { tls: { insecure: true } } }))
    const all = [trusting, wary, wrongName, careless]
    for (const publisher of all) await publisher.start()
    await until(() => trusting.stats().connected && careless.stats().connected, 'both connections')
    await until(
      () =>
        /certificate/.test(wary.stats().lastError ?? '') &&
        /elsewhere\.example/.test(wrongName.stats().lastError ?? ''),
      'both refusals',
    )
    expect([wary, wrongName].map((publisher) => publisher.stats().connected)).toEqual([false, false])
    expect(careless.lines.filter(({ level, message }) => level === 'warn' && /not checked/.test(message))).toHaveLength(
      1,
    )
    careless.health({ uptime_s: 1, fps: 1, dropped: 0, infer_ms: { p50: 1, p95: 1, p99: 1 }, rss_mb: 1 })
    trusting.health({ uptime_s: 1, fps: 1, dropped: 0, infer_ms: { p50: 1, p95: 1, p99: 1 }, rss_mb: 1 })
    const healthOf = async (node: string): Promise<{ mqtt: object }> =>
      JSON.parse(
        await retained(broker.port, `gapcam/${node}/health`, [
          '-h',
          'localhost',
          '--insecure',
          '--cafile',
          join(caFolder(ca), 'ca.crt'),
        ]),
      ) as { mqtt: object }
    expect((await healthOf('careless')).mqtt).toMatchObject({ insecure: true })
    expect((await healthOf('trusting')).mqtt).not.toHaveProperty('insecure')
  })

  it('a client certificate logs in, and the access rules for its name apply', async () => {
    const { ca, client, settings, clientSettings } = makeCertificates()
    const rules = join(temporaryFolder(), 'acl')
    writeFileSync(rules, 'user dock1\ntopic readwrite gapcam/dock1/#\n', { mode: 0o600 })
    const broker = await startMosquitto([...settings, ...clientSettings, `acl_file ${rules}`])
    const url = `mqtts://127.0.0.1:${broker.port}`
    const without = track(
      quickPublisher(url, { broker: { tls: { ca, servername: 'localhost' }, clientId: 'without' } }),
    )
    await without.start()
    await until(() => without.stats().lastError !== undefined, 'the refusal')
    expect(without.stats().connected).toBe(false)
    const publisher = track(quickPublisher(url, { broker: { tls: { ca, servername: 'localhost', ...client } } }))
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    publisher.event('cam0', 'label_changed', decision('open'), prediction())
    await until(() => publisher.stats().queued === 0, 'the event')
    expect(publisher.stats().dropped).toBe(0)
    const stranger = track(
      quickPublisher(url, {
        node: 'dock2',
        broker: { protocol: '5', tls: { ca, servername: 'localhost', ...client } },
      }),
    )
    await stranger.start()
    await until(
      () => stranger.lines.some(({ message }) => /refuses messages on gapcam\/dock2\//.test(message)),
      'the refusal of a topic',
    )
  })

  it('a live event that the access rules refuse is tried as backlog, and counted as lost when that is refused too', async () => {
    const rules = join(temporaryFolder(), 'acl')
    writeFileSync(
      rules,
      'topic readwrite gapcam/+/status\ntopic readwrite gapcam/+/cam0/backlog\ntopic read gapcam/#\n',
      { mode: 0o600 },
    )
    const broker = await startMosquitto(['allow_anonymous true', `acl_file ${rules}`, ...asThisUser])
    const publisher = track(quickPublisher(broker.url, { cameras: ['cam0', 'cam1'], broker: { protocol: '5' } }))
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    publisher.event('cam0', 'label_changed', decision('open'), prediction())
    publisher.event('cam1', 'label_changed', decision('open'), prediction())
    await until(() => publisher.stats().queued === 0, 'both events')
    expect(publisher.stats().dropped).toBe(1)
    expect(
      publisher.lines.filter(({ message }) => /refuses messages/.test(message)).map(({ fields }) => fields['topic']),
    ).toEqual(expect.arrayContaining(['gapcam/dock1/cam0/event', 'gapcam/dock1/cam1/backlog']))
  })

  it.each([false, true])(
    'a certificate that is not valid yet is a fault only when the clock is set (%s)',
    async (isSynced) => {
      const { ca, futureSettings } = makeCertificates()
      const broker = await startMosquitto(['allow_anonymous true', ...futureSettings])
      const { lines, log } = recordingLog()
      let isUp = false
      const link = createLink({
        connect: { url: `mqtts://localhost:${broker.port}`, tls: { ca } },
        clientId: 'one',
        will: { topic: 'x', payload: '', qos: 0, isRetained: false },
        onUp: () => {
          isUp = true
        },
        onDown: () => undefined,
        log,
        clock: systemClock,
        isClockSynced: () => isSynced,
        backoffMs: { first: 10, most: 20 },
      })
      link.start()
      open.push({ close: () => link.close(async () => undefined, 100) })
      await until(() => lines.some(({ message }) => /not valid yet/.test(message)), 'the word')
      expect(lines.find(({ message }) => /not valid yet/.test(message))?.level).toBe(isSynced ? 'warn' : 'info')
      if (!isSynced)
        expect(lines.find(({ level }) => level === 'info')?.message).toMatch(/has not been set yet: gapcam waits/)
      expect(isUp).toBe(false)
    },
  )

  it.each(['ws', 'wss'])('a connection over WebSockets works (%s)', async (scheme) => {
    const { ca, settings } = makeCertificates()
    const port = await freePort()
    const broker = await startMosquitto([
      'allow_anonymous true',
      `listener ${port} 127.0.0.1`,
      'protocol websockets',
      ...(scheme === 'wss' ? settings : []),
    ])
    const publisher = track(
      quickPublisher(`${scheme}://127.0.0.1:${port}/mqtt`, {
        broker: scheme === 'wss' ? { tls: { ca, servername: 'localhost' } } : {},
      }),
    )
    await publisher.start()
    publisher.settled('cam0', decision('open'), prediction())
    await until(
      async () => publisher.stats().connected && (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open',
      'the label',
    )
  })

  it('with retain: false nothing is retained, not even the will', async () => {
    const broker = await startMosquitto()
    const client = await subscribe(broker.port, 'gapcam/#')
    const publisher = quickPublisher(broker.url, { broker: { retain: false } })
    await publisher.start()
    publisher.settled('cam0', decision('open'), prediction())
    await until(
      () => client.messages.some(({ topic, payload }) => topic.endsWith('/label') && payload === 'open'),
      'the label',
    )
    await publisher.close()
    const late = await subscribe(broker.port, 'gapcam/#')
    expect(late.messages).toEqual([])
  })

  it('a message larger than the broker accepts is left out, and the connection stays (MQTT 5)', async () => {
    const broker = await startMosquitto(['allow_anonymous true', 'max_packet_size 2000'])
    const publisher = track(quickPublisher(broker.url, { broker: { protocol: '5' } }))
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    publisher.sendNow({ topic: 'gapcam/dock1/cam0/image', payload: Buffer.alloc(5000), qos: 0, isRetained: false })
    await until(
      () => publisher.lines.some(({ message }) => /refuses messages on gapcam\/dock1\/cam0\/image/.test(message)),
      'the word',
    )
    expect(publisher.stats()).toMatchObject({ connected: true, reconnects: 0 })
  })
})

/** mosquitto_sub wants the authority in a file. */
function caFolder(ca: string): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'ca.crt'), ca)
  return folder
}
