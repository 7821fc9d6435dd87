/** `gapcam collect` as a user runs it: what it refuses, and a database that goes away. */
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { openPostgres } from '../../src/collect/postgres.js'
import { openSqlite } from '../../src/collect/sqlite.js'
import { endAll, gapcam } from '../process.js'
import { connectClient } from '../publish/client.js'
import { cleanUp, hasMosquitto, startMosquitto, temporaryFolder, until } from '../publish/mosquitto.js'
import { closePostgres, hasPostgres, postgres } from './databases.js'

afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(closePostgres)

it.each([
  [[], 'needs one database: --sqlite FILE or --postgres URL'],
  [['--sqlite', 'a.db', '--postgres', 'postgres://db/x'], 'needs one database'],
  [['--postgres', 'mysql://db/x'], 'this is not an address such as postgres://'],
  [['--sqlite', 'a.db', '--share', 'a/b'], 'must not contain /'],
])('%j is a usage error', async (flags, sentence) => {
  const run = gapcam(['collect', '--broker', 'mqtt://127.0.0.1:1', ...flags])
  expect(await run.ended).toBe(2)
  expect(run.stderr()).toContain(sentence)
})

it('a database that is not there is one sentence with status 74, and the password is not in it', async () => {
  const run = gapcam(['collect', '--postgres', 'postgres://me:secret7@127.0.0.1:1/fleet'])
  expect(await run.ended).toBe(74)
  expect(run.stderr()).toContain('PostgreSQL 127.0.0.1/fleet: connect ECONNREFUSED 127.0.0.1:1')
  expect(run.stderr()).not.toContain('secret7')
})

const message = (seq: number): string =>
  JSON.stringify({ ts: '2026-01-05T10:22:33.412Z', boot: 'a', seq, label: 'open', event_type: 'label_changed' })
const health = JSON.stringify({ mqtt: { waits_from: 1, boots: [['a', 1]] } })

describe.skipIf(!hasMosquitto)('with a broker (skipped where mosquitto is not installed)', () => {
  it('stores what nodes publish, acknowledges each node, and counts what is no event', async () => {
    const broker = await startMosquitto()
    const file = join(temporaryFolder(), 'fleet.db')
    const run = gapcam(['collect', '--broker', broker.url, '--sqlite', file])
    const client = await connectClient(broker.url, ['gapcam/+/ack'])
    try {
      await run.until(/connected/)
      await client.say('gapcam/dock1/health', health, true)
      await client.say('gapcam/dock2/health', health, true)
      await until(async () => {
        await client.say('gapcam/dock1/cam0/event', message(1))
        return client.last('gapcam/dock1/ack') === '{"boot":"a","through":1}'
      }, 'the first acknowledgement')
      await client.say('gapcam/dock1/cam0/backlog', message(3))
      await client.say('gapcam/dock2/yard/gate/event', message(1))
      await client.say('gapcam/dock2/cam0/event', 'not json')
      await client.say('gapcam/dock1/cam0/result', '{"label":"open"}')
      await client.sees('gapcam/dock2/ack', '{"boot":"a","through":1}')
      await client.say('gapcam/dock1/cam0/backlog', message(2))
      await client.sees('gapcam/dock1/ack', '{"boot":"a","through":3}')
    } finally {
      await client.close()
    }
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(run.stderr()).toMatch(/4 events stored, \d+ were stored before, 1 messages were no events/)
    const database = await openSqlite(file)
    const rows = await database.transaction((query) =>
      query('select node, seq, place from gapcam_events order by 1, 2'),
    )
    await database.close()
    expect(rows.map(({ node, seq, place }) => [node, seq, place])).toEqual([
      ['dock1', 1, 'cam0'],
      ['dock1', 2, 'cam0'],
      ['dock1', 3, 'cam0'],
      ['dock2', 1, 'yard/gate'],
    ])
  }, 120_000)

  it('stores each event once where two collectors take all of them, as brokers without shared subscriptions need', async () => {
    const broker = await startMosquitto()
    const file = join(temporaryFolder(), 'fleet.db')
    const flags = ['collect', '--broker', broker.url, '--sqlite', file, '--share', 'none']
    const first = gapcam(flags)
    await first.until(/connected/)
    const second = gapcam(flags)
    await second.until(/connected/)
    const client = await connectClient(broker.url, ['gapcam/+/ack'])
    try {
      await client.say('gapcam/dock1/health', health, true)
      await until(async () => {
        for (const seq of [1, 2]) await client.say('gapcam/dock1/cam0/event', message(seq))
        return client.last('gapcam/dock1/ack') === '{"boot":"a","through":2}'
      }, 'the acknowledgement')
    } finally {
      await client.close()
    }
    const stored = []
    for (const run of [first, second]) {
      run.kill('SIGTERM')
      expect(await run.ended).toBe(143)
      stored.push(Number(/(\d+) events stored/.exec(run.stderr())![1]))
    }
    expect(stored[0]! + stored[1]!).toBe(2)
  }, 120_000)

  it.skipIf(!hasPostgres)(
    'acknowledges nothing while the database is away, and stores it afterwards (skipped without PostgreSQL)',
    async () => {
      const broker = await startMosquitto()
      const server = await postgres()
      const run = gapcam(['collect', '--broker', broker.url, '--postgres', server.url])
      const client = await connectClient(broker.url, ['gapcam/+/ack'])
      try {
        await run.until(/connected/)
        await client.say('gapcam/dock1/health', health, true)
        await until(async () => {
          await client.say('gapcam/dock1/cam0/event', message(1))
          return client.heard.length > 0
        }, 'the first acknowledgement')
        await server.stop()
        client.heard.length = 0
        await client.say('gapcam/dock1/cam0/event', message(2))
        await run.until(/the nodes keep their events until it stores again/)
        expect(client.heard).toEqual([])
        await server.start()
        await client.sees('gapcam/dock1/ack', '{"boot":"a","through":2}')
        await run.until(/stores again"/)
      } finally {
        await client.close()
      }
      const database = await openPostgres(server.url)
      const [row] = await database.transaction((query) => query('select count(*) as n from gapcam_events'))
      await database.close()
      expect(Number(row!['n'])).toBe(2)
    },
    120_000,
  )
})
