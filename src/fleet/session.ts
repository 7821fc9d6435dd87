/** A connection of `gapcam fleet` to the broker: it sees every node, sends orders, and connects again after a break. */
import { systemClock } from '../clock.js'
import { GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import { createLink } from '../publish/link.js'
import type { ConnectOptions, Connection } from '../publish/mqtt.js'
import { untilQuiet } from '../publish/visit.js'
import { Census, censusFilters } from './census.js'
import { answerFilters, Orders } from './orders.js'

export interface FleetSession {
  readonly census: Census
  readonly orders: Orders
  /** Without a connection nothing is known of the nodes, so none is called failed. */
  readonly isConnected: () => boolean
  close(): Promise<void>
}

const connectMs = 15_000
/** Retained messages come at once; after this long without one all are there. */
const quietMs = 1000
const mostMs = 60_000

/** Resolves when every retained message has come. Rejects with BROKER_UNREACHABLE. */
export async function openFleet(
  connect: ConnectOptions,
  base: string,
  log: Pick<Logger, 'info' | 'warn' | 'debug'>,
  signal: AbortSignal,
): Promise<FleetSession> {
  const census = new Census(base)
  let connection: Connection | null = null
  const orders = new Orders(base, (message) => void connection?.publish(message))
  const up = new AbortController()
  const clientId = `gapcam-fleet-${process.pid}`
  const link = createLink({
    connect: { ...connect, clientId, willDelaySeconds: 0 },
    clientId,
    will: null,
    log,
    clock: systemClock,
    onMessage(message) {
      census.take(message)
      orders.take(message)
    },
    onUp(made) {
      connection = made
      const filters = [...censusFilters(base), ...answerFilters(base)].map((filter) => ({ filter, qos: 1 as const }))
      // The broker sends what it keeps when it has answered.
      void made.subscribe(filters).then((refusals) => {
        const [first] = refusals
        if (first) log.warn({ ...first }, `the broker refuses the subscription to ${first.filter}: ${first.reason}`)
        census.lastMs = performance.now()
        up.abort()
      })
    },
    onDown() {
      connection = null
    },
  })
  const close = (): Promise<void> => link.close(() => Promise.resolve(), 1000)
  link.start()
  await Promise.race([
    new Promise((resolve) => up.signal.addEventListener('abort', resolve, { once: true })),
    new Promise((resolve) => setTimeout(resolve, connectMs).unref()),
    new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
  ])
  if (!link.isConnected) {
    await close()
    throw new GapcamError('BROKER_UNREACHABLE', `broker ${link.url}: ${link.lastError ?? 'no connection in time'}`)
  }
  await untilQuiet(() => census.lastMs, quietMs, mostMs)
  return { census, orders, isConnected: () => link.isConnected, close }
}
