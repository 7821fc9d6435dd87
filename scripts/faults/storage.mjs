// Rows `power` and `calls` of the fault table: the outbox on a disk that loses its power, or fails, at each of its
// calls.
import { openLog } from '../../dist/publish/outbox/log.js'
import { openOutbox } from '../../dist/publish/outbox/queue.js'
import { PowerDisk, randomOf } from './disk.mjs'

const folder = '/outbox'
const writeTime = () => ({ boot: 'boot', monoMs: 0, wallMs: 0, isClockSynced: false })
const open = (disk) =>
  openLog({ folder, files: disk.files, maxBytes: 1 << 30, maxAgeMs: Infinity, writeTime, segmentBytes: 6 << 10 })
/** Long enough for several sectors; damage to any part can be seen. */
const payloadOf = (seq) => `${seq}:${String(seq % 10).repeat(200 + (seq % 7) * 150)}`
const eventOf = (seq) => ({ kind: 'event', seq, camera: `cam${seq % 3}`, payload: payloadOf(seq) })

/**
 * Appends groups, marks some as done and removes segments, until the power is cut. Records in `told` what was
 * confirmed.
 */
async function work(disk, told, { groups, random }) {
  const log = await open(disk)
  told.reopenedAt.push(log.lastSeq)
  for (let group = 0; group < groups; group++) {
    const events = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, i) => eventOf(log.lastSeq + 1 + i))
    for (const { seq } of events) told.tried.add(seq)
    await log.append(events, random() < 0.3 ? events.at(-1).seq : null)
    for (const { seq } of events) told.confirmed.add(seq)
    if (random() < 0.6) {
      const from = log.ledger.done.nextMissing(1)
      const to = Math.min(log.lastSeq, from + Math.floor(random() * 6))
      for (let seq = from; seq <= to; seq++) told.done.add(seq)
      log.ledger.done.add(from, to)
      await log.tidy()
    }
  }
  await log.close()
}

/** Reads all events that are not done. */
async function readAll(log) {
  const events = new Map()
  for (let seq = log.ledger.done.nextMissing(1); seq <= log.lastSeq; seq = log.ledger.done.nextMissing(seq)) {
    const found = await log.read(seq)
    for (const event of found) events.set(event.seq, event)
    const last = found.at(-1)?.seq ?? seq
    for (let n = seq; n <= last; n++) log.ledger.done.add(n)
  }
  return events
}

/** After a cut: every confirmed event that is not done is there and unchanged, and no number is given twice. */
async function check(disk, told, report, point) {
  const log = await open(disk)
  const lastSeq = log.lastSeq
  const events = await readAll(log)
  const fail = (what) => report.failures.push(`${point}: ${what}`)
  for (const seq of told.confirmed) {
    if (lastSeq < seq) fail(`number ${seq} would be given again`)
    if (!told.done.has(seq) && !events.has(seq)) {
      report.lost++
      fail(`event ${seq} is lost`)
    }
  }
  for (const [seq, { payload, camera }] of events) {
    report.received++
    if (payload !== payloadOf(seq) || camera !== `cam${seq % 3}`) {
      report.corrupted++
      fail(`event ${seq} is changed`)
    }
    if (told.done.has(seq)) report.repeated++
  }
  await log.close()
}

const survivals = [
  ['nothing', () => () => 0.9],
  ['everything', () => () => 0.1],
  ['some', (seed) => randomOf(seed)],
  ['some others', (seed) => randomOf(seed + 7919)],
]

/**
 * The power is cut at each call of a run, before and after it; nothing, all or some of the unsynced data survives; then
 * a second cut.
 */
export async function power({ points = 1500, seed = 1 } = {}) {
  const report = {
    row: 'power',
    points: 0,
    confirmed: 0,
    received: 0,
    repeated: 0,
    lost: 0,
    corrupted: 0,
    failures: [],
  }
  for (let run = 0; report.points < points; run++) {
    const whole = new PowerDisk()
    const plan = { groups: 24, random: randomOf(seed + run) }
    await work(whole, newTold(), plan)
    for (let call = 1; call <= whole.calls && report.points < points; call++) {
      for (const verdict of ['cut', 'cut-after']) {
        for (const [name, randomFor] of survivals) {
          report.points++
          const told = newTold()
          const point = `seed ${seed + run}, call ${call} (${whole.callNames[call - 1]}), ${verdict}, ${name} survives`
          const first = await cutAt(new PowerDisk(), call, verdict, told, randomOf(seed + run))
          const second = await cutAt(
            first.afterPowerCut(randomFor(call)),
            1 + (call % 17),
            verdict,
            told,
            randomOf(seed + run + call),
          )
          await check(second.afterPowerCut(randomFor(call + 1)), told, report, point)
          report.confirmed += told.confirmed.size
        }
      }
    }
  }
  return report
}

const newTold = () => ({ tried: new Set(), confirmed: new Set(), done: new Set(), reopenedAt: [] })

async function cutAt(disk, call, verdict, told, random) {
  disk.decide = ({ number }) => (number === call ? verdict : null)
  await work(disk, told, { groups: 24, random }).catch((error) => {
    if (!disk.isOff) throw error
  })
  return disk
}

const faults = [
  ['fails', { code: 'EIO', part: 0 }],
  ['fails half done', { code: 'ENOSPC', part: 0.5 }],
  ['is done and says that it failed', { code: 'EIO', part: 1 }],
]

/**
 * Each call of a run fails, once or several times: the outbox continues, recovers, and delivers every event exactly
 * once.
 */
export async function calls({ points = 400, seed = 1 } = {}) {
  const report = { row: 'calls', points: 0, sent: 0, received: 0, duplicates: 0, lost: 0, degraded: 0, failures: [] }
  for (let run = 0; report.points < points; run++) {
    const whole = new PowerDisk()
    await oneRun(whole, seed + run, { ...report, failures: [] }, '')
    for (let call = 1; call <= whole.calls && report.points < points; call++) {
      for (const [name, fault] of faults) {
        for (const length of [1, 4]) {
          report.points++
          const disk = new PowerDisk()
          disk.decide = ({ number }) => (number >= call && number < call + length ? fault : null)
          await oneRun(
            disk,
            seed + run,
            report,
            `seed ${seed + run}, call ${call} (${whole.callNames[call - 1]}) ${name}, ${length} in a row`,
          )
        }
      }
    }
  }
  return report
}

const quiet = { info() {}, warn() {}, debug() {} }
const clock = { now: () => performance.now(), wall: () => Date.now() }

async function oneRun(disk, seed, report, point) {
  const random = randomOf(seed)
  const options = {
    boot: 'one',
    clock,
    log: {
      ...quiet,
      warn: () => {
        report.degraded++
      },
    },
    disk: { folder, files: disk.files, maxBytes: 100 << 10, maxAgeMs: Infinity, retryMs: 1 },
  }
  const outbox = await openOutbox(options)
  const got = new Map()
  const take = (entry) => {
    if (entry.kind === 'gap') report.failures.push(`${point}: a gap ${entry.from} to ${entry.to}`)
    else got.set(entry.seq, (got.get(entry.seq) ?? 0) + 1)
    outbox.confirm(entry)
  }
  let sent = 0
  for (let group = 0; group < 12; group++) {
    const isUp = random() < 0.5
    for (let i = 0; i < 5; i++, sent++) outbox.add('cam0', 'event', isUp, payloadOf)
    await new Promise(setImmediate)
    if (random() < 0.2) outbox.takeBack()
    for (let entry = outbox.takeLive(); entry; entry = outbox.takeLive()) take(entry)
  }
  const deadline = performance.now() + 20_000
  while (outbox.stats().queued > 0 && performance.now() < deadline) {
    const entry = outbox.takeLive() ?? outbox.takeBacklog()
    if (entry) take(entry)
    else await new Promise(setImmediate)
  }
  while (outbox.stats().state !== 'ok' && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 1))
  if (outbox.stats().state !== 'ok') report.failures.push(`${point}: it has not healed: ${outbox.stats().reason}`)
  await outbox.close()
  disk.decide = () => null
  const log = await open(disk)
  if (log.lastSeq < sent) report.failures.push(`${point}: after ${sent} the numbers go on at ${log.lastSeq + 1}`)
  await log.close()
  report.sent += sent
  report.received += got.size
  report.duplicates += [...got.values()].reduce((sum, count) => sum + count - 1, 0)
  report.lost += sent - got.size
  if (got.size !== sent) report.failures.push(`${point}: ${sent - got.size} events are lost`)
}
