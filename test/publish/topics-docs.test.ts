/** What the documents say of topics is what the table says: docs/mqtt.md row by row, Node-RED's flow topic by topic. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { topicTable, type TopicRow } from '../../src/publish/topics.js'
import { commandKinds } from '../../src/run/commands.js'
import { projectRoot } from '../shared.js'

const rows = Object.values(topicTable) as readonly TopicRow[]
const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8')

/** `R/status` → ['R/status'], one or more a row of the table. */
function documented(): Map<string, { qos: string; retained: string }> {
  const table = read('docs/mqtt.md')
    .split('\n')
    .filter((line) => /^\| `[RC]\//.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  return new Map(
    table.flatMap(([, topics, , qos, retained]) =>
      [...topics!.matchAll(/`([^`]+)`/g)].map(([, topic]): [string, { qos: string; retained: string }] => [
        topic!,
        { qos: qos!, retained: retained! },
      ]),
    ),
  )
}

it('docs/mqtt.md has every topic with its QoS and retention, and no other', () => {
  const found = documented()
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
    // A picture is kept where the configuration says so.
    expect(found.get(topic)!.retained, topic).toMatch(isRetained ? /^yes$/ : /^(no|where `mqtt.retainImages` says so)$/)
  }
  expect([...found.keys()].filter((topic) => !ours.some(([name]) => name === topic) && topic !== 'R/ack')).toEqual([])
})

it('docs/mqtt.md names every command', () => {
  const text = read('docs/mqtt.md')
  expect(commandKinds.filter((kind) => !text.includes(`\n| \`${kind}\` |`))).toEqual([])
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

it("Node-RED's flow is whole: it parses, its wires lead somewhere, its topics are of the table, and it retains nothing", () => {
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

it("Node-RED's function lets each event through once, and tells a gap", () => {
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
