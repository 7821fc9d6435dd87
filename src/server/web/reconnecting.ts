/** A WebSocket to the server that reconnects by itself for as long as the page is open. */
import { addressOf, readToken } from './api.js'

export interface SocketListener {
  onOpen(): void
  onText(text: string): void
  onBinary(data: ArrayBuffer): void
  /** `wasOpen` is false when the attempt to connect failed. */
  onClose(wasOpen: boolean): void
}

export interface ReconnectingSocket {
  /** Returns false, and sends nothing, while there is no connection. */
  send(text: string): boolean
  close(): void
}

/** Pauses between attempts to connect. */
const pausesMs = [250, 500, 1000, 2000, 4000]
/** The server sends a state four times a second. A silence this long means that the connection is dead. */
const silentMs = 5000

export function openReconnecting(listener: SocketListener): ReconnectingSocket {
  let socket: WebSocket | null = null
  let failures = 0
  let receivedMs = 0
  let isClosed = false

  function open(): void {
    if (isClosed) return
    const opened = openSocket()
    let wasOpen = false
    socket = opened
    opened.onopen = () => {
      wasOpen = true
      failures = 0
      receivedMs = performance.now()
      listener.onOpen()
    }
    opened.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      receivedMs = performance.now()
      if (typeof data === 'string') listener.onText(data)
      else listener.onBinary(data)
    }
    opened.onclose = () => {
      listener.onClose(wasOpen)
      setTimeout(open, pausesMs[Math.min(failures++, pausesMs.length - 1)])
    }
  }

  const watching = setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && performance.now() - receivedMs > silentMs) socket.close()
  }, 1000)
  open()

  return {
    send(text) {
      if (socket?.readyState !== WebSocket.OPEN) return false
      socket.send(text)
      return true
    },
    close() {
      isClosed = true
      clearInterval(watching)
      socket?.close()
    },
  }
}

/** Browsers cannot set headers of a WebSocket, so the token is a subprotocol. */
function openSocket(): WebSocket {
  const token = readToken()
  const protocols = token ? ['gapcam.v1', `token.${base64Url(token)}`] : ['gapcam.v1']
  const address = addressOf('/api/live')
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  const socket = new WebSocket(address, protocols)
  socket.binaryType = 'arraybuffer'
  return socket
}

function base64Url(token: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(token)))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')
}
