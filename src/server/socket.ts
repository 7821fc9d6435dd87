/**
 * The live socket: sends the state four times a second, and one picture for each request. A visitor may have one picture
 * request open at a time. This is the back-pressure: a slow visitor gets fewer pictures and does not affect others. A
 * visitor that breaks the protocol, or does not read what it asked for, is disconnected with a reason.
 */
import type { WebSocket } from '@fastify/websocket'
import { messageOf } from '../errors.js'
import { pictureRequest, type LiveState } from './messages.js'
import type { PictureHub } from './pictures.js'

export interface SocketOptions {
  /** Live pictures by camera id. */
  readonly hubs: ReadonlyMap<string, PictureHub>
  readonly state: () => LiveState
}

export interface LiveSockets {
  /** Connected visitors. */
  readonly size: number
  /** Takes over a socket that has passed access control. */
  add(socket: WebSocket): void
  /** Disconnects all visitors. */
  close(): void
}

const stateEveryMs = 250
const pingEveryMs = 15_000
const maxVisitors = 64
/** Unsent bytes above which a visitor gets no states, and above which it is disconnected when it asks for a picture. */
const busyBytes = 64 << 10
const stuckBytes = 4 << 20
/** Messages a second from one visitor. The page sends at most ten. */
const maxMessages = 60

/** RFC 6455, 7.4.1. */
const closeCodes = { goingAway: 1001, notText: 1003, violation: 1008, tryAgainLater: 1013 } as const

/**
 * The live sockets of one page. The timers run only while a visitor is connected.
 *
 *     const sockets = createLiveSockets({ hubs, state: () => observer.state() })
 *     app.get('/api/live', { websocket: true }, (socket) => sockets.add(socket))
 */
export function createLiveSockets({ hubs, state }: SocketOptions): LiveSockets {
  const visitors = new Set<Visitor>()
  let ticking: NodeJS.Timeout | null = null
  let pinging: NodeJS.Timeout | null = null

  /** The state is serialized once for all visitors. */
  function sendState(): void {
    const text = JSON.stringify(state())
    for (const visitor of visitors) visitor.sendText(text)
  }

  function start(): void {
    ticking ??= setInterval(sendState, stateEveryMs)
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
      if (visitors.size >= maxVisitors)
        return socket.close(closeCodes.tryAgainLater, `limit of ${maxVisitors} visitors reached; close another page`)
      const visitor = new Visitor(socket, hubs)
      visitors.add(visitor)
      socket.on('close', () => {
        visitors.delete(visitor)
        if (visitors.size === 0) stop()
      })
      visitor.sendText(JSON.stringify(state()))
      start()
    },
    close() {
      stop()
      for (const visitor of visitors) visitor.disconnect(closeCodes.goingAway, 'gapcam stops')
    },
  }
}

/** One connected page. */
class Visitor {
  readonly #socket: WebSocket
  readonly #hubs: ReadonlyMap<string, PictureHub>
  /** A picture request is open. */
  #isWaiting = false
  #isAlive = true
  #messages = 0
  #secondMs = 0

  constructor(socket: WebSocket, hubs: ReadonlyMap<string, PictureHub>) {
    this.#socket = socket
    this.#hubs = hubs
    // 'close' follows.
    socket.on('error', () => socket.terminate())
    socket.on('pong', () => {
      this.#isAlive = true
    })
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#receive(data, isBinary)
    })
  }

  /** Drops the text when the visitor is slow: the next state replaces it. */
  sendText(text: string): void {
    if (this.#socket.readyState === 1 && this.#socket.bufferedAmount < busyBytes) this.#socket.send(text)
  }

  /** Ends the connection when the last ping was not answered. */
  ping(): void {
    if (!this.#isAlive) return this.#socket.terminate()
    this.#isAlive = false
    this.#socket.ping()
  }

  disconnect(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#socket.readyState !== 1) return
    if (isBinary) return this.disconnect(closeCodes.notText, 'messages must be JSON as text')
    const request = pictureRequest.safeParse(parsed(data))
    const violation = this.#violation(request.success)
    if (violation !== null) return this.disconnect(closeCodes.violation, violation)
    const { camera, after, side } = request.data!
    const hub = this.#hubs.get(camera)
    if (!hub) return this.disconnect(closeCodes.violation, 'there is no such camera')
    this.#isWaiting = true
    hub
      .next(side, after)
      .then(
        ({ message }) => {
          if (this.#socket.readyState === 1) this.#socket.send(message)
        },
        (error: unknown) => this.sendText(JSON.stringify({ type: 'nopicture', camera, why: messageOf(error) })),
      )
      .finally(() => {
        this.#isWaiting = false
      })
  }

  /** Why the visitor must be disconnected; null while it keeps to the protocol. */
  #violation(isValid: boolean): string | null {
    if (this.#isFlood()) return 'too many messages'
    if (!isValid) return 'not a message of this protocol'
    if (this.#isWaiting) return 'one picture at a time'
    return this.#socket.bufferedAmount > stuckBytes ? 'pictures are not read' : null
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
