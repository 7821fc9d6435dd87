// Kills an InfluxDB again and again while events flow to it, and compares its points with the events that were made.
//
//     node scripts/faults/influx.mjs                       Debian's influxd (package influxdb), 5 kills
//     node scripts/faults/influx.mjs --kills 200           the whole campaign
//     node scripts/faults/influx.mjs --program ./influxd --version 2
//
// `go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10` makes an influxd that also has the interface of version 2.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startHttpOutput } from '../../dist/outputs/http.js'
import { influxRequest, pointOf } from '../../dist/outputs/influx.js'
import { openDurableOutbox } from '../../dist/publish/outbox/durable.js'
import { freePort } from '../bench/loopback.mjs'
import { randomOf } from './disk.mjs'
import { flow, pause, quietLog, reached, systemClock, temporaryFolder } from './parts.mjs'

const database = 'gapcam'
/** Texts that the line protocol escapes, and some that it does not. */
const labels = ['open', 'tabby, tabby cat', 'a "b" c\\', 'x=y z', '雪 \u{1f6aa}']

/** An InfluxDB 1 with its own folder; `kill` is a SIGKILL. */
async function startInflux(program) {
  const { folder, remove } = temporaryFolder()
  const [port, backup] = [await freePort(), await freePort()]
  const file = join(folder, 'influxdb.conf')
  writeFileSync(
    file,
    `reporting-disabled = true
bind-address = "127.0.0.1:${backup}"
[meta]
dir = "${folder}/meta"
[data]
dir = "${folder}/data"
wal-dir = "${folder}/wal"
[http]
bind-address = "127.0.0.1:${port}"
log-enabled = false
[monitor]
store-enabled = false
`,
  )
  const url = `http://127.0.0.1:${port}`
  const isUp = () =>
    fetch(`${url}/ping`).then(
      ({ status }) => status === 204,
      () => false,
    )
  let child = null
  const start = async () => {
    child = spawn(program, ['-config', file], { stdio: 'ignore' })
    const failed = once(child, 'error').then(([error]) => {
      throw error
    })
    const answers = async () => {
      while (!(await isUp())) {
        if (child.exitCode !== null) throw new Error(`${program} ended at its start`)
        await pause(20)
      }
    }
    await Promise.race([answers(), failed])
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    url,
    start,
    kill,
    /** The values of each row that a query finds. */
    query: async (q) => {
      const response = await fetch(`${url}/query`, { method: 'POST', body: new URLSearchParams({ db: database, q }) })
      const { results } = await response.json()
      return results[0].series?.[0].values ?? []
    },
    close: async () => {
      await kill()
      remove()
    },
  }
}

export async function influxKills({ program = 'influxd', version = 1, kills = 5, perSecond = 20, seed = 1 } = {}) {
  const server = await startInflux(program)
  await server.query(`create database ${database}`)
  const { folder, remove } = temporaryFolder()
  const limits = { maxBytes: 64 << 20, maxAgeMs: 86_400_000 }
  const outbox = await openDurableOutbox({ folder, ...limits, ack: 'puback', log: quietLog, clock: systemClock })
  const target = { url: server.url, version, org: '', bucket: database }
  let failures = 0
  const output = startHttpOutput({
    ...{ name: 'influx', outbox, timeoutMs: 10_000, log: quietLog },
    requestOf: ({ payload }) => {
      const event = JSON.parse(payload)
      return influxRequest(target, undefined, pointOf(event), { wallMs: Date.parse(event.ts), seq: event.seq })
    },
    wait: () => {
      failures++
      return pause(20)
    },
  })
  let sent = 0
  const labelOf = (seq) => labels[seq % labels.length]
  const events = flow(() => {
    sent++
    outbox.add('cam0', 'event', false, (seq) => {
      const event = { node: 'dock1', place: 'yard/gate', event_type: 'label_changed', boot: 'b', seq }
      return JSON.stringify({ ...event, label: labelOf(seq), score: 0.97, ts: new Date().toISOString() })
    })
  }, perSecond)
  const random = randomOf(seed)
  for (let kill = 0; kill < kills; kill++) {
    await pause(100 + random() * 300)
    await server.kill()
    await pause(100 + random() * 300)
    await server.start()
  }
  events.stop()
  const isDrained = await reached(() => outbox.stats().queued === 0, 600_000)
  const waiting = outbox.stats().queued
  const { delivered, refused } = output
  await output.close()
  const rows = await server.query('select seq, label, score from gapcam')
  const found = new Map(rows.map(([, seq, label, score]) => [seq, { label, score }]))
  await server.close()
  remove()
  const all = Array.from({ length: sent }, (_, i) => i + 1)
  // What still waits in the outbox is not lost, but the campaign holds only when it is drained.
  const lost = all.filter((seq) => !found.has(seq)).length - waiting
  const changed = [...found].filter(([seq, { label, score }]) => label !== labelOf(seq) || score !== 0.97).length
  const isHeld = isDrained && lost === 0 && changed === 0 && refused === 0 && rows.length === sent && failures > 0
  return {
    row: 'influx',
    version,
    kills,
    sent,
    delivered,
    refused,
    failures,
    stored: rows.length,
    waiting,
    lost,
    changed,
    isHeld,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      program: { type: 'string', default: 'influxd' },
      version: { type: 'string', default: '1' },
      kills: { type: 'string', default: '5' },
    },
  })
  const { program, version, kills } = values
  const report = await influxKills({ program, version: Number(version), kills: Number(kills) })
  console.log(JSON.stringify(report))
  process.exitCode = report.isHeld ? 0 : 1
}
