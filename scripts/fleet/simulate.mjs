// Ten thousand nodes in one process against one mosquitto: real MQTT sessions, the real publisher and outbox policy.
//
//     node scripts/fleet/simulate.mjs                                all scenarios with 10,000 nodes; one line of JSON each
//     node scripts/fleet/simulate.mjs --nodes 200 --scenario birth   one of power-on, restart, birth, backlog, rollout
//     node scripts/fleet/simulate.mjs --nodes 500 --stay             keeps the nodes up, for gapcam fleet status
//     ... --stay --bad gate-3.0.0.gapcam                             and lets each node go back from that bundle by itself
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { bundleBytes, readBundleHead } from '../../dist/bundle/archive.js'
import { packBundle } from '../../dist/bundle/pack.js'
import { freePort } from '../bench/loopback.mjs'
import { pause, reached, startBroker, temporaryFolder } from '../faults/parts.mjs'
import { seen, virtualNode } from './nodes.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const eventsEach = 100
const patienceMs = 600_000
const seconds = (ms) => Math.round(ms / 100) / 10

/** Resolves with the seconds until all are connected; null when the patience ends. */
async function untilUp(nodes, sinceMs = performance.now()) {
  const isUp = await reached(() => nodes.every(({ publisher }) => publisher.stats().connected), patienceMs)
  return isUp ? seconds(performance.now() - sinceMs) : null
}

const scenarios = {
  /** Every node is switched on at the same moment. */
  async 'power-on'({ nodes, rssBefore }) {
    const startMs = performance.now()
    for (const { publisher } of nodes) await publisher.start()
    const upS = await untilUp(nodes, startMs)
    await settle(nodes)
    const kbPerNode = Math.round((process.memoryUsage().rss - rssBefore) / 1024 / nodes.length)
    return { up_s: upS, announced_s: seconds(performance.now() - startMs), kb_per_node: kbPerNode, held: upS !== null }
  },

  /** The broker stops and starts again: all sessions break at once. */
  async restart({ nodes, broker }) {
    await broker.kill()
    await reached(() => nodes.every(({ publisher }) => !publisher.stats().connected), patienceMs)
    const backMs = performance.now()
    await broker.start()
    const upS = await untilUp(nodes, backMs)
    await settle(nodes)
    return { reconnect_s: upS, held: upS !== null }
  },

  /** Home Assistant starts: every node sends everything again, at a random moment. */
  async birth({ nodes, broker, birthJitterS }) {
    seen.repeatsMs.length = 0
    const client = await connectAsync(broker.url)
    await client.publishAsync('homeassistant/status', 'online', { qos: 1 })
    await client.endAsync()
    const isDone = await reached(() => seen.repeatsMs.length >= nodes.length, patienceMs)
    const from = Math.min(...seen.repeatsMs)
    const perSecond = new Map()
    for (const ms of seen.repeatsMs) {
      const second = Math.floor((ms - from) / 1000)
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    }
    const worst = Math.max(...perSecond.values()) / nodes.length
    await settle(nodes)
    return {
      jitter_s: birthJitterS,
      answers: seen.repeatsMs.length,
      worst_second_share: Math.round(worst * 1e4) / 1e4,
      held: isDone,
    }
  },

  /** The site was cut off for a day: every node has a hundred events. */
  async backlog({ nodes, broker }) {
    await broker.kill()
    await reached(() => nodes.every(({ publisher }) => !publisher.stats().connected), patienceMs)
    for (let event = 0; event < eventsEach; event++) {
      for (const node of nodes) node.change()
      await pause(0)
    }
    const rssMb = Math.round(process.memoryUsage().rss / 2 ** 20)
    const ledger = fork(join(root, 'scripts/fleet/ledger.mjs'), [broker.url, nodes.length, eventsEach].map(String))
    const isReady = once(ledger, 'message')
    await broker.start()
    const backMs = performance.now()
    await isReady
    const count = async () => {
      ledger.send('count')
      return (await once(ledger, 'message'))[0]
    }
    const isDrained = await reached(() => nodes.every(({ publisher }) => publisher.stats().queued === 0), patienceMs)
    const drainedS = seconds(performance.now() - backMs)
    const told = await count()
    ledger.kill('SIGKILL')
    const dropped = nodes.reduce((sum, { publisher }) => sum + publisher.stats().dropped, 0)
    return {
      events: nodes.length * eventsEach,
      drained_s: drainedS,
      ...told,
      dropped,
      rss_mb: rssMb,
      held: isDrained && told.lost === 0,
    }
  },

  /** gapcam fleet rollout over a canary group of 1 % and then over all nodes. */
  async rollout({ nodes, broker }) {
    const { folder, remove } = temporaryFolder()
    const { head, files } = await packBundle({
      ...{ model: join(root, 'models/convnet-gap.onnx'), name: 'gate', version: '2.0.0', license: 'Apache-2.0' },
      ...{ pictures: [join(root, 'models/photos/cat.jpg')], heads: new Map(), reading: {} },
    })
    const file = join(folder, 'gate-2.0.0.gapcam')
    writeFileSync(file, await bundleBytes({ ...head, signatures: [] }, files))
    const flags = ['--group', 'canary', '--then', 'site-a', '--watch', '1', '--parallel', '500', '--yes']
    const startMs = performance.now()
    const child = spawn(
      process.execPath,
      [join(root, 'dist/cli/main.js'), 'fleet', 'rollout', file, ...flags, '--broker', broker.url, '--json'],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, GAPCAM_STATE_DIR: folder } },
    )
    let [lines, said] = ['', '']
    child.stdout.on('data', (chunk) => (lines += chunk))
    child.stderr.on('data', (chunk) => (said += chunk))
    const [status] = await once(child, 'exit')
    remove()
    const done = lines.split('\n').filter((line) => line.includes('"state":"done"')).length
    return {
      rollout_s: seconds(performance.now() - startMs),
      done,
      status,
      said: said.trim(),
      held: status === 0 && done === nodes.length,
    }
  },
}

/** Waits until nothing is under way. */
const settle = (nodes) =>
  Promise.all(nodes.map(({ publisher }) => publisher.delivered(AbortSignal.timeout(patienceMs))))

async function main() {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '10000' },
      scenario: { type: 'string' },
      'birth-jitter': { type: 'string', default: '30' },
      stay: { type: 'boolean', default: false },
      bad: { type: 'string' },
    },
  })
  const count = Number(values.nodes)
  const birthJitterS = Number(values['birth-jitter'])
  if (values.scenario !== undefined && !(values.scenario in scenarios))
    throw new Error(`--scenario: there are ${Object.keys(scenarios).join(', ')}`)
  const bad = values.bad === undefined ? null : (await readBundleHead(values.bad)).digest
  const broker = await startBroker(await freePort())
  const rssBefore = process.memoryUsage().rss
  const nodes = []
  for (let i = 0; i < count; i++) {
    const groups = i % 100 === 0 ? ['canary', 'site-a'] : ['site-a']
    nodes.push(await virtualNode({ id: `n${i}`, groups, url: broker.url, birthJitterS, bad }))
  }
  const wanted = values.stay ? ['power-on'] : values.scenario ? ['power-on', values.scenario] : Object.keys(scenarios)
  let isHeld = true
  for (const name of new Set(wanted)) {
    const report = await scenarios[name]({ nodes, broker, birthJitterS, rssBefore })
    isHeld &&= report.held
    console.log(JSON.stringify({ scenario: name, nodes: count, ...report }))
  }
  if (values.stay) {
    console.log(`gapcam fleet status --broker ${broker.url}`)
    await once(process, 'SIGINT')
  }
  // The broker goes first: ten thousand farewells are not part of any figure.
  await broker.close()
  process.exit(isHeld ? 0 : 1)
}

await main()
