/** A node with zones on a real broker: their topics, their commands, and that a removed zone leaves nothing behind. */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/config.js'
import { createLogger } from '../../../src/log.js'
import { openNode, type Node } from '../../../src/run/node.js'
import {
  cleanUp,
  hasMosquitto,
  startMosquitto,
  subscribe,
  temporaryFolder,
  until,
  type Mosquitto,
} from '../../publish/mosquitto.js'
import { Random } from '../../random.js'
import { projectRoot } from '../../shared.js'

const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
  await cleanUp()
})

const model = join(projectRoot, 'models/convnet-gap.onnx')
const quick = { threshold: 0, hysteresis: 0, margin: 0, consecutive: 1, smoothingMs: 0 }

interface Running {
  readonly node: Node
  /** Executes a command, and gives its data; throws its error. */
  ask(command: Record<string, unknown>): Promise<Readonly<Record<string, unknown>>>
  stop(): Promise<void>
}

async function start(broker: Mosquitto, folder: string, camera: Record<string, unknown>, more = {}): Promise<Running> {
  const { config } = loadConfig({
    flags: {},
    environment: {},
    values: {
      node: 'z',
      model,
      threads: 1,
      stateDir: folder,
      mqtt: { broker: broker.url, imageEveryMs: -1, stateEveryMs: 100 },
      page: { enabled: false },
      policy: quick,
      cameras: [{ id: 'yard', source: 'test://', fps: 20, ...camera }],
      ...more,
    },
  })
  const stopping = new AbortController()
  const node = await openNode({ config, log: createLogger('silent') }, stopping.signal)
  const ended = node.run()
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended.finally(() => node.close())
  }
  let isStopped = false
  const stopOnce = (): Promise<void> => {
    if (isStopped) return Promise.resolve()
    isStopped = true
    return stop()
  }
  opened.push(stopOnce)
  return {
    node,
    stop: stopOnce,
    async ask(command) {
      const result = await node.commands.execute(command, 'mqtt')
      if (result.status === 'error') throw new Error(result.error)
      return result.data
    },
  }
}

/** Everything that the broker retains below `gapcam/z` and of Home Assistant, by topic. */
async function retainedAll({ port }: Mosquitto): Promise<Map<string, string>> {
  const { messages, stop } = await subscribe(port, '#')
  await stop()
  return new Map(messages.filter(({ retain }) => retain === 1).map(({ topic, payload }) => [topic, payload]))
}

const stateOf = (topics: Map<string, string>, zone: string): Record<string, unknown> =>
  JSON.parse(topics.get(`gapcam/z/yard/${zone}/state`) ?? '{}') as Record<string, unknown>
/** The zones that have a retained topic. */
const zonesIn = (topics: Map<string, string>): string[] => [
  ...new Set([...topics.keys()].flatMap((topic) => /^gapcam\/z\/yard\/([^/]+)\/[^/]+$/.exec(topic)?.[1] ?? [])),
]
const entities = (topics: Map<string, string>): Record<string, { platform: string; name?: string }> =>
  (JSON.parse(topics.get('homeassistant/device/gapcam_z/config') ?? '{"components":{}}') as { components: never })
    .components
/** Keys of zones' entities that are announced, without those that are only removed. */
const zoneEntities = (topics: Map<string, string>): string[] =>
  Object.entries(entities(topics)).flatMap(([key, { name }]) =>
    name === undefined ? [] : (/^zone_(.+)_label$/.exec(key)?.[1] ?? []),
  )

describe.skipIf(!hasMosquitto)('zones of the configuration', () => {
  it('have topics of their own, and the camera keeps what is its own; one that cannot look says why', async () => {
    const broker = await startMosquitto()
    const { node, ask } = await start(broker, temporaryFolder(), {
      zones: [
        { id: 'gate', name: 'Garden gate', region: { x: 0, y: 0, w: 0.5, h: 0.5 }, policy: { threshold: 0.01 } },
        {
          id: 'bin',
          region: [
            [0.5, 0.5],
            [1, 0.5],
            [0.7, 1],
          ],
          trigger: 'command',
        },
        { id: 'bad', model: 'no/such.onnx' },
      ],
    })
    await until(async () => stateOf(await retainedAll(broker), 'gate')['trigger'] === 'always', 'labels')
    const topics = await retainedAll(broker)
    expect([...topics.keys()].filter((topic) => topic.startsWith('gapcam/z/yard/')).sort()).toEqual(
      [
        ...['bad', 'bin', 'gate'].flatMap((zone) =>
          ['enabled', 'label', 'state', 'threshold'].map((name) => `gapcam/z/yard/${zone}/${name}`),
        ),
        'gapcam/z/yard/enabled',
        'gapcam/z/yard/status',
      ].sort(),
    )
    expect(topics.get('gapcam/z/yard/gate/threshold')).toBe('0.01')
    expect(stateOf(topics, 'gate')).toMatchObject({ label: expect.stringMatching(/^class/), trigger: 'always' })
    expect(stateOf(topics, 'bin')).toMatchObject({ label: expect.stringMatching(/^class/), trigger: 'start' })
    expect(stateOf(topics, 'bad')).toMatchObject({
      label: 'unknown',
      reason: 'unavailable',
      detail: expect.stringContaining('no/such.onnx'),
    })
    expect(entities(topics)['zone_gate_label']).toMatchObject({ name: 'Garden gate' })
    expect(entities(topics)).not.toHaveProperty('label')
    expect(await ask({ kind: 'classify_now', zone: 'bin' })).toMatchObject({ camera: 'yard', zone: 'bin' })
    await expect(ask({ kind: 'classify_now', zone: 'bad' })).rejects.toThrow(/unavailable/)
    await expect(ask({ kind: 'threshold', value: 0.5 })).rejects.toThrow(/one of yard\/gate, yard\/bin, yard\/bad/)
    expect(node.metrics.frames).toBeGreaterThan(0)
  })

  it('look only when their trigger says so, and share a model that both name', async () => {
    const broker = await startMosquitto()
    const { node, ask } = await start(
      broker,
      temporaryFolder(),
      {
        zones: [
          { id: 'asked', trigger: 'command', model: 'conv' },
          { id: 'also', trigger: 'command', model },
        ],
      },
      { models: { conv: { path: model } } },
    )
    await until(async () => node.metrics.frames >= 2, 'the first looks')
    await wait(300)
    const before = node.metrics.frames
    await wait(300)
    expect(node.metrics.frames).toBe(before)
    expect(await ask({ kind: 'classify_now', zone: 'asked' })).toMatchObject({ zone: 'asked' })
    expect(node.metrics.frames).toBe(before + 1)
  })

  it('can be switched off alone, and follow their camera', async () => {
    const broker = await startMosquitto()
    const { ask } = await start(broker, temporaryFolder(), { zones: [{ id: 'gate' }, { id: 'bin' }] })
    await until(
      async () => (await retainedAll(broker)).get('gapcam/z/yard/bin/label')?.startsWith('class') === true,
      'labels',
    )
    expect(await ask({ kind: 'enabled', zone: 'gate', value: false })).toMatchObject({ zone: 'gate', value: false })
    let topics = await retainedAll(broker)
    expect(stateOf(topics, 'gate')).toMatchObject({ label: 'unknown', reason: 'zone_disabled' })
    expect(topics.get('gapcam/z/yard/status')).toBe('online')
    expect(topics.get('gapcam/z/yard/gate/enabled')).toBe('OFF')
    expect(topics.get('gapcam/z/yard/bin/enabled')).toBe('ON')
    await expect(ask({ kind: 'classify_now', zone: 'gate' })).rejects.toThrow('zone yard/gate is disabled')
    await ask({ kind: 'enabled', camera: 'yard', value: false })
    await until(async () => stateOf(await retainedAll(broker), 'bin')['reason'] === 'camera_disabled', 'the pause')
    await ask({ kind: 'enabled', camera: 'yard', value: true })
    await until(
      async () => (await retainedAll(broker)).get('gapcam/z/yard/bin/label')?.startsWith('class') === true,
      'the return',
    )
    topics = await retainedAll(broker)
    expect(topics.get('gapcam/z/yard/gate/label')).toBe('unknown')
  })
})

describe.skipIf(!hasMosquitto)('zones of commands', () => {
  it('are added beside the whole picture, renamed, kept over a restart, and removed without a trace', async () => {
    const broker = await startMosquitto()
    const folder = temporaryFolder()
    const first = await start(broker, folder, {})
    const region = { x: 0.1, y: 0.1, w: 0.4, h: 0.4 }
    const made = await first.ask({ kind: 'zone_set', zone: 'gate', values: { region, policy: { threshold: 0.1 } } })
    expect(made).toMatchObject({ camera: 'yard', zone: 'gate', revision: expect.any(String) })
    // Two editors at once: of one version of the zone only one change is taken, and other keys are never undone.
    const [revision, kind, zone] = [made['revision'], 'zone_set', 'gate'] as const
    const both = await Promise.allSettled([
      first.ask({ kind, zone, revision, values: { name: 'Gate' } }),
      first.ask({ kind, zone, revision, values: { name: 'Door' } }),
    ])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await Promise.all([
      first.ask({ kind, zone, values: { name: 'Garden gate' } }),
      first.ask({ kind, zone, values: { mask: 'none' } }),
    ])
    expect(await first.ask({ kind, zone, values: {} })).toMatchObject({ values: { name: 'Garden gate', mask: 'none' } })
    const set = first.ask({ kind: 'zone_set', zone: 'bin', values: {} })
    // A question about a zone that is known and not open yet waits for it.
    let seen: Readonly<Record<string, unknown>> | null = null
    const look = (): Promise<Readonly<Record<string, unknown>> | null> =>
      first.ask({ kind: 'classify_now', zone: 'bin' }).catch((error: Error) => {
        if (error.message.includes('is none of')) return null
        throw error
      })
    await until(async () => (seen = await look()) !== null, 'an answer')
    expect(seen).toMatchObject({ zone: 'bin', top: expect.any(Array) })
    await set
    await until(
      async () => (await retainedAll(broker)).get('gapcam/z/yard/gate/label')?.startsWith('class') === true,
      'a label',
    )
    expect((await retainedAll(broker)).has('gapcam/z/yard/label')).toBe(true)
    await expect(
      first.ask({ kind: 'zone_set', zone: 'gate', values: { mask: 'none' }, revision: 'another' }),
    ).rejects.toThrow(/was changed meanwhile/)
    await expect(first.ask({ kind: 'zone_set', zone: 'gate', values: { region: '0,0,2,1' } })).rejects.toThrow(/region/)
    await expect(first.ask({ kind: 'zone_set', zone: 'gate', values: { dwell: { 'clas 3': '5s' } } })).rejects.toThrow(
      /^dwell: its model has no label clas 3; did you mean class ?3\?$/,
    )
    // Neither of two changes that are asked for at once undoes the other.
    await Promise.all([
      first.ask({ kind: 'zone_set', zone: 'gate', rename: 'door', values: {} }),
      first.ask({ kind: 'zone_remove' }),
    ])
    await until(async () => !(await retainedAll(broker)).has('gapcam/z/yard/label'), 'the removal of the own question')
    await first.stop()
    expect(zonesIn(await retainedAll(broker)).sort()).toEqual(['bin', 'door'])
    const second = await start(broker, folder, {})
    await until(
      async () => (await retainedAll(broker)).get('gapcam/z/yard/door/label')?.startsWith('class') === true,
      'the zone again',
    )
    let topics = await retainedAll(broker)
    expect(topics.get('gapcam/z/yard/door/threshold')).toBe('0.1')
    expect(topics.has('gapcam/z/yard/label')).toBe(false)
    expect(zoneEntities(topics).sort()).toEqual(['bin', 'door'])
    await second.ask({ kind: 'zone_remove', zone: 'bin' })
    await second.ask({ kind: 'zone_remove', zone: 'door' })
    await until(
      async () => (await retainedAll(broker)).get('gapcam/z/yard/label')?.startsWith('class') === true,
      'the own question',
    )
    topics = await retainedAll(broker)
    expect(zonesIn(topics)).toEqual([])
    expect(zoneEntities(topics)).toEqual([])
    expect(entities(topics)['zone_door_label']).toEqual({ platform: 'sensor' })
  })

  it('that were removed while gapcam was away are cleared at the next start', async () => {
    const broker = await startMosquitto()
    const folder = temporaryFolder()
    const first = await start(broker, folder, { zones: [{ id: 'gate' }, { id: 'bin' }] })
    await until(async () => zonesIn(await retainedAll(broker)).length === 2, 'both zones')
    await first.stop()
    await start(broker, folder, { zones: [{ id: 'bin' }] })
    await until(async () => !zonesIn(await retainedAll(broker)).includes('gate'), 'the removal')
    expect(zoneEntities(await retainedAll(broker))).toEqual(['bin'])
  })

  it('in any order, with the broker away in between: what is retained is what there is', async () => {
    const operations = Number(process.env['GAPCAM_ZONE_OPERATIONS'] ?? 100)
    const broker = await startMosquitto()
    const { ask, node } = await start(broker, temporaryFolder(), {})
    await until(async () => (await retainedAll(broker)).get('gapcam/z/status') === 'online', 'the connection')
    const random = new Random(20)
    const there = new Set<string>()
    const names = Array.from({ length: 20 }, (_, i) => `z${i}`)
    const pick = <T>(list: readonly T[]): T => list[random.between(0, list.length - 1)]!
    for (let i = 0; i < operations; i++) {
      // The broker is away for a fifth of the time, and loses what it had.
      if (i % 50 === 20) await broker.kill()
      if (i % 50 === 30) await broker.restart()
      const free = names.filter((name) => !there.has(name))
      const what = there.size === 0 ? 0 : free.length === 0 ? 1 : random.between(0, 2)
      const [name, other] = [what === 0 ? pick(free) : pick([...there]), free.length > 0 ? pick(free) : '']
      const region = { x: random.between(0, 40) / 100, y: 0, w: 0.5, h: 1 }
      const command =
        what === 0
          ? { kind: 'zone_set', zone: name, values: { region } }
          : what === 1
            ? { kind: 'zone_remove', zone: name }
            : { kind: 'zone_set', zone: name, rename: other, values: {} }
      if (what > 0) there.delete(name)
      if (what !== 1) there.add(what === 0 ? name : other)
      const asked = ask({ camera: 'yard', ...command })
      // Some changes wait for the one before, others come while it is under way.
      if (i % 7 === 6) await asked
      else await Promise.race([asked, wait(5)])
    }
    const isExact = async (): Promise<boolean> => {
      const topics = await retainedAll(broker)
      const zones = zonesIn(topics).sort()
      const isWhole = [...there].every((zone) =>
        ['label', 'state', 'enabled', 'threshold'].every((name) => topics.has(`gapcam/z/yard/${zone}/${name}`)),
      )
      const announced = zoneEntities(topics).sort()
      return isWhole && String(zones) === String([...there].sort()) && String(announced) === String(zones)
    }
    await until(isExact, `exactly the zones ${[...there].sort().join(', ')}`, 30_000)
    // Events of removed zones that waited for the broker are told, too.
    await until(() => node.publisher.stats().queued === 0, 'the events that waited')
    const heard = await subscribe(broker.port, 'gapcam/z/#')
    await until(() => heard.messages.some(({ retain }) => retain === 0), 'a message of a frame')
    await heard.stop()
    const ofOthers = heard.messages.filter(({ topic }) => {
      const zone = /^gapcam\/z\/yard\/([^/]+)\/[^/]+$/.exec(topic)?.[1]
      return zone !== undefined && !there.has(zone)
    })
    expect(ofOthers.map(({ topic, payload }) => `${topic} ${String(payload)}`)).toEqual([])
    expect(node.publisher.stats().connected).toBe(true)
  })
})
