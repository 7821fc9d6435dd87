/**
 * Listens for Modbus TCP clients and bounds each of them: requests are answered one after the other, at most `requestsPerS` a
 * second; a client that sends more, or does not read its answers, is not read from meanwhile, so TCP slows it down and nothing
 * piles up here.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, type Clock } from '../../clock.js'
import { GapcamError, messageOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import { answer, frameLength, type Tables } from './protocol.js'

export interface ModbusServerOptions {
  readonly host: string
  readonly port: number
  readonly maxClients: number
  readonly tables: Tables
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly clock?: Clock | undefined
}

export interface ModbusServer {
  readonly port: number
  /** Present clients, answered requests, clients that were turned away or cut off. */
  stats(): { readonly clients: number; readonly requests: number; readonly cut: number }
  close(): Promise<void>
}

const requestsPerS = 200
/** A client that does not read its answers for this long is cut off. */
const mostStalledMs = 10_000
/** A client that asks nothing for this long makes room for another one. */
const idleMs = 10_000

/** Starts to listen. Rejects with PORT_IN_USE. */
export async function startModbusServer(options: ModbusServerOptions): Promise<ModbusServer> {
  const { host, port, log } = options
  const clients = new Clients(options)
  const server: Server = createServer({ noDelay: true, keepAlive: true }, (socket) => clients.add(socket))
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new GapcamError('PORT_IN_USE', `modbus: cannot listen on ${host}:${port}: ${messageOf(error)}`, {
      hint: 'Choose another modbus.port, or stop the program that uses it. Ports below 1024 need a permission.',
    })
  }
  server.on('error', (error) => log.warn({ output: 'modbus' }, `modbus: ${messageOf(error)}`))
  const bound = (server.address() as AddressInfo).port
  log.info({ output: 'modbus', host, port: bound }, `modbus: listening on ${host}:${bound}`)
  return {
    port: bound,
    stats: () => clients.stats(),
    async close() {
      const closed = once(server, 'close')
      server.close()
      clients.close()
      await closed
    },
  }
}

class Clients {
  readonly #options: ModbusServerOptions
  readonly #clock: Clock
  /** With the time of the last request. */
  readonly #open = new Map<Socket, number>()
  #requests = 0
  #cut = 0
  #hasTold = false

  constructor(options: ModbusServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  stats(): ReturnType<ModbusServer['stats']> {
    return { clients: this.#open.size, requests: this.#requests, cut: this.#cut }
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.destroy()
  }

  add(socket: Socket): void {
    socket.on('error', () => undefined) // 'close' follows.
    socket.on('close', () => this.#open.delete(socket))
    if (this.#open.size >= this.#options.maxClients && !this.#makeRoom()) {
      this.#cutOff(socket, `more than ${this.#options.maxClients} clients`)
      return
    }
    this.#open.set(socket, this.#clock.now())
    void this.#serve(socket).catch(() => socket.destroy()) // It is gone, or was cut off.
  }

  /** The client that has asked nothing for the longest time goes: after a cable was pulled its connection never ends. */
  #makeRoom(): boolean {
    const [[socket, lastMs] = []] = [...this.#open].sort(([, a], [, b]) => a - b)
    if (!socket || lastMs === undefined || this.#clock.now() - lastMs < idleMs) return false
    this.#cutOff(socket, 'idle, and another client needs its place')
    this.#open.delete(socket)
    return true
  }

  /** Answers until the client leaves. Rejects where its socket fails. */
  async #serve(socket: Socket): Promise<void> {
    const allowance = createAllowance(requestsPerS)
    let bytes: Buffer = Buffer.alloc(0)
    // Reading the socket as a stream pauses it while a request is being answered.
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      try {
        bytes = Buffer.concat([bytes, chunk])
        for (let length = frameLength(bytes); length !== null; length = frameLength(bytes)) {
          await allowance.take()
          if (socket.destroyed) return
          await this.#answer(socket, bytes.subarray(0, length))
          bytes = bytes.subarray(length)
        }
      } catch (error) {
        this.#cutOff(socket, messageOf(error))
        return
      }
    }
  }

  async #answer(socket: Socket, frame: Buffer): Promise<void> {
    this.#requests++
    this.#open.set(socket, this.#clock.now())
    if (!socket.write(await answer(frame, this.#options.tables))) await drained(socket)
  }

  #cutOff(socket: Socket, why: string): void {
    if (socket.destroyed) return
    this.#cut++
    const { log } = this.#options
    // One line, not one for each attempt of a scanner.
    if (!this.#hasTold)
      log.warn(
        { output: 'modbus' },
        `modbus: client ${socket.remoteAddress ?? 'gone'} is cut off: ${why}; others are counted`,
      )
    this.#hasTold = true
    socket.destroy()
  }
}

/** Waits until the client has read its answers or is gone. Rejects when it does neither. */
async function drained(socket: Socket): Promise<void> {
  const stop = new AbortController()
  const { signal } = stop
  const timer = setTimeout(() => stop.abort(), mostStalledMs)
  try {
    await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
  } catch {
    if (signal.aborted) throw new Error(`it reads no answers for ${mostStalledMs / 1000} s`)
  } finally {
    clearTimeout(timer)
    stop.abort()
  }
}

/** Lets so many a second pass, a tenth of a second's worth at once. */
function createAllowance(perSecond: number): { take(): Promise<void> } {
  const burst = perSecond / 10
  let [left, atMs] = [burst, systemClock.now()]
  return {
    async take() {
      for (;;) {
        const nowMs = systemClock.now()
        left = Math.min(burst, left + ((nowMs - atMs) * perSecond) / 1000)
        atMs = nowMs
        if (left >= 1) break
        await sleep(Math.ceil(((1 - left) * 1000) / perSecond) + 20)
      }
      left--
    },
  }
}
