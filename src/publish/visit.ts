/** One connection for a command that looks at a broker: no reconnecting, and no session that the broker would keep. */
import { GapcamError } from '../errors.js'
import { connectOnce } from './connect.js'
import type { AttemptOptions } from './mqtt-client.js'
import { firstVersion, otherVersion, type Attempt, type Connection } from './mqtt.js'
import { targetOf } from './target.js'

export type VisitOptions = Omit<AttemptOptions, 'version'>

/** Connects once: with MQTT 5, and with 3.1.1 where the broker does not speak it. Never rejects. */
export async function tryBroker(options: VisitOptions): Promise<Attempt> {
  // A session that ends with the connection.
  const connect = { ...options.connect, willDelaySeconds: options.connect.willDelaySeconds ?? 0 }
  const version = firstVersion(connect.protocol)
  const attempt = await connectOnce({ ...options, connect, version })
  const other = attempt.ok ? null : otherVersion(connect.protocol, version, attempt.loss.kind)
  return other === null ? attempt : connectOnce({ ...options, connect, version: other })
}

/**
 * As `tryBroker`, for the open connection alone. Rejects with BROKER_UNREACHABLE or BROKER_REFUSED, with the reason in
 * words and what to do about it; throws CONFIG_INVALID for an address that cannot be used.
 */
export async function visitBroker(options: VisitOptions): Promise<Connection> {
  const { url } = targetOf(options.connect)
  const attempt = await tryBroker(options)
  if (attempt.ok) return attempt.connection
  const { kind, message, hint } = attempt.loss
  const code = kind === 'refused' ? 'BROKER_REFUSED' : 'BROKER_UNREACHABLE'
  throw new GapcamError(code, `broker ${url}: ${message}`, hint === undefined ? {} : { hint })
}

/**
 * Resolves when no message has come for `quietMs`, at the latest after `mostMs`. A broker sends retained messages right
 * after a subscription.
 */
export async function untilQuiet(lastMs: () => number, quietMs: number, mostMs: number): Promise<void> {
  const endMs = performance.now() + mostMs
  while (performance.now() < endMs && performance.now() - lastMs() < quietMs)
    await new Promise((resolve) => setTimeout(resolve, 20))
}
