/** The collector beside running zones. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Collector, type TakenPicture } from '../../src/collector/collector.js'
import { PictureStore } from '../../src/collector/store.js'
import { loadConfig } from '../../src/config/config.js'
import type { Decision } from '../../src/decision/decision.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { createLogger } from '../../src/log.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-collector-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const unsure = { top: [0.4, 0.3].map((score, index) => ({ index, label: 'open', score })) } as unknown as Prediction
const sure = { top: [{ index: 0, label: 'open', score: 0.9 }] } as unknown as Prediction
const open = { label: 'open' } as Decision
const pixels = { jpeg: Buffer.from([0xff, 0xd8, 0xff, 0xd9]), said: 'open', score: 0.4 }

interface SetUp {
  readonly collector: Collector
  readonly store: PictureStore
  readonly warned: string[]
  readonly clock: { now(): number; wall(): number; atMs: number }
}

async function setUp(
  name: string,
  flags: Record<string, unknown>,
  take?: () => Promise<TakenPicture>,
  folder = join(root, name, 'collected'),
): Promise<SetUp> {
  const { config } = loadConfig({ environment: {}, flags: { 'collector.auditMinutes': 0, ...flags } })
  const store = new PictureStore({ folder, maxBytes: 1e6 })
  const warned: string[] = []
  const clock = { atMs: 1e12, now: () => clock.atMs, wall: () => clock.atMs }
  const log = { ...createLogger('silent'), warn: (_: unknown, text?: string) => void warned.push(text ?? String(_)) }
  const collector = new Collector({
    config,
    store,
    stateFolder: join(root, name),
    take: take ?? (async () => ({ ...pixels, atMs: clock.atMs })),
    clock,
    log,
  })
  await collector.ready
  return { collector, store, warned, clock }
}

async function see({ collector, clock }: SetUp, predictions: readonly Prediction[]): Promise<void> {
  for (const prediction of predictions) {
    collector.saw('cam0/gate', prediction, open)
    await collector.done
    clock.atMs += 1000
  }
}

it('is off until it is switched on, and remembers the switch over restarts', async () => {
  const first = await setUp('switch', {})
  first.collector.saw('cam0/gate', unsure, open)
  expect(first.collector.isOn).toBe(false)
  expect(await first.store.list()).toEqual([])
  await first.collector.set(true)
  await first.collector.close()
  const second = await setUp('switch', {})
  expect(second.collector.isOn).toBe(true)
  await second.collector.set(null)
  expect(second.collector.isOn).toBe(false)
  await second.collector.close()
})

it('keeps what is worth a label with zone, time, reason and what was said, within the limits of a minute', async () => {
  const set = await setUp('limits', { 'collector.enabled': true, 'collector.perMinute': 3 })
  await see(set, [sure, unsure, unsure, sure, unsure, unsure, unsure])
  const kept = await set.store.list()
  expect(kept).toHaveLength(3)
  expect(kept[0]!.about).toEqual({
    v: 1,
    zone: 'cam0/gate',
    atMs: 1e12 + 1000,
    why: 'unsure',
    said: 'open',
    score: 0.4,
  })
  expect(set.collector.collected).toEqual({ kept: 3, left: 2, fault: null })
  await set.collector.close()
  const again = await setUp('limits', { 'collector.enabled': true, 'collector.perMinute': 3 })
  again.clock.atMs = set.clock.atMs
  await see(again, [unsure])
  expect(again.collector.collected).toMatchObject({ kept: 0, left: 1 })
  await again.collector.close()
})

it('takes one picture at a time: frames go on while it is drawn', async () => {
  let finish: (picture: TakenPicture) => void = () => undefined
  const set = await setUp('busy', { 'collector.enabled': true }, () => new Promise((resolve) => (finish = resolve)))
  set.collector.saw('cam0/gate', unsure, open)
  set.collector.saw('cam0/gate', unsure, open)
  expect(set.collector.collected).toMatchObject({ kept: 0, left: 1 })
  finish({ ...pixels, atMs: 1e12 })
  await set.collector.close()
  expect(set.collector.collected).toMatchObject({ kept: 1, left: 1 })
})

it('says once why pictures cannot be kept, goes on, and keeps them again when they can', async () => {
  writeFileSync(join(root, 'blocked'), '')
  const set = await setUp('fault', { 'collector.enabled': true }, undefined, join(root, 'blocked', 'collected'))
  await see(set, [unsure, unsure])
  expect(set.warned).toHaveLength(1)
  expect(set.warned[0]).toMatch(/^a picture for review was not kept: /)
  expect(set.collector.collected.fault).toMatch(/blocked/)
  rmSync(join(root, 'blocked'))
  set.collector.saw('cam0/gate', unsure, open)
  await set.collector.close()
  expect(set.collector.collected).toMatchObject({ kept: 1, fault: null })
})
