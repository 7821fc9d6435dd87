// Row `network`: faults of a TCP link, made by a proxy between gapcam and a real broker.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Transform } from 'node:stream'
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

/** Forwards bytes; `shape(direction)` makes the stream in between, a new one for each connection. */
async function startProxy(target) {
  const pairs = new Set()
  let shape = () => null
  let isFrozen = false
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    const pair = [near, far]
    pairs.add(pair)
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        pairs.delete(pair)
        near.destroy()
        far.destroy()
      })
    }
    const [up, down] = [shape('up'), shape('down')]
    if (up) near.pipe(up).pipe(far)
    else near.pipe(far)
    if (down) far.pipe(down).pipe(near)
    else far.pipe(near)
    if (isFrozen) freeze(pair)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Nothing is read and nothing is closed, as with a cable that was unplugged behind a switch.
  const freeze = (pair) => {
    for (const socket of pair) {
      socket.unpipe()
      socket.pause()
    }
  }
  return {
    url: `mqtt://127.0.0.1:${server.address().port}`,
    setShape: (made) => {
      shape = made
    },
    freeze: () => {
      isFrozen = true
      for (const pair of pairs) freeze(pair)
    },
    thaw: () => {
      isFrozen = false
    },
    reset: () => {
      for (const [near, far] of pairs) {
        near.resetAndDestroy()
        far.destroy()
      }
    },
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const delayed = (ms) => () =>
  new Transform({
    transform(chunk, _encoding, done) {
      setTimeout(() => {
        this.push(chunk)
      }, ms)
      done()
    },
  })
/** Limits the bytes per second. */
const throttled = (bytesPerSecond) => () =>
  new Transform({
    highWaterMark: 1024,
    async transform(chunk, _encoding, done) {
      for (let at = 0; at < chunk.length && !this.destroyed; at += 100) {
        await pause(100_000 / bytesPerSecond)
        this.push(chunk.subarray(at, at + 100))
      }
      done()
    },
  })
const sliced = () =>
  new Transform({
    async transform(chunk, _encoding, done) {
      for (let at = 0; at < chunk.length; at += 3) {
        this.push(chunk.subarray(at, at + 3))
        if (at % 300 === 0) await new Promise(setImmediate)
      }
      done()
    },
  })

const scenarios = {
  /** No traffic: only the keepalive can notice the fault. */
  async halfOpen({ proxy, maker, keepaliveMs, report }) {
    proxy.freeze()
    const startMs = performance.now()
    report.isNoticed = await reached(() => !maker.publisher.stats().connected, keepaliveMs * 10)
    report.noticedMs = Math.round(performance.now() - startMs)
    report.keepaliveMs = keepaliveMs
    for (let i = 0; i < 20; i++) maker.send()
    proxy.thaw()
    proxy.reset()
  },
  /** The link is kept, some live events arrive, and the others wait on disk. */
  async slow({ maker, consumer, seconds, report }) {
    const before = maker.publisher.stats().reconnects
    const events = flow(maker.send, 20)
    await pause(seconds * 1000)
    events.stop()
    await reached(() => consumer.received.size > 1, 60_000)
    report.reconnects = maker.publisher.stats().reconnects - before
    report.receivedWhileSlow = consumer.received.size
    report.queuedWhileSlow = maker.publisher.stats().queued
  },
  async latency({ maker }) {
    for (let i = 0; i < 60; i++) maker.send()
  },
  async resets({ proxy, maker, times }) {
    const events = flow(maker.send, 300)
    for (let i = 0; i < times; i++) {
      await reached(() => maker.publisher.stats().connected, 10_000)
      await pause(20 + 10 * (i % 7))
      proxy.reset()
    }
    events.stop()
  },
  async slicing({ maker }) {
    for (let i = 0; i < 100; i++) maker.send()
  },
}

const shapes = { halfOpen: null, slow: throttled(1000), latency: delayed(300), resets: null, slicing: sliced }

export async function network({ scenario, seconds = 5, times = 10, keepaliveSeconds = 2 }) {
  const { folder, remove } = temporaryFolder()
  const broker = await startBroker(await freePort())
  const proxy = await startProxy(broker.port)
  if (shapes[scenario]) proxy.setShape(shapes[scenario])
  const consumer = await startConsumer(broker.url)
  const maker = await startPublisher({
    url: proxy.url,
    folder,
    broker: scenario === 'halfOpen' ? { keepaliveSeconds } : {},
  })
  await reached(() => maker.publisher.stats().connected, 30_000)
  maker.send()
  // At a kilobyte per second even the first states take some time.
  await reached(() => consumer.received.has(1), 30_000)
  const report = { row: 'network', scenario }
  const memoryBefore = process.memoryUsage().rss
  await scenarios[scenario]({ proxy, maker, consumer, seconds, times, keepaliveMs: keepaliveSeconds * 1000, report })
  report.rssGrowthMb = Math.round((process.memoryUsage().rss - memoryBefore) / 1e5) / 10
  if (scenario === 'slow') {
    proxy.setShape(() => null)
    proxy.reset()
  }
  await reached(() => maker.publisher.stats().queued === 0 && consumer.received.size >= maker.sent, 60_000)
  Object.assign(
    report,
    { reconnects: report.reconnects ?? maker.publisher.stats().reconnects, dropped: maker.publisher.stats().dropped },
    compare(maker.sent, consumer),
  )
  await maker.publisher.close()
  await consumer.close()
  await proxy.close()
  await broker.close()
  remove()
  return report
}
