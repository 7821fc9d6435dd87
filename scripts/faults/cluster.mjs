// What a cluster of three brokers keeps and loses when a member is killed:
//
//   node scripts/faults/cluster.mjs nats|rmqtt PROGRAM [--rows retained,sessions,shared,events] [--kills 10] [--json]
//
// PROGRAM: `go install github.com/nats-io/nats-server/v2@v2.15.3` makes nats-server, `cargo install rmqttd --locked` rmqttd.
// Prints a row for each question. The events are gapcam's own publisher with application acknowledgements; it and the
// consumer reach the cluster through a balancer, which stands for the one that a site would have.
import { parseArgs } from 'node:util'
import { connect as connectMqtt } from 'mqtt'
import { clusterKinds, startBalancer, startCluster } from './clusters.mjs'
import { randomOf } from './disk.mjs'
import { compare, flow, pause, reached, startConsumer, startPublisher, temporaryFolder } from './parts.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '10' },
    rows: { type: 'string', default: 'retained,sessions,shared,events' },
    json: { type: 'boolean', default: false },
  },
})
const [kind, program] = positionals
if (!clusterKinds.includes(kind) || program === undefined)
  throw new Error(`usage: node scripts/faults/cluster.mjs ${clusterKinds.join('|')} PROGRAM [--kills 10] [--json]`)

/** A client of one member that keeps what it hears. Rejects if the member refuses it within ten seconds. */
async function client(member, settings = {}) {
  const heard = []
  const made = connectMqtt(member.url, { protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 10_000, ...settings })
  made.on('message', (topic, payload) => heard.push({ topic, text: payload.toString() }))
  await new Promise((resolve, reject) => {
    made.once('connect', resolve)
    made.on('error', reject)
    made.once('close', () => reject(new Error('the member closes the connection')))
  })
  return {
    heard,
    /** Resolves with the granted level; 128 where the broker refuses. */
    subscribe: (topic) =>
      new Promise((resolve) =>
        made.subscribe(topic, { qos: 1 }, (error, granted) => resolve(error ? 128 : (granted[0]?.qos ?? 128))),
      ),
    publish: (topic, text, retain = false) =>
      new Promise((resolve, reject) =>
        made.publish(topic, text, { qos: 1, retain }, (error) => (error ? reject(error) : resolve())),
      ),
    close: () => new Promise((resolve) => made.end(true, {}, resolve)),
  }
}

/** The retained message of a topic on a member; null where none comes within two seconds. */
async function retained(member, topic) {
  const reader = await client(member)
  await reader.subscribe(topic)
  await reached(() => reader.heard.length > 0, 2000)
  await reader.close()
  return reader.heard[0]?.text ?? null
}

/** Retries while a cluster finds its new leader. Resolves with the milliseconds that it took; null after a minute. */
async function until(attempt) {
  const beganMs = performance.now()
  while (performance.now() - beganMs < 60_000) {
    try {
      const result = await Promise.race([attempt(), pause(5000).then(() => false)])
      if (result !== false) return Math.round(performance.now() - beganMs)
    } catch {
      // A member without a leader closes the connection.
    }
    await pause(100)
  }
  return null
}

const label = 'gapcam/dock1/cam0/label'

/** Is a retained label on every member, after its own member died, and on that member when it is back? */
async function retainedLabels({ members }) {
  const [first, second, third] = members
  const say = (member, text) =>
    until(async () => {
      const writer = await client(member)
      await writer.publish(label, text, true)
      await writer.close()
    })
  await say(first, 'open')
  await pause(500)
  const elsewhere = [await retained(second, label), await retained(third, label)]
  await first.kill()
  const newAfterMs = await say(second, 'closed')
  const afterDeath = [await retained(second, label), await retained(third, label)]
  await pause(30_000)
  const later = [await retained(second, label), await retained(third, label)]
  await first.start()
  await pause(5000)
  return { elsewhere, newAfterMs, afterDeath, later, onTheReturned: await retained(first, label) }
}

/** Does a session that waits on one member get its events on another, with its member alive and dead? */
async function sessions({ members }) {
  const [first, second, third] = members
  const results = {}
  for (const state of ['alive', 'dead']) {
    const settings = { clientId: `waiting-${state}`, clean: false }
    const topic = `gapcam/dock2/${state}/event`
    const before = await client(second, settings)
    await before.subscribe(topic)
    await before.close()
    await pause(500)
    const writer = await client(first)
    for (let i = 0; i < 20; i++) await writer.publish(topic, `${i}`)
    await writer.close()
    if (state === 'dead') await second.kill()
    let after = null
    const tookMs = await until(async () => {
      after = await client(third, settings)
    })
    if (after) await reached(() => after.heard.length >= 20, 15_000)
    results[state] = { tookMs, of20: after ? new Set(after.heard.map(({ text }) => text)).size : 0 }
    await after?.close()
  }
  await second.start()
  return results
}

/** Does each event of a shared subscription reach one of two consumers on two members, and the one that is left when the other's member died? */
async function sharedSubscriptions({ members }) {
  const [first, second, third] = members
  const shared = '$share/collectors/gapcam/dock3/event'
  const consumers = []
  for (const member of [second, third]) await until(async () => consumers.push(await client(member)))
  const granted = []
  for (const one of consumers) granted.push(await one.subscribe(shared))
  const isRefused = granted.some((level) => level > 2)
  const writer = await client(first)
  const publish40 = async () => {
    for (let i = 0; i < 40; i++) await writer.publish('gapcam/dock3/event', `${i}`)
    await pause(2000)
    return consumers.map(({ heard }) => heard.length)
  }
  const each = await publish40()
  await second.kill()
  await pause(5000)
  const [, all] = await publish40()
  for (const one of [...consumers, writer]) await one.close()
  await second.start()
  return { isRefused, each, of40: each[0] + each[1], afterDeathOf40: all - each[1] }
}

/** Events with application acknowledgements, while members are killed one after the other. */
async function events({ members }, kills) {
  const { folder, remove } = temporaryFolder()
  const forPublisher = await startBalancer(members, 0)
  const forConsumer = await startBalancer(members, 1)
  const consumer = await startConsumer(forConsumer.url, { isAcknowledging: true })
  const maker = await startPublisher({ url: forPublisher.url, folder, ack: 'application' })
  const random = randomOf(1)
  const rate = flow(maker.send, 50)
  for (let kill = 0; kill < kills; kill++) {
    await reached(() => maker.publisher.stats().connected, 60_000)
    await pause(1000 + random() * 2000)
    const member = members[Math.floor(random() * members.length)]
    await member.kill()
    await pause(500 + random() * 2000)
    await member.start()
  }
  rate.stop()
  const isDone = await reached(
    () => maker.publisher.stats().queued === 0 && consumer.received.size >= maker.sent,
    180_000,
  )
  const { reconnects } = maker.publisher.stats()
  const ledger = compare(maker.sent, consumer)
  await maker.publisher.close()
  await consumer.close()
  for (const balancer of [forPublisher, forConsumer]) balancer.close()
  remove()
  return { kills, isDone, reconnects, ...ledger }
}

const cluster = await startCluster(kind, program)
try {
  const rows = {
    retained: () => retainedLabels(cluster),
    sessions: () => sessions(cluster),
    shared: () => sharedSubscriptions(cluster),
    events: () => events(cluster, Number(options.kills)),
  }
  // Its members elect a leader first.
  await until(async () => {
    const one = await client(cluster.members[0])
    await one.publish('gapcam/ready', '1')
    await one.close()
  })
  for (const row of options.rows.split(',')) {
    const result = await rows[row]().catch((error) => ({ error: error.message }))
    // Of members that ended at their start, so far.
    const restarts = cluster.members.reduce((sum, member) => sum + member.restarts, 0)
    const report = { ...result, restarts }
    console.log(options.json ? JSON.stringify({ row, ...report }) : `${row}: ${JSON.stringify(report)}`)
  }
} finally {
  await cluster.close()
}
