/**
 * The live socket, for as long as the page is open: connects again by itself, and asks for the next picture only when
 * the last one has been shown.
 */
import type { LiveState, PictureHeader, PictureSide } from '../messages.js'
import { readToken } from './api.js'

export interface Shot {
  readonly header: PictureHeader
  readonly jpeg: Blob
}

export interface Listener {
  onState(state: LiveState): void
  /** Resolves when it is shown. */
  onPicture(shot: Shot): Promise<void>
  onNoPicture(): void
  onLink(isUp: boolean): void
  /** Why there is no connection may be the token. */
  onRefused(): void
}

export interface Connection {
  /** Which camera, how large; null asks for no pictures. */
  want(wanted: { readonly camera: string; readonly side: PictureSide } | null): void
  close(): void
}

const pausesMs = [250, 500, 1000, 2000, 4000]
/** A server that says nothing for so long has gone without a word. */
const silentMs = 5000

export function connect(listener: Listener): Connection {
  let socket: WebSocket | null = null
  let wanted: { readonly camera: string; readonly side: PictureSide } | null = null
  let isAsked = false
  let after = 0
  let failures = 0
  let heardMs = 0
  let isClosed = false

  function ask(): void {
    if (isAsked || !wanted || document.hidden || socket?.readyState !== WebSocket.OPEN) return
    isAsked = true
    socket.send(JSON.stringify({ type: 'picture', camera: wanted.camera, after, side: wanted.side }))
  }

  function open(): void {
    if (isClosed) return
    const token = readToken()
    const encoded =
      token &&
      btoa(String.fromCharCode(...new TextEncoder().encode(token)))
        .replace(/\+/g, '-')
        .replace(/\//g, '_')
        .replace(/=+$/, '')
    const mine = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/live`, [
      'gapcam.v1',
      ...(encoded ? [`token.${encoded}`] : []),
    ])
    let wasOpen = false
    socket = mine
    mine.binaryType = 'arraybuffer'
    mine.onopen = () => {
      wasOpen = true
      failures = 0
      isAsked = false
      after = 0
      heardMs = performance.now()
      listener.onLink(true)
      ask()
    }
    mine.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      heardMs = performance.now()
      if (typeof data === 'string') hear(JSON.parse(data) as LiveState | { type: 'nopicture' })
      else void show(data)
    }
    mine.onclose = () => {
      listener.onLink(false)
      if (!wasOpen) listener.onRefused()
      setTimeout(open, pausesMs[Math.min(failures++, pausesMs.length - 1)])
    }
  }

  function hear(message: LiveState | { type: 'nopicture' }): void {
    if (message.type === 'state') return listener.onState(message)
    listener.onNoPicture()
    setTimeout(() => {
      isAsked = false
      ask()
    }, 1000)
  }

  async function show(data: ArrayBuffer): Promise<void> {
    const length = new DataView(data).getUint32(0)
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as PictureHeader
    after = header.seq
    if (wanted?.camera === header.camera)
      await listener
        .onPicture({ header, jpeg: new Blob([new Uint8Array(data, 4 + length)], { type: 'image/jpeg' }) })
        .catch(() => undefined)
    isAsked = false
    ask()
  }

  const watching = setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && performance.now() - heardMs > silentMs) socket.close()
  }, 1000)
  document.addEventListener('visibilitychange', ask)
  open()

  return {
    want(next) {
      if (next?.camera !== wanted?.camera) after = 0
      wanted = next
      ask()
    },
    close() {
      isClosed = true
      clearInterval(watching)
      socket?.close()
    },
  }
}
