/** What is stored, once each, and up to which number a node's events are complete; with real databases. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Database } from '../../src/collect/database.js'
import type { CollectedEvent, CollectedGap, Series } from '../../src/collect/message.js'
import { prepareSchema, schemaVersion } from '../../src/collect/schema.js'
import { openSqlite } from '../../src/collect/sqlite.js'
import { save, type Batch } from '../../src/collect/store.js'
import { cleanUp } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { closePostgres, emptyDatabase, hasPostgres } from './databases.js'

const opened: Database[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  await cleanUp()
})
afterAll(closePostgres)

function event(seq: number, more: Partial<CollectedEvent> = {}): CollectedEvent {
  return {
    node: 'dock1',
    boot: 'a',
    seq,
    place: 'cam0',
    type: 'label_changed',
    ts: '2026-01-05T10:22:33.412Z',
    label: 'open',
    score: 0.9,
    isBacklog: false,
    payload: '{"label":"open"}',
    ...more,
  }
}

const gap = (from: number, to: number, missing: number, more: Partial<CollectedGap> = {}): CollectedGap => ({
  ...{ node: 'dock1', boot: 'a', place: 'cam0', from, to, missing },
  ...more,
})

const fresh: Series = { waitsFrom: 1, boots: [['a', 1]] }

describe.each(['sqlite', 'postgres'] as const)('%s (PostgreSQL is skipped where it is not installed)', (kind) => {
  if (kind === 'postgres' && !hasPostgres) return it.skip('PostgreSQL is not installed', () => undefined)

  async function setUp() {
    const { database, again } = await emptyDatabase(kind)
    opened.push(database)
    await prepareSchema(database)
    const put = async (events: CollectedEvent[], more: Partial<Batch> & { series1?: Series } = {}) => {
      const { series1 = fresh, ...rest } = more
      const series = new Map(['dock1', 'dock2'].map((node) => [node, series1]))
      const saved = await save(database, { events, gaps: [], series, ...rest })
      return { added: saved.added, through: saved.through.get('dock1') }
    }
    return { database, again, put }
  }

  it('an event is stored once, and counts up to the first hole', async () => {
    const { put } = await setUp()
    expect(await put([event(1), event(2), event(4)])).toEqual({ added: 3, through: 2 })
    expect(await put([event(2), event(4), event(4)])).toEqual({ added: 0, through: 2 })
    expect(await put([event(3), event(3)])).toEqual({ added: 1, through: 4 })
    expect(await put([event(1, { node: 'dock2' })])).toEqual({ added: 1, through: undefined })
  })

  it('a node whose numbers are not known is stored and not acknowledged', async () => {
    const { database } = await setUp()
    const saved = await save(database, { events: [event(1)], gaps: [], series: new Map() })
    expect(saved).toEqual({ added: 1, through: new Map() })
  })

  it('numbers that the node says are done are not waited for', async () => {
    const { put } = await setUp()
    expect(await put([event(501)], { series1: { waitsFrom: 500, boots: [['a', 1]] } })).toMatchObject({ through: 499 })
    expect(await put([event(500)], { series1: { waitsFrom: 500, boots: [['a', 1]] } })).toMatchObject({ through: 501 })
  })

  it('a gap explains what is missing, but not an event that is still on its way', async () => {
    const { put } = await setUp()
    // 3 to 10 but 7 were lost; 7 has not arrived.
    expect(await put([event(1), event(2), event(11)], { gaps: [gap(3, 10, 7)] })).toMatchObject({ through: 2 })
    expect(await put([event(7)])).toMatchObject({ through: 11 })
    // Two gaps of two cameras overlap.
    const gaps = [gap(12, 16, 2), gap(14, 18, 3, { place: 'cam1' })]
    expect(await put([event(19), event(12), event(15)], { gaps })).toMatchObject({ through: 19 })
    // A gap that is sent again has grown.
    expect(await put([event(30)], { gaps: [gap(20, 25, 6)] })).toMatchObject({ through: 25 })
    expect(await put([], { gaps: [gap(20, 29, 10)] })).toMatchObject({ through: 30 })
    // Millions of lost numbers take no more steps than one.
    expect(await put([event(3_000_001)], { gaps: [gap(31, 3_000_000, 2_999_970)] })).toMatchObject({
      through: 3_000_001,
    })
  })

  it('after a loss of the state directory old events do not stand for new ones', async () => {
    const { put } = await setUp()
    await put([1, 2, 3, 4, 5].map((seq) => event(seq)))
    const again: Series = { waitsFrom: 1, boots: [['b', 1]] }
    expect(await put([event(2, { boot: 'b' })], { series1: again })).toMatchObject({ added: 1, through: 0 })
    expect(await put([event(1, { boot: 'b' })], { series1: again })).toMatchObject({ added: 1, through: 2 })
    const third: Series = { waitsFrom: 3, boots: [['c', 3]] }
    expect(await put([event(3, { boot: 'c' })], { series1: third })).toMatchObject({ through: 3 })
  })

  it('numbers that a restored node gives again are further events, and none of them is taken for an old one', async () => {
    const { put } = await setUp()
    // The backup knows of 3 events; the old board published 5 before it died.
    await put([1, 2, 3, 4, 5].map((seq) => event(seq)))
    const series1: Series = { waitsFrom: 4, boots: [['b', 4]] }
    expect(await put([event(5, { boot: 'b' })], { series1 })).toMatchObject({ added: 1, through: 3 })
    expect(await put([event(4, { boot: 'b' }), event(5)], { series1 })).toMatchObject({ added: 1, through: 5 })
  })

  it('a number counts only with the start that gave it', async () => {
    const { put } = await setUp()
    const series1: Series = {
      waitsFrom: 1,
      boots: [
        ['a', 1],
        ['b', 3],
      ],
    }
    expect(await put([event(1), event(2), event(3), event(4, { boot: 'b' })], { series1 })).toMatchObject({
      through: 2,
    })
    expect(await put([event(3, { boot: 'b' })], { series1 })).toMatchObject({ through: 4 })
  })

  it('two collectors on one database see what both have stored', async () => {
    const { put, again, database } = await setUp()
    const other = await again()
    opened.push(other)
    const series = new Map([['dock1', fresh]])
    const halves = [0, 1].map((rest) =>
      Array.from({ length: 300 }, (_, i) => event(i + 1)).filter(({ seq }) => seq % 2 === rest),
    )
    const parts = Array.from({ length: 20 }, (_, i) => async () => {
      const events = halves[i % 2]!.slice((i >> 1) * 15, (i >> 1) * 15 + 15)
      return save(i % 2 === 0 ? database : other, { events, gaps: [], series })
    })
    const all: Awaited<ReturnType<typeof save>>[] = []
    // Two transactions of SQLite in one thread would wait for each other; processes are killed in kills.test.ts.
    if (kind === 'sqlite') for (const part of parts) all.push(await part())
    else all.push(...(await Promise.all(parts.map((part) => part()))))
    expect(all.reduce((sum, { added }) => sum + added, 0)).toBe(300)
    expect(Math.max(...all.map(({ through }) => through.get('dock1') ?? 0))).toBe(300)
    expect(await put([])).toEqual({ added: 0, through: undefined })
  })

  it('any text that a node can send is stored', async () => {
    const { put, database } = await setUp()
    const label = `'; drop table gapcam_events; -- ${'ü'.repeat(500)} 雪`
    await put([event(1, { label, payload: JSON.stringify({ label, nul: '\u0000', half: '\ud800' }), score: null })])
    const [row] = await database.transaction((query) => query('select label, score from gapcam_events'))
    expect(row).toEqual({ label, score: null })
  })

  it('tables of an earlier gapcam are brought up to date with their rows, those of a later one are refused', async () => {
    const { database } = await emptyDatabase(kind)
    opened.push(database)
    expect(await prepareSchema(database, 1)).toBe(0)
    await save(database, { events: [event(1)], gaps: [], series: new Map() })
    expect(await prepareSchema(database)).toBe(1)
    expect(await prepareSchema(database)).toBe(schemaVersion)
    expect(await save(database, { events: [event(1)], gaps: [], series: new Map() })).toMatchObject({ added: 0 })
    await database.transaction((query) => query('update gapcam_schema set version = 99'))
    await expect(prepareSchema(database)).rejects.toMatchObject({
      code: 'DATABASE_NEWER',
      message: expect.stringContaining('its tables have version 99') as string,
    })
  })
})

it.skipIf(!hasPostgres)(
  'every query of the Grafana dashboard runs on the tables (skipped without PostgreSQL)',
  async () => {
    const { database } = await emptyDatabase('postgres')
    opened.push(database)
    await prepareSchema(database)
    const events = [event(1), event(2), event(4)]
    await save(database, { events, gaps: [gap(9, 9, 1)], series: new Map([['dock1', fresh]]) })
    const text = readFileSync(join(projectRoot, 'docs/grafana-fleet.json'), 'utf8')
    const { panels } = JSON.parse(text) as { panels: { title: string; targets: { rawSql: string }[] }[] }
    const results = new Map<string, number>()
    for (const { title, targets } of panels)
      for (const { rawSql } of targets) {
        const sql = rawSql.replaceAll(/\$__timeFilter\((\w+)\)/g, "$1 > '2020-01-01'")
        results.set(title, (await database.transaction((query) => query(sql))).length)
      }
    expect(results.size).toBe(7)
    expect([...results.values()].every((rows) => rows >= 1)).toBe(true)
  },
)

describe('SQLite', () => {
  it('that is full says so, stores nothing of the batch, and stores again when there is room', async () => {
    const { database } = await emptyDatabase('sqlite')
    opened.push(database)
    await prepareSchema(database)
    const [row] = await database.transaction((query) => query('pragma page_count'))
    await database.transaction((query) => query(`pragma max_page_count = ${Number(row!['page_count']) + 2}`))
    const many = Array.from({ length: 500 }, (_, i) => event(i + 1))
    const batch: Batch = { events: many, gaps: [], series: new Map([['dock1', fresh]]) }
    await expect(save(database, batch)).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      message: expect.stringContaining('the disk is full') as string,
    })
    await database.transaction((query) => query('pragma max_page_count = 100000'))
    expect(await save(database, batch)).toMatchObject({ added: 500 })
  })

  it('in a folder that does not exist is a sentence', async () => {
    await expect(openSqlite('/nowhere/fleet.db')).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
  })
})
