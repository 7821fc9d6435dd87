// Kills collectors again and again while events flow, and compares the database with the numbers that were sent.
//
//     node scripts/faults/collect.mjs                        20 kills, SQLite, two collectors
//     node scripts/faults/collect.mjs --kills 1000           the whole campaign
//     node scripts/faults/collect.mjs --database postgres    the same with PostgreSQL, which is stopped now and then
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openPostgres } from '../../dist/collect/postgres.js'
import { openSqlite } from '../../dist/collect/sqlite.js'
import { freePort } from '../bench/loopback.mjs'
import { randomOf } from './disk.mjs'
import { flow, node, pause, reached, startBroker, startPublisher, temporaryFolder } from './parts.mjs'
import { startPostgres } from './postgres.mjs'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/**
 * A collector in a process of its own; `kill` is a SIGKILL, and it starts again. So it does when it ends by itself, as under a
 * service manager: at its start it gives up where the database is away.
 */
function startCollector(url, flags) {
  let child = null
  let said = ''
  let isUp = false
  let isClosed = false
  const start = () => {
    const started = spawn(process.execPath, [main, 'collect', '--broker', url, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    started.on('exit', (status) => {
      if (status === null || isClosed) return
      isUp = false
      setTimeout(() => !isClosed && child === started && start(), 200)
    })
    child.stderr.on('data', (chunk) => {
      said = (said + chunk).slice(-1000)
      isUp ||= chunk.includes(': connected')
    })
  }
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  start()
  return {
    said: () => said,
    /** It collects; a kill before would only hit its start. */
    isUp: () => isUp,
    kill: async () => {
      isUp = false
      await end('SIGKILL')
      start()
    },
    close: () => {
      isClosed = true
      return end('SIGTERM')
    },
  }
}

export async function collectorKills({
  kills = 20,
  collectors = 2,
  perSecond = 20,
  database = 'sqlite',
  seed = 1,
} = {}) {
  const { folder, remove } = temporaryFolder()
  const broker = await startBroker(await freePort())
  const server = database === 'postgres' ? await startPostgres() : null
  const file = join(folder, 'fleet.db')
  const flags = server ? ['--postgres', server.url] : ['--sqlite', file]
  const maker = await startPublisher({ url: broker.url, folder: join(folder, 'outbox'), ack: 'application' })
  const sayHealth = () => {
    const none = { p50: 0, p95: 0, p99: 0 }
    maker.publisher.health({ uptime_s: 0, fps: 0, dropped: 0, infer_ms: none, rss_mb: 0 })
  }
  sayHealth()
  const healthy = setInterval(sayHealth, 1000)
  const running = Array.from({ length: collectors }, () => startCollector(broker.url, flags))
  const random = randomOf(seed)
  const events = flow(maker.send, perSecond)
  for (let kill = 0; kill < kills; kill++) {
    const first = Math.floor(random() * collectors)
    const next = () => [...running.slice(first), ...running.slice(0, first)].find((each) => each.isUp())
    if (!(await reached(() => next() !== undefined, 60_000))) break
    await pause(random() * 400)
    await next().kill()
    if (server && kill % 20 === 19) {
      await server.stop()
      await pause(200)
      await server.start()
    }
  }
  events.stop()
  const isDrained = await reached(() => maker.publisher.stats().queued === 0, 600_000)
  const { sent } = maker
  clearInterval(healthy)
  for (const each of running) await each.close()
  const opened = server ? await openPostgres(server.url) : await openSqlite(file)
  const [ledger] = await opened.transaction((query) =>
    query(
      `select count(*) as stored, count(distinct seq) as numbers, min(seq) as first, max(seq) as last
       from gapcam_events where node = $1`,
      [node],
    ),
  )
  await opened.close()
  const waiting = maker.publisher.stats().queued
  await maker.publisher.close()
  await broker.close()
  await server?.close()
  remove()
  const [stored, numbers, last] = [Number(ledger.stored), Number(ledger.numbers), Number(ledger.last)]
  // What still waits in the outbox is not lost, but the campaign holds only when it is drained.
  const [lost, doubled] = [Math.max(0, sent - numbers - waiting), stored - numbers]
  const isHeld = isDrained && lost === 0 && doubled === 0 && last === sent
  const report = {
    row: 'collect',
    database,
    kills,
    collectors,
    perSecond,
    sent,
    stored,
    waiting,
    lost,
    doubled,
    isDrained,
    isHeld,
  }
  return isHeld ? report : { ...report, said: running.map((each) => each.said()) }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { kills: { type: 'string' }, database: { type: 'string' } } })
  const report = await collectorKills({ kills: Number(values.kills ?? 20), database: values.database ?? 'sqlite' })
  console.log(JSON.stringify(report))
  process.exitCode = report.isHeld ? 0 : 1
}
