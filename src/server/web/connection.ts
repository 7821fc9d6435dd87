/**
 * The messages of the live socket: states as they come, and pictures one at a time. The next picture is asked for only
 * after the last one was shown, and only while the page is visible.
 */
import type { LiveState, PictureHeader, PictureSide } from '../messages.js'
import { openReconnecting } from './reconnecting.js'

/** A picture as it arrives. */
export interface ReceivedPicture {
  readonly header: PictureHeader
  readonly jpeg: Blob
}

export interface Listener {
  onState(state: LiveState): void
  /** Resolves when the picture is shown. */
  onPicture(picture: ReceivedPicture): Promise<void>
  /** The server could not make a picture. */
  onNoPicture(): void
  /** The connection was opened or lost. */
  onLink(isUp: boolean): void
  /** An attempt to connect failed. The token may be wrong. */
  onRefused(): void
}

export interface WantedPicture {
  readonly camera: string
  readonly side: PictureSide
}

export interface Connection {
  /** Which pictures to ask for from now on; null stops them. */
  want(wanted: WantedPicture | null): void
  close(): void
}

type TextMessage = LiveState | { readonly type: 'nopicture' }

/** Pause after a picture could not be made. */
const noPicturePauseMs = 1000

export function connect(listener: Listener): Connection {
  let wanted: WantedPicture | null = null
  let isWaiting = false
  let after = 0

  const socket = openReconnecting({
    onOpen() {
      after = 0
      listener.onLink(true)
      askAgain()
    },
    onText: (text) => receiveText(JSON.parse(text) as TextMessage),
    onBinary: (data) => void receivePicture(decodePicture(data)),
    onClose(wasOpen) {
      listener.onLink(false)
      if (!wasOpen) listener.onRefused()
    },
  })

  function askForPicture(): void {
    if (isWaiting || !wanted || document.hidden) return
    const { camera, side } = wanted
    isWaiting = socket.send(JSON.stringify({ type: 'picture', camera, after, side }))
  }

  function askAgain(): void {
    isWaiting = false
    askForPicture()
  }

  function receiveText(message: TextMessage): void {
    if (message.type === 'state') return listener.onState(message)
    listener.onNoPicture()
    setTimeout(askAgain, noPicturePauseMs)
  }

  async function receivePicture(picture: ReceivedPicture): Promise<void> {
    after = picture.header.seq
    if (wanted?.camera === picture.header.camera) await listener.onPicture(picture).catch(() => undefined)
    askAgain()
  }

  document.addEventListener('visibilitychange', askForPicture)

  return {
    want(next) {
      if (next?.camera !== wanted?.camera) after = 0
      wanted = next
      askForPicture()
    },
    close: () => socket.close(),
  }
}

/** Length of the header (uint32, big endian), the header as JSON, the JPEG. */
export function decodePicture(data: ArrayBuffer): ReceivedPicture {
  const length = new DataView(data).getUint32(0)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as PictureHeader
  return { header, jpeg: new Blob([new Uint8Array(data, 4 + length)], { type: 'image/jpeg' }) }
}
