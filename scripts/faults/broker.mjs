// Row `broker`: the broker is killed and restarted without its data, many times, while events flow.
import { randomOf } from './disk.mjs'
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

export async function brokerKills({ kills = 20, perSecond = 300, ack = 'application', seed = 1 } = {}) {
  const { folder, remove } = temporaryFolder()
  const broker = await startBroker(await freePort())
  const consumer = await startConsumer(broker.url, { isAcknowledging: ack === 'application' })
  const maker = await startPublisher({ url: broker.url, folder, ack })
  const random = randomOf(seed)
  const events = flow(maker.send, perSecond)
  for (let kill = 0; kill < kills; kill++) {
    await reached(() => maker.publisher.stats().connected, 30_000)
    await pause(50 + random() * 250)
    await broker.kill()
    await pause(random() * 100)
    await broker.start()
  }
  await pause(200)
  events.stop()
  const { sent, confirmed } = maker
  const isDone = await reached(
    () => maker.publisher.stats().queued === 0 && (ack !== 'application' || consumer.received.size >= sent),
    120_000,
  )
  await reached(
    () => [...Array(sent).keys()].every((i) => consumer.received.has(i + 1)),
    ack === 'application' ? 1000 : 3000,
  )
  const ledger = compare(sent, consumer)
  let lostUnacknowledged = 0
  for (let seq = 1; seq <= sent; seq++) if (!consumer.received.has(seq) && !confirmed.has(seq)) lostUnacknowledged++
  const { dropped, reconnects } = maker.publisher.stats()
  await maker.publisher.close()
  await consumer.close()
  await broker.close()
  remove()
  return { row: 'broker', ack, kills, perSecond, reconnects, isDone, dropped, ...ledger, lostUnacknowledged }
}
