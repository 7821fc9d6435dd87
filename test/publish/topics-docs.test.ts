/**
 * The documents agree with the tables of topics, commands and event types: docs/mqtt.md, Home Assistant's page,
 * Node-RED's flow.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { eventTypes } from '../../src/decision/decision.js'
import { topicTable, type TopicRow } from '../../src/publish/topics.js'
import { commandKinds } from '../../src/run/commands/commands.js'
import { projectRoot } from '../shared.js'

const rows = Object.values(topicTable) as readonly TopicRow[]
const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8')

/** The topics of docs/mqtt.md with what it says about each; a row has one or more. */
function documented(): (readonly [string, { qos: string; retained: string }])[] {
  const table = read('docs/mqtt.md')
    .split('\n')
    .filter((line) => /^\| `[RC]\//.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  return table.flatMap(([, topics, , qos, retained]) =>
    [...topics!.matchAll(/`([^`]+)`/g)].map(([, topic]) => [topic!, { qos: qos!, retained: retained! }] as const),
  )
}

it('docs/mqtt.md has every topic once, with its QoS and retention, and no other', () => {
  const list = documented()
  const found = new Map(list)
  expect(list).toHaveLength(found.size)
  const ours = rows.map(
    ({ of, name, qos, isRetained }) =>
      [
        `${of === 'node' ? 'R' : 'C'}/${name}${name === 'request' || name === 'response' ? '/⟨command⟩' : ''}`,
        String(qos),
        isRetained,
      ] as const,
  )
  for (const [topic, qos, isRetained] of ours) {
    expect(found.get(topic), topic).toBeDefined()
    expect(found.get(topic)!.qos, topic).toBe(qos)
    // Pictures are retained where the configuration says so.
    expect(found.get(topic)!.retained, topic).toMatch(isRetained ? /^yes$/ : /^(no|where `mqtt.retainImages` says so)$/)
  }
  expect([...found.keys()].filter((topic) => !ours.some(([name]) => name === topic))).toEqual([])
})

it('docs/mqtt.md names every command', () => {
  const text = read('docs/mqtt.md')
  expect(commandKinds.filter((kind) => !text.includes(`\n| \`${kind}\` |`))).toEqual([])
})

it.each(['docs/mqtt.md', 'docs/home-assistant.md'])('%s names every type of event', (file) => {
  const text = read(file)
  expect(eventTypes.filter((type) => !text.includes(`\`${type}\``))).toEqual([])
})

interface FlowNode {
  id: string
  type: string
  z?: string
  topic?: string
  qos?: string
  retain?: string
  broker?: string
  datatype?: string
  func?: string
  wires?: string[][]
}

it("Node-RED's flow is valid: it parses, its wires have targets, its topics are in the table, and it retains nothing", () => {
  const flow = JSON.parse(read('docs/node-red-flow.json')) as FlowNode[]
  const byId = new Map(flow.map((node) => [node.id, node]))
  expect(byId.size).toBe(flow.length)
  const broker = flow.find(({ type }) => type === 'mqtt-broker')!
  for (const node of flow) {
    for (const id of node.wires?.flat() ?? []) expect(byId.has(id), `${node.id} → ${id}`).toBe(true)
    if (node.z !== undefined) expect(byId.get(node.z)?.type).toBe('tab')
    if (node.type === 'function') expect(() => new Function('msg', 'context', 'node', node.func!)).not.toThrow()
  }
  const mqtt = flow.filter(({ type }) => type === 'mqtt in' || type === 'mqtt out')
  expect(mqtt.length).toBeGreaterThan(8)
  for (const { type, topic, retain, broker: id } of mqtt) {
    const row = rows.find(
      ({ of, name }) =>
        new RegExp(`^gapcam/dock1/${of === 'node' ? '' : '(\\+|cam0)/'}${name}(/.+)?$`).test(topic!) &&
        ((name !== 'enabled' && name !== 'threshold') || !topic!.endsWith('/set')),
    )
    expect(row, topic).toBeDefined()
    expect(row!.isIncoming ?? false, topic).toBe(type === 'mqtt out')
    if (type === 'mqtt out') expect(retain).toBe('false')
    expect(id).toBe(broker.id)
  }
})

it("Node-RED's function passes each event once, and warns of a gap", () => {
  const { func } = (JSON.parse(read('docs/node-red-flow.json')) as FlowNode[]).find(({ type }) => type === 'function')!
  const memory = new Map<string, unknown>()
  const warnings: string[] = []
  const run = new Function('msg', 'context', 'node', func!) as (
    msg: { payload: unknown },
    context: unknown,
    node: unknown,
  ) => unknown
  const pass = (payload: unknown): boolean =>
    run(
      { payload },
      { get: (key: string) => memory.get(key), set: (key: string, value: unknown) => memory.set(key, value) },
      { warn: (text: string) => warnings.push(text) },
    ) !== null
  expect([
    pass({ boot: 'a', seq: 1 }),
    pass({ boot: 'a', seq: 2 }),
    pass({ boot: 'a', seq: 1 }),
    pass({ boot: 'b', seq: 1 }),
  ]).toEqual([true, true, false, true])
  expect(pass({ boot: 'b', seq: 9, event_type: 'gap', missing: 5 })).toBe(false)
  expect(warnings).toEqual(['5 events were lost'])
  for (let seq = 0; seq < 3000; seq++) pass({ boot: 'c', seq })
  expect(Object.keys(memory.get('seen') as object).length).toBeLessThanOrEqual(1001)
})
