/** A rollout step by step, with nodes that are made up: what is ordered, what counts as a failure, what stops it. */
import { describe, expect, it } from 'vitest'
import { Census, type FleetNode } from '../../src/fleet/census.js'
import { Orders, type Answer } from '../../src/fleet/orders.js'
import { resumed, type RolloutRecord } from '../../src/fleet/record.js'
import { allowance, countsOf, tick, type RolloutOptions } from '../../src/fleet/rollout.js'
import type { Message } from '../../src/publish/mqtt.js'

const digest = 'd'.repeat(64)
const options: RolloutOptions = { watchMs: 60_000, orderMs: 30_000, parallel: 10, allowed: () => 0, minDone: 0.9 }
const record: RolloutRecord = {
  version: 1,
  target: { name: 'gate', version: '2.0.0', digest },
  groups: ['canary', 'site-a'],
  nodes: {},
  outcome: 'unfinished',
}

type Bundle = { readonly installed?: string | null; readonly candidate?: string | null; readonly state?: string }

function node(id: string, groups: string[], more: Partial<FleetNode> & { bundle?: Bundle & { fault?: string } } = {}) {
  const { bundle = {}, ...rest } = more
  const view = { installed: null, candidate: null, state: 'settled', version: '', fault: null, ...bundle }
  return {
    ...{ id, groups, isOnline: true, version: '0.1.0', model: 'gate', queued: 0, isTwin: false },
    bundles: new Map([['gate', view]]),
    ...rest,
  }
}

/** Ticks with answers by node. */
const go = (
  before: RolloutRecord,
  nodes: readonly FleetNode[],
  nowMs: number,
  answers: Record<string, Answer> = {},
  more: Partial<RolloutOptions> = {},
) => tick(before, nodes, (id) => answers[id] ?? null, nowMs, { ...options, ...more })

const onProbation = { installed: digest, state: 'probation' }

describe('one node', () => {
  it('is ordered, watched while it serves on probation, confirmed, and done when the bundle is settled', () => {
    let now = go(record, [node('a', ['canary'])], 0)
    expect(now.orders).toEqual([{ node: 'a', kind: 'model_install' }])
    now = go(now.record, [node('a', ['canary'])], 1000)
    expect(now.orders).toEqual([])
    const served = [node('a', ['canary'], { bundle: onProbation })]
    now = go(now.record, served, 2000)
    expect(now.record.nodes['a']).toMatchObject({ state: 'watching' })
    expect(go(now.record, served, 61_999).orders).toEqual([])
    now = go(now.record, served, 62_000)
    expect(now.orders).toEqual([{ node: 'a', kind: 'model_confirm' }])
    now = go(now.record, served, 62_500, { a: { isOk: true, state: 'settled' } })
    expect(now.record.nodes['a']).toMatchObject({ state: 'confirming' })
    now = go(now.record, [node('a', ['canary'], { bundle: { installed: digest } })], 63_000)
    expect(now.record.nodes['a']).toMatchObject({ state: 'done' })
  })

  it('whose candidate is in the shadow is watched there and again on probation', () => {
    const shadow = [node('a', ['canary'], { bundle: { candidate: digest, state: 'shadow' } })]
    let now = go(go(record, shadow, 0).record, shadow, 60_000)
    expect(now.orders).toEqual([{ node: 'a', kind: 'model_confirm' }])
    now = go(now.record, [node('a', ['canary'], { bundle: onProbation })], 61_000, {
      a: { isOk: true, state: 'probation' },
    })
    expect(now.record.nodes['a']).toEqual({ state: 'watching', sinceMs: 61_000 })
  })

  it.each<
    [string, Partial<FleetNode> & { bundle?: Bundle & { fault?: string } }, Record<string, Answer>, number, string]
  >([
    ['refuses', {}, { a: { isOk: false, error: 'golden picture' } }, 1000, 'golden picture'],
    ['does not answer', {}, {}, 31_000, 'not installed within 30 s'],
    ['is two devices', { isTwin: true }, {}, 1000, 'two devices have this id'],
  ])('that %s has failed', (_, more, answers, nowMs, reason) => {
    const ordered = go(record, [node('a', ['canary'])], 0).record
    const now = go(ordered, [node('a', ['canary'], more)], nowMs, answers)
    expect(now.record.nodes['a']).toMatchObject({ state: 'failed', reason: expect.stringContaining(reason) as string })
    expect(now.verdict).toEqual({ kind: 'stopped', sentence: 'canary: 1 of 1 nodes failed, and 0 may' })
  })

  it('that rolls back on probation has failed, with its reason', () => {
    const watching = go(record, [node('a', ['canary'], { bundle: onProbation })], 0).record
    const back = node('a', ['canary'], { bundle: { installed: 'old', fault: '3 starts in a row ended by a fault' } })
    expect(go(watching, [back], 1000).record.nodes['a']).toMatchObject({
      reason: '3 starts in a row ended by a fault',
    })
  })
})

describe('groups', () => {
  const canary = ['a', 'b', 'c', 'd'].map((id) => node(id, ['canary', 'site-a']))
  const rest = ['x', 'y'].map((id) => node(id, ['site-a']))
  const served = canary.map((one) => node(one.id, ['canary', 'site-a'], { bundle: { installed: digest } }))

  it('come one after the other, a bounded number of nodes at once, each node in its first group', () => {
    const now = go(record, [...canary, ...rest], 0, {}, { parallel: 3 })
    expect(now.orders.map((order) => order.node)).toEqual(['a', 'b', 'c'])
    const next = go(now.record, [...served, ...rest], 1000)
    expect(next.orders.map((order) => order.node)).toEqual(['x', 'y'])
    expect(countsOf(next.record, [...served, ...rest])).toEqual([
      { group: 'canary', nodes: 4, done: 4, busy: 0, failed: 0, offline: 0, waiting: 0 },
      { group: 'site-a', nodes: 2, done: 0, busy: 2, failed: 0, offline: 0, waiting: 0 },
    ])
  })

  it('a bad model stops at the first one, and no further node of it is ordered', () => {
    let now = go(record, [...canary, ...rest], 0, {}, { parallel: 2 })
    now = go(now.record, [...canary, ...rest], 1000, { a: { isOk: false, error: 'bad' } }, { parallel: 2 })
    expect(now.orders).toEqual([])
    expect(now.verdict.kind).toBe('stopped')
    expect(go(now.record, [...canary, ...rest], 2000).orders).toEqual([])
  })

  it('half of one that is offline stops it before the next one, and it goes on when they are back', () => {
    const half = served.map((one, i) => (i < 2 ? one : { ...canary[i]!, isOnline: false }))
    const now = go(record, [...half, ...rest], 0)
    expect(now.verdict).toEqual({
      kind: 'stopped',
      sentence: 'canary: 2 of 4 nodes are done and 2 are offline; 90 % must be done before the next group',
    })
    const back = go(resumed(now.record, false), [...served.slice(0, 2), ...canary.slice(2), ...rest], 1000)
    expect(back.orders.map((order) => order.node)).toEqual(['c', 'd'])
    const after = go(back.record, [...half, ...rest], 1000, {}, { minDone: 0.5 })
    expect(after.orders).toEqual([])
  })

  it('that has no nodes stops it: its name may be wrong', () => {
    expect(go(record, [], 0)).toMatchObject({ verdict: { kind: 'stopped' }, record: { outcome: 'unfinished' } })
    const all = [...served, ...rest.map((one) => node(one.id, ['site-a'], { bundle: { installed: digest } }))]
    expect(go(record, all, 0)).toMatchObject({ verdict: { kind: 'done' }, record: { outcome: 'done' } })
  })

  it('after a kill what was ordered is looked at anew, and what failed is left alone without --retry', () => {
    const nodes: RolloutRecord['nodes'] = {
      a: { state: 'ordered', sinceMs: 1 },
      b: { state: 'failed', sinceMs: 1, reason: 'x' },
      c: { state: 'done', sinceMs: 1 },
    }
    expect(Object.keys(resumed({ ...record, nodes }, false).nodes)).toEqual(['b', 'c'])
    expect(Object.keys(resumed({ ...record, nodes }, true).nodes)).toEqual(['c'])
  })
})

it('--max-failures is a number or a share, rounded down', () => {
  expect([allowance('1%')?.(99), allowance('1%')?.(100), allowance('2.5%')?.(200), allowance('3')?.(1)]).toEqual([
    ...[0, 1, 5, 3],
  ])
  expect(['', '-1', '1.5', '101%', 'many'].map(allowance)).toEqual([null, null, null, null, null])
})

describe('the census', () => {
  const says = (census: Census, topic: string, value: unknown): void =>
    census.take({
      topic: `gapcam/${topic}`,
      payload: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
      isRetained: true,
      properties: {},
    })
  const info = (boot: string) => ({ version: '0.1.0', boot, groups: ['site-a'], model: { id: 'gate' } })

  it('has what nodes say, and leaves one out that was removed', () => {
    const census = new Census('gapcam')
    says(census, 'a/info', info('1'))
    says(census, 'a/status', 'online')
    says(census, 'a/bundle', { name: 'gate', installed: { version: '1', digest }, state: 'settled', fault: null })
    says(census, 'b/info', info('2'))
    says(census, 'b/info', '')
    says(census, 'c/info', 'no json')
    says(census, 'groups/site-a/request/info', '{}')
    expect(census.nodes()).toMatchObject([
      { id: 'a', isOnline: true, groups: ['site-a'], isTwin: false, model: 'gate' },
    ])
    expect(census.nodes()[0]!.bundles.get('gate')).toMatchObject({ installed: digest, version: '1' })
  })

  it('a start that speaks again after another one is a second device; a restart is not', () => {
    const census = new Census('gapcam')
    for (const boot of ['1', '1', '2', '2', '3']) says(census, 'a/info', info(boot))
    expect(census.nodes()[0]!.isTwin).toBe(false)
    says(census, 'a/health', { boot: '2', mqtt: { queued: 7 } })
    expect(census.nodes()[0]).toMatchObject({ isTwin: true, queued: 7 })
  })
})

it('the first answer to an order counts, a second one is noted, others are ignored', () => {
  const sent: Message[] = []
  const orders = new Orders('gapcam', (message) => sent.push(message))
  orders.send('a', 'model_install', { name: 'gate' })
  const { transaction } = JSON.parse(String(sent[0]!.payload)) as { transaction: string }
  const answer = (body: unknown): void =>
    orders.take({
      topic: 'gapcam/a/response/model_install',
      payload: Buffer.from(JSON.stringify(body)),
      isRetained: false,
      properties: {},
    })
  answer({ status: 'ok', transaction: 'other' })
  expect(orders.answerOf('a')).toBeNull()
  answer({ status: 'error', error: 'bad', transaction })
  answer({ status: 'ok', transaction })
  expect(orders.answerOf('a')).toEqual({ isOk: false, error: 'bad' })
  expect([...orders.repeating]).toEqual(['a'])
})
