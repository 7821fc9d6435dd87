/**
 * The embedded broker: an MQTT 3.1.1 broker (aedes) inside the process, for a first try without another program. It
 * listens on loopback and keeps retained messages in memory only.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../log.js'
import { GapcamError, messageOf } from '../errors.js'

export interface EmbeddedBrokerOptions {
  /** Default 127.0.0.1: only this machine. */
  readonly host?: string
  /** Only this port. Default: 1883, or the next free one. */
  readonly port?: number | undefined
  readonly log: Pick<Logger, 'debug'>
}

export interface EmbeddedBroker {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Disconnects every client and frees the port. */
  close(): Promise<void>
}

const usualPort = 1883
const portsToTry = 64

/** Starts to listen. Rejects with PORT_IN_USE when the given port, or every port that was tried, is in use. */
export async function startEmbeddedBroker({
  host = '127.0.0.1',
  port,
  log,
}: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  // Loaded only here: it takes memory, and most nodes use another broker.
  const [{ Aedes }, { writeWithoutTable }] = await Promise.all([import('aedes'), import('./packets.js')])
  writeWithoutTable()
  const aedes = new Aedes()
  await aedes.listen()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    aedes.handle(socket)
  })
  // A client's fault (a port scanner, MQTT 5) does not concern the broker: aedes answers or closes the connection.
  aedes.on('clientError', (client, error) => log.debug({ client: client.id }, `embedded broker: ${error.message}`))
  aedes.on('connectionError', (_client, error) => log.debug({}, `embedded broker: ${error.message}`))
  try {
    await listen(server, host, port)
  } catch (error) {
    await new Promise<void>((resolve) => aedes.close(resolve))
    throw error
  }
  const address = server.address() as AddressInfo
  return {
    host: address.address,
    port: address.port,
    url: `mqtt://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await new Promise<void>((resolve) => aedes.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function listen(server: Server, host: string, asked: number | undefined): Promise<void> {
  if (asked !== undefined) {
    const fault = await tryPort(server, host, asked)
    if (!fault) return
    if (fault.code === 'EADDRINUSE') throw inUse(host, `port ${asked} is`)
    throw new GapcamError('PORT_IN_USE', `embedded broker: cannot listen on ${host}:${asked}: ${messageOf(fault)}`, {
      cause: fault,
      hint: 'Choose another address or port.',
    })
  }
  for (let port = usualPort; port < usualPort + portsToTry; port++) {
    const fault = await tryPort(server, host, port)
    if (!fault) return
    if (fault.code !== 'EADDRINUSE' && fault.code !== 'EACCES') {
      throw new GapcamError('PORT_IN_USE', `embedded broker: cannot listen on ${host}: ${messageOf(fault)}`, {
        cause: fault,
        hint: 'Choose another address.',
      })
    }
  }
  throw inUse(host, `ports ${usualPort} to ${usualPort + portsToTry - 1} are`)
}

function tryPort(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(error)
    server.once('error', onError)
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', onError)
      resolve(null)
    })
  })
}

function inUse(host: string, what: string): GapcamError {
  return new GapcamError('PORT_IN_USE', `embedded broker: ${what} in use on ${host}`)
}
