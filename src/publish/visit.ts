/** One connection for a command that looks at a broker: no will, no retries, and what comes is handed on. */
import { GapcamError } from '../errors.js'
import { plainUrl } from './link.js'
import { connectOnce, type ConnectOptions, type Connection, type Incoming } from './mqtt.js'

export interface VisitOptions {
  readonly connect: ConnectOptions
  readonly clientId: string
  readonly onMessage: (message: Incoming) => void
  readonly signal: AbortSignal
}

/** Connects with MQTT 5, else 3.1.1. Rejects with BROKER_UNREACHABLE or BROKER_REFUSED, why in words. */
export async function visitBroker({ connect, clientId, onMessage, signal }: VisitOptions): Promise<Connection> {
  const url = plainUrl(connect.url)
  const versions =
    connect.protocol === '3.1.1' ? [4 as const] : connect.protocol === '5' ? [5 as const] : [5 as const, 4 as const]
  let last = ''
  for (const version of versions) {
    // Nothing of the session is to be kept for this command.
    const attempt = await connectOnce({ willDelaySeconds: 0, ...connect, clientId, version, signal, onMessage })
    if (attempt.ok) return attempt.connection
    const { kind, message } = attempt.loss
    if (kind === 'refused') throw new GapcamError('BROKER_REFUSED', `broker ${url}: ${message}`)
    last = message
    if (kind !== 'protocol' && kind !== 'unanswered') break
  }
  throw new GapcamError('BROKER_UNREACHABLE', `broker ${url}: ${last}`)
}

/** Waits until nothing has come for a while: what a broker keeps comes at once after a subscription. */
export async function untilQuiet(lastMs: () => number, quietMs: number, mostMs: number): Promise<void> {
  const endMs = performance.now() + mostMs
  while (performance.now() < endMs && performance.now() - lastMs() < quietMs)
    await new Promise((resolve) => setTimeout(resolve, 20))
}
