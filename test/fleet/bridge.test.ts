/** packaging/mosquitto-site.conf with two real brokers: the uplink is cut, the site's broker is restarted. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { openDurableOutbox } from '../../src/publish/outbox/durable.js'
import { connectClient } from '../publish/client.js'
import { decision, prediction, quickPublisher, recordingLog } from '../publish/fixture.js'
import {
  asThisUser,
  cleanUp,
  freePort,
  hasMosquitto,
  startMosquitto,
  temporaryFolder,
  until,
} from '../publish/mosquitto.js'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
  await endAll()
  await cleanUp()
})

/** The shipped file for these ports, without what the fixture sets. */
function siteSettings(regionPort: number): string[] {
  return readFileSync(join(projectRoot, 'packaging/mosquitto-site.conf'), 'utf8')
    .split('\n')
    .filter((line) => !/^(#|$|listener|persistence|autosave)/.test(line))
    .map((line) => (line.startsWith('address ') ? `address 127.0.0.1:${regionPort}` : line))
    .map((line) => (line.startsWith('restart_timeout') ? 'restart_timeout 1' : line))
}

it.skipIf(!hasMosquitto)(
  'what happens while the uplink is cut arrives in order, and acknowledgements come back (skipped without mosquitto)',
  async () => {
    const regionPort = await freePort()
    const region = await startMosquitto(['allow_anonymous true', ...asThisUser], regionPort)
    const site = await startMosquitto(['allow_anonymous true', ...asThisUser, ...siteSettings(regionPort)])
    const { log } = recordingLog()
    const limits = { maxBytes: 4 << 20, maxAgeMs: 86_400_000 }
    const folder = temporaryFolder()
    const outbox = await openDurableOutbox({ folder, ...limits, ack: 'application', log, clock: systemClock })
    const publisher = quickPublisher(site.url, { outbox })
    opened.push(() => publisher.close())
    await publisher.start()
    const change = (i: number): void => {
      const now = decision(i % 2 ? 'open' : 'closed')
      publisher.settled('cam0', now, prediction())
      publisher.event('cam0', 'label_changed', now, prediction())
    }
    const watch = async () => {
      const client = await connectClient(region.url, ['gapcam/#'])
      opened.unshift(() => client.close())
      const numbers = (): number[] =>
        client.heard
          .filter(({ topic }) => /\/(event|backlog)$/.test(topic))
          .map(({ payload }) => (JSON.parse(payload.toString()) as { seq: number }).seq)
      return { client, numbers }
    }
    const before = await watch()
    await before.client.sees('gapcam/dock1/status', 'online')
    change(1)
    await until(() => before.numbers().includes(1), 'the first event in the region')

    await region.kill()
    for (let i = 2; i <= 40; i++) change(i)
    await until(() => publisher.stats().queued >= 40, 'the events to be numbered')
    await region.restart()
    const after = await watch()
    await until(() => new Set(after.numbers()).size >= 39, 'the events of the cut', 60_000)
    const first = [...new Set(after.numbers())]
    expect(first).toEqual([...first].sort((a, b) => a - b))
    await after.client.sees('gapcam/dock1/cam0/label', 'closed')

    const boot = outbox.boot
    await until(async () => {
      await after.client.say('gapcam/dock1/ack', JSON.stringify({ boot, through: 40 }))
      return publisher.stats().queued === 0
    }, 'the acknowledgement to reach the node')

    // The site's broker starts again without its memory: the node says everything again, and what is new arrives.
    await site.kill()
    change(41)
    await site.restart()
    await until(() => after.numbers().includes(41), 'the event of the restart', 60_000)
    expect(after.client.heard.filter(({ topic }) => topic.endsWith('/ack')).length).toBeLessThan(100)
  },
  180_000,
)

it.skipIf(!hasMosquitto)(
  'two bridges that send every message round for ever double no event in the database (skipped without mosquitto)',
  async () => {
    const ports = [await freePort(), await freePort()] as const
    const loop = (name: string, to: number): string[] => [
      ...['allow_anonymous true', ...asThisUser, `connection ${name}`, `address 127.0.0.1:${to}`],
      // What hides a bridge from the other broker would break the loop.
      ...['topic gapcam/# out 1', 'try_private false', 'cleansession true', 'restart_timeout 1', 'notifications false'],
    ]
    const [first, second] = [
      await startMosquitto(loop('there', ports[1]), ports[0]),
      await startMosquitto(loop('back', ports[0]), ports[1]),
    ]
    const file = join(temporaryFolder(), 'fleet.db')
    const run = gapcam(['collect', '--broker', second.url, '--sqlite', file])
    await run.until(/connected/)
    const client = await connectClient(first.url, ['gapcam/#'])
    opened.unshift(() => client.close())
    const event = (seq: number): string =>
      JSON.stringify({ ts: '2026-01-05T10:22:33.412Z', boot: 'a', seq, label: 'open' })
    const copies = (): number => client.heard.filter(({ topic }) => topic === 'gapcam/dock1/cam0/event').length
    await client.say('gapcam/dock1/health', JSON.stringify({ mqtt: { waits_from: 1, boots: [['a', 1]] } }), true)
    // What is said before a bridge has connected is lost to the other broker.
    await until(async () => {
      for (const seq of [1, 2, 3]) await client.say('gapcam/dock1/cam0/event', event(seq))
      return client.heard.some(({ topic, payload }) => topic === 'gapcam/dock1/ack' && `${payload}`.endsWith('3}'))
    }, 'the acknowledgement')
    await until(() => copies() > 60, 'the loop')
    await client.close()
    // With one of them gone the loop ends.
    await first.kill()
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    const [, stored, again] = /(\d+) events stored, (\d+) were stored before/.exec(run.stderr())!
    expect(Number(stored)).toBe(3)
    expect(Number(again)).toBeGreaterThan(10)
  },
  120_000,
)
