// Rows `offline` and `clock`: a long time without a broker, within little memory; and a wall clock that jumps.
import {
  compare,
  flow,
  freePort,
  pause,
  reached,
  startBroker,
  startConsumer,
  startPublisher,
  temporaryFolder,
} from './parts.mjs'

/** Memory in use after a garbage collection. */
const memory = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await pause(20)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, held: heapUsed + external }
}
const megabytes = (bytes) => Math.round(bytes / 1e5) / 10

/**
 * `events` happen without a broker, then one starts. They come as fast as the disk accepts them, or `perSecond`.
 * Run with --expose-gc.
 */
export async function offline({ events = 18_000, perSecond = Infinity, maxBytes = 4 * 2 ** 30 } = {}) {
  const { folder, remove } = temporaryFolder()
  const port = await freePort()
  const maker = await startPublisher({ url: `mqtt://127.0.0.1:${port}`, folder, disk: { maxBytes } })
  // Memory that any publishing program needs after a while is not the cost of being offline.
  const first = await online(port, maker)
  const before = await memory()
  let mostHeld = 0
  const last = maker.sent + events
  while (maker.sent < last) {
    for (let i = 0; i < 30 && maker.sent < last; i++) {
      maker.send()
      if (perSecond < Infinity) await pause(1000 / perSecond)
    }
    await new Promise(setImmediate)
    while (maker.outbox.seq < maker.sent - 300) await new Promise(setImmediate)
    if (maker.sent % 3000 < 30) mostHeld = Math.max(mostHeld, (await memory()).held)
  }
  await reached(() => !maker.outbox.isBusy, 60_000)
  const after = await memory()
  const { bytes, queued, dropped } = maker.outbox.stats()
  const broker = await startBroker(port)
  const consumer = await startConsumer(broker.url)
  const order = []
  await reached(
    () => maker.publisher.stats().queued === 0 && consumer.received.size + consumer.gaps.length >= events - dropped,
    600_000,
  )
  for (const seq of consumer.received.keys()) order.push(seq)
  for (const [seq, times] of first.received) consumer.received.set(seq, (consumer.received.get(seq) ?? 0) + times)
  const isInOrder = order.every((seq, i) => i === 0 || seq > order[i - 1])
  const ledger = compare(maker.sent, consumer)
  await maker.publisher.close()
  await consumer.close()
  await broker.close()
  remove()
  return {
    row: 'offline',
    events,
    perSecond: perSecond < Infinity ? perSecond : 'all',
    queuedOffline: queued,
    diskMb: megabytes(bytes),
    heldGrowthMb: megabytes(after.held - before.held),
    mostHeldGrowthMb: megabytes(Math.max(0, mostHeld - before.held)),
    rssGrowthMb: megabytes(after.rss - before.rss),
    dropped,
    isInOrder,
    ...ledger,
  }
}

/** A few thousand events with a broker and a consumer; both are stopped when it resolves. */
async function online(port, maker, events = 3000) {
  const broker = await startBroker(port)
  const consumer = await startConsumer(broker.url)
  while (maker.sent < events) {
    for (let i = 0; i < 30; i++) maker.send()
    await new Promise(setImmediate)
    while (maker.outbox.seq < maker.sent - 300) await new Promise(setImmediate)
  }
  await reached(() => maker.publisher.stats().queued === 0 && consumer.received.size >= maker.sent, 60_000)
  await consumer.close()
  await broker.close()
  await reached(() => !maker.publisher.stats().connected, 60_000)
  return consumer
}

const hour = 3_600_000
export const clockSteps = {
  '+1 h': hour,
  '-1 h': -hour,
  '+1 day': 24 * hour,
  '-1 day': -24 * hour,
  '1970 to now': -Date.now(),
}

/** The wall clock of the process jumps while events flow; monotonic time continues. */
export async function clock() {
  const { folder, remove } = temporaryFolder()
  const broker = await startBroker(await freePort())
  const consumer = await startConsumer(broker.url)
  const realNow = Date.now
  const report = { row: 'clock', steps: Object.keys(clockSteps).length }
  try {
    Date.now = () => realNow() + clockSteps['1970 to now']
    const maker = await startPublisher({
      url: broker.url,
      folder,
      broker: { keepaliveSeconds: 5 },
      disk: { maxAgeMs: hour, isClockSynced: () => Date.now() > 1e12 },
    })
    await reached(() => maker.publisher.stats().connected, 30_000)
    const events = flow(maker.send, 100)
    await pause(300)
    Date.now = realNow
    for (const step of Object.values(clockSteps).slice(0, -1)) {
      await pause(300)
      Date.now = () => realNow() + step
      await pause(300)
      Date.now = realNow
    }
    await pause(300)
    events.stop()
    await reached(() => maker.publisher.stats().queued === 0 && consumer.received.size >= maker.sent, 30_000)
    const { reconnects, dropped } = maker.publisher.stats()
    Object.assign(report, { reconnects, dropped, ...compare(maker.sent, consumer) })
    await maker.publisher.close()
  } finally {
    Date.now = realNow
    await consumer.close()
    await broker.close()
    remove()
  }
  return report
}
