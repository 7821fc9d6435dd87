/**
 * The live socket: the state a few times a second, and pictures as fast as the visitor asks for them. One picture is
 * under way at a time, which is the visitor's back-pressure: a slow one gets fewer, and nobody else notices. A visitor
 * who breaks the protocol, or does not read what was asked for, is hung up on with the reason.
 */
import type { WebSocket } from '@fastify/websocket'
import { messageOf } from '../errors.js'
import { pictureWanted, type LiveState } from './messages.js'
import type { PictureHub } from './pictures.js'

export interface SocketOptions {
  readonly hubs: ReadonlyMap<string, PictureHub>
  readonly state: () => LiveState
}

export interface LiveSockets {
  readonly size: number
  add(socket: WebSocket): void
  close(): void
}

const stateEveryMs = 250
const pingEveryMs = 15_000
const maxVisitors = 64
/** Unread bytes beyond which states are left out, and beyond which a visitor who asks for more is hung up on. */
const busyBytes = 64 << 10
const stuckBytes = 4 << 20
/** Messages a second, far above what a page sends. */
const maxMessages = 60

/** RFC 6455, 7.4.1. */
const closeCodes = { goingAway: 1001, notText: 1003, wrong: 1008, full: 1013 } as const

export function createLiveSockets({ hubs, state }: SocketOptions): LiveSockets {
  const visitors = new Set<Visitor>()
  let ticking: NodeJS.Timeout | null = null
  let pinging: NodeJS.Timeout | null = null

  function tick(): void {
    // Written once for all.
    const text = JSON.stringify(state())
    for (const visitor of visitors) visitor.tell(text)
  }

  function start(): void {
    ticking ??= setInterval(tick, stateEveryMs)
    pinging ??= setInterval(() => {
      for (const visitor of visitors) visitor.ping()
    }, pingEveryMs)
  }

  function stop(): void {
    if (ticking) clearInterval(ticking)
    if (pinging) clearInterval(pinging)
    ticking = pinging = null
  }

  return {
    get size() {
      return visitors.size
    },
    add(socket) {
      if (visitors.size >= maxVisitors) return socket.close(closeCodes.full, `${maxVisitors} visitors are here already`)
      const visitor = new Visitor(socket, hubs)
      visitors.add(visitor)
      socket.on('close', () => {
        visitors.delete(visitor)
        if (visitors.size === 0) stop()
      })
      visitor.tell(JSON.stringify(state()))
      start()
    },
    close() {
      stop()
      for (const visitor of visitors) visitor.hangUp(closeCodes.goingAway, 'gapcam ends')
    },
  }
}

class Visitor {
  readonly #socket: WebSocket
  readonly #hubs: ReadonlyMap<string, PictureHub>
  #isWaiting = false
  #isAlive = true
  #messages = 0
  #secondMs = 0

  constructor(socket: WebSocket, hubs: ReadonlyMap<string, PictureHub>) {
    this.#socket = socket
    this.#hubs = hubs
    // Faults of the connection end it; 'close' follows.
    socket.on('error', () => socket.terminate())
    socket.on('pong', () => {
      this.#isAlive = true
    })
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#hear(data, isBinary)
    })
  }

  tell(text: string): void {
    if (this.#socket.readyState === 1 && this.#socket.bufferedAmount < busyBytes) this.#socket.send(text)
  }

  /** One that did not answer the last ping is gone without a word. */
  ping(): void {
    if (!this.#isAlive) return this.#socket.terminate()
    this.#isAlive = false
    this.#socket.ping()
  }

  hangUp(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }

  #hear(data: Buffer, isBinary: boolean): void {
    if (this.#socket.readyState !== 1) return
    if (isBinary) return this.hangUp(closeCodes.notText, 'messages are JSON as text')
    if (this.#isFlood()) return this.hangUp(closeCodes.wrong, 'too many messages')
    const wanted = pictureWanted.safeParse(parsed(data))
    if (!wanted.success) return this.hangUp(closeCodes.wrong, 'not a message of this protocol')
    const { camera, after, side } = wanted.data
    const hub = this.#hubs.get(camera)
    if (!hub) return this.hangUp(closeCodes.wrong, 'there is no such camera')
    if (this.#isWaiting) return this.hangUp(closeCodes.wrong, 'one picture at a time')
    if (this.#socket.bufferedAmount > stuckBytes) return this.hangUp(closeCodes.wrong, 'pictures are not read')
    this.#isWaiting = true
    hub
      .next(side, after)
      .then(
        ({ message }) => {
          if (this.#socket.readyState === 1) this.#socket.send(message)
        },
        (error: unknown) => this.tell(JSON.stringify({ type: 'nopicture', camera, why: messageOf(error) })),
      )
      .finally(() => {
        this.#isWaiting = false
      })
  }

  #isFlood(): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#secondMs > 1000) {
      this.#secondMs = nowMs
      this.#messages = 0
    }
    return ++this.#messages > maxMessages
  }
}

function parsed(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString())
  } catch {
    return undefined
  }
}
