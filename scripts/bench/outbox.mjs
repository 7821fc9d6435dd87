// Times the outbox: appends that the disk confirms, and draining to a local mosquitto. Compares it with classic-level
// (LevelDB) and synced batches where that is installed (npm install --no-save classic-level). The kernel's counters for
// this process give the bytes written.
//   node scripts/bench/outbox.mjs [--events N] [--folder DIR]
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openLog } from '../../dist/publish/outbox/log.js'
import { realFiles } from '../../dist/publish/outbox/files.js'
import { freePort, reached, startBroker, startPublisher } from '../faults/parts.mjs'

const { values } = parseArgs({
  options: { events: { type: 'string', default: '3000' }, folder: { type: 'string', default: tmpdir() } },
})
const count = Number(values.events)
const folderFor = (name) => mkdtempSync(join(values.folder, `gapcam-bench-${name}-`))
const payload = (seq) => JSON.stringify({ seq, filling: 'x'.repeat(600) })
const written = () => Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1])
const writeTime = () => ({ boot: 'b', monoMs: 0, wallMs: 0, isClockSynced: false })

/** The time until the disk confirms 1 event, and a group of 30. */
async function appends(name, open) {
  for (const group of [1, 30]) {
    const folder = folderFor(name)
    const store = await open(folder)
    const groups = Math.ceil(Math.min(count, group === 1 ? 500 : count) / group)
    const times = []
    const before = written()
    let seq = 0
    for (let i = 0; i < groups; i++) {
      const events = Array.from({ length: group }, () => ({
        kind: 'event',
        seq: ++seq,
        camera: 'cam0',
        payload: payload(seq),
      }))
      const startMs = performance.now()
      await store.append(events)
      times.push(performance.now() - startMs)
    }
    const bytes = written() - before
    await store.close()
    rmSync(folder, { recursive: true })
    times.sort((a, b) => a - b)
    const at = (share) => Math.round(times[Math.floor(share * (times.length - 1))] * 100) / 100
    print({
      what: 'append',
      store: name,
      group,
      groups,
      p50_ms: at(0.5),
      p99_ms: at(0.99),
      written_per_event: Math.round(bytes / seq),
      payload_bytes: payload(seq).length,
    })
  }
}

const ours = async (folder) => {
  const log = await openLog({ folder, files: realFiles, maxBytes: 64 << 20, maxAgeMs: Infinity, writeTime })
  return { append: (events) => log.append(events, null), close: () => log.close() }
}

const classicLevel = await import('classic-level').catch(() => null)

async function openLevel(folder) {
  const db = new classicLevel.ClassicLevel(folder)
  await db.open()
  return db
}

const level = async (folder) => {
  const db = await openLevel(folder)
  const keyOf = (seq) => String(seq).padStart(12, '0')
  return {
    append: (events) =>
      db.batch(
        events.map((event) => ({ type: 'put', key: keyOf(event.seq), value: event.payload })),
        { sync: true },
      ),
    close: () => db.close(),
  }
}

const stores = [['gapcam', ours], ...(classicLevel ? [['classic-level', level]] : [])]

/** Writes 100 confirmed events, damages eight bytes near the start or the end of the log, and counts the events still found. */
async function damage() {
  for (const share of [0.1, 0.5, 0.9]) {
    const found = {}
    for (const [name, open] of stores) {
      const folder = folderFor('damage')
      const store = await open(folder)
      for (let seq = 1; seq <= 100; seq++)
        await store.append([{ kind: 'event', seq, camera: 'cam0', payload: payload(seq) }])
      await store.close()
      const file = join(
        folder,
        readdirSync(folder)
          .filter((entry) => /^\d+\.log$/.test(entry))
          .sort((a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size)[0],
      )
      const handle = openSync(file, 'r+')
      writeSync(handle, Buffer.alloc(8, 0xff), 0, 8, Math.floor(statSync(file).size * share))
      closeSync(handle)
      if (name === 'gapcam') {
        const log = await openLog({ folder, files: realFiles, maxBytes: 64 << 20, maxAgeMs: Infinity, writeTime })
        found[name] = (await log.read(1)).length
        await log.close()
      } else {
        const db = await openLevel(folder)
        found[name] = (await db.keys().all()).length
        await db.close()
      }
      rmSync(folder, { recursive: true })
    }
    print({ what: 'damage', of: 100, eight_bytes_at: share, found })
  }
}

/** Times events from the disk through a local mosquitto to a subscriber. */
async function draining() {
  const folder = folderFor('drain')
  const port = await freePort()
  const maker = await startPublisher({ url: `mqtt://127.0.0.1:${port}`, folder })
  for (let i = 0; i < count; i++) {
    maker.send()
    if (i % 100 === 0) while (maker.outbox.seq < maker.sent - 500) await new Promise(setImmediate)
  }
  await reached(() => maker.outbox.seq === count && !maker.outbox.isBusy, 60_000)
  const broker = await startBroker(port)
  await reached(() => maker.confirmed.size > 0, 30_000)
  const [startMs, first] = [performance.now(), maker.confirmed.size]
  await reached(() => maker.outbox.stats().queued === 0, 120_000)
  const seconds = (performance.now() - startMs) / 1000
  await maker.publisher.close()
  await broker.close()
  rmSync(folder, { recursive: true })
  print({ what: 'drain', events: count, per_second: Math.round((count - first) / seconds) })
}

function print(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

for (const [name, open] of stores) await appends(name, open)
await damage()
await draining()
