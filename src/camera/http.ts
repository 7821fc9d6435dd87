/**
 * Cameras over HTTP: MJPEG is read here, on one connection, and only the newest picture is decoded; a still picture is
 * polled; MPEG-TS and FLV go through ffmpeg's stdin; any other video is opened by ffmpeg. Frames are stamped with the time of their arrival.
 */
import type { IncomingMessage } from 'node:http'
import type { CameraAddress } from '../address/camera.js'
import { GapcamError, messageOf } from '../errors.js'
import { frameOf, type Frame } from '../frame.js'
import { decodePicture } from '../pixels/decode.js'
import type { Camera, CameraDescription, CameraOptions } from './camera.js'
import { cameraAddress, openPiped, openStream } from './ffmpeg.js'
import { decodeFitting, type EncodedPicture } from './fitting.js'
import { HttpClient } from './http-client.js'
import { JpegCutter } from '../pixels/jpeg-cutter.js'
import { Pace } from './pace.js'

/** A camera at an http:// or https:// address. Throws CONFIG_INVALID for an address that cannot be read. */
export function openHttp(uri: string, options: CameraOptions): Camera {
  return new HttpCamera(uri, cameraAddress(uri), options)
}

const stillFps = 1
/** No picture of a camera is larger. */
const mostStillBytes = 64e6
/** Bytes that tell what a body without a telling type is. */
const sniffBytes = 512
/** A body without type and length that ends within this time after its first picture is a still picture. */
const secondMs = 1000

interface Arrived {
  readonly jpeg: Buffer
  readonly seq: number
  readonly capturedNs: bigint
}

class HttpCamera implements Camera {
  onWarning?: (error: Error) => void
  readonly #uri: string
  readonly #address: CameraAddress
  readonly #options: CameraOptions
  readonly #client: HttpClient
  readonly #closing = new AbortController()
  readonly #cutter = new JpegCutter()
  /** Reads what is neither MJPEG nor a still picture. */
  #ffmpeg: Camera | null = null
  #isStill = false
  #newest: Arrived | null = null
  /** The frame that told the size. */
  #first: Frame | null = null
  #seq = 0
  #replaced = 0
  #undecodable = 0
  #isDecoding = true
  readonly #pace = new Pace()
  #end: GapcamError | null = null
  #wake: (() => void) | null = null

  constructor(uri: string, address: CameraAddress, options: CameraOptions) {
    this.#uri = uri
    this.#address = address
    this.#options = options
    this.#client = new HttpClient(address)
  }

  get dropped(): number {
    return this.#ffmpeg?.dropped ?? this.#replaced + this.#undecodable + this.#cutter.incomplete
  }

  get isLive(): boolean {
    return this.#ffmpeg?.isLive ?? !this.#isStill
  }

  async open(signal: AbortSignal): Promise<CameraDescription> {
    const response = await this.#client.get(AbortSignal.any([signal, this.#closing.signal]))
    const { shown } = this.#address
    const [page] = /^text\/html|^application\/json/i.exec(response.headers['content-type'] ?? '') ?? []
    if (page !== undefined) {
      response.destroy()
      const what = /html/i.test(page) ? 'a web page' : 'JSON'
      throw new GapcamError('CAMERA_NOT_FOUND', `camera ${shown} cannot be opened: it answers with ${what}`, {
        hint: "Check the path of the address; the camera's manual names that of its stream or its still picture.",
      })
    }
    const kind = await kindOf(response)
    if (kind === 'stream' || kind === 'other') {
      if (kind === 'other') response.destroy()
      this.#ffmpeg =
        kind === 'stream' ? openPiped(shown, response, this.#options) : openStream(this.#uri, this.#options)
      return this.#ffmpeg.open(signal)
    }
    this.#isStill = kind === 'still'
    if (this.#isStill) this.#first = await this.#decode(await bodyOf(response, shown), { seq: ++this.#seq })
    else {
      this.#read(response)
      this.#first = await this.#nextDecoded(signal)
      if (kind === 'untold') this.#isStill = await this.#endsAfterOne(response, signal)
    }
    const { width, height } = this.#first.fullSize ?? this.#first
    return { uri: shown, name: shown, width, height, format: 'jpeg' }
  }

  /** Keeps the newest picture of the stream. */
  #read(response: IncomingMessage): void {
    response.on('data', (chunk: Buffer) => {
      try {
        for (const jpeg of this.#cutter.feed(chunk)) {
          if (this.#newest) this.#replaced++
          this.#newest = { jpeg, seq: ++this.#seq, capturedNs: process.hrtime.bigint() }
        }
        if (this.#newest) this.#wake?.()
      } catch (error) {
        this.#finish(messageOf(error), 'CAMERA_FORMAT')
        response.destroy()
      }
    })
    response.on('error', () => this.#finish('it has ended the connection'))
    response.on('close', () => this.#finish('it has ended the connection'))
    this.#closing.signal.addEventListener('abort', () => response.destroy(), { once: true })
  }

  /** Whether a body that does not say what it is, as HTTP/1.0 sends it, ends after its first picture. */
  async #endsAfterOne(response: IncomingMessage, signal: AbortSignal): Promise<boolean> {
    const endMs = performance.now() + secondMs
    const wake = (): void => this.#wake?.()
    const timer = setTimeout(wake, secondMs)
    signal.addEventListener('abort', wake, { once: true })
    while (this.#seq === 1 && !this.#end && !signal.aborted && performance.now() < endMs)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#wake = null
    clearTimeout(timer)
    signal.removeEventListener('abort', wake)
    const isOne = this.#seq === 1 && this.#end !== null && response.complete && !this.#closing.signal.aborted
    // The end of one picture is not the end of the camera.
    if (isOne) this.#end = null
    return isOne
  }

  #finish(why: string, code: 'CAMERA_LOST' | 'CAMERA_FORMAT' = 'CAMERA_LOST'): void {
    this.#end ??= new GapcamError(code, `camera ${this.#address.shown}: ${why}`)
    this.#wake?.()
  }

  async next(signal: AbortSignal): Promise<Frame | null> {
    if (this.#ffmpeg) return this.#ffmpeg.next(signal)
    await this.#untilDue(signal)
    const first = this.#first
    this.#first = null
    return first ?? (this.#isStill ? this.#nextStill(signal) : this.#nextDecoded(signal))
  }

  /** Waits until the next frame is due. */
  async #untilDue(signal: AbortSignal): Promise<void> {
    const fps = this.#options.fps || (this.#isStill ? stillFps : 0)
    if (fps === 0) return
    await this.#pace.wait(1000 / fps, AbortSignal.any([signal, this.#closing.signal]))
  }

  async #nextStill(signal: AbortSignal): Promise<Frame> {
    const response = await this.#client.get(AbortSignal.any([signal, this.#closing.signal]))
    return this.#decode(await bodyOf(response, this.#address.shown), { seq: ++this.#seq })
  }

  /** The newest picture that can be decoded. A damaged one counts as dropped; the first in a row is reported. */
  async #nextDecoded(signal: AbortSignal): Promise<Frame> {
    for (;;) {
      const { jpeg, seq, capturedNs } = await this.#nextArrived(signal)
      try {
        const frame = await this.#decode(jpeg, { seq, capturedNs })
        this.#isDecoding = true
        return frame
      } catch (error) {
        if (!(error instanceof GapcamError) || error.code !== 'PICTURE_INVALID') throw error
        this.#undecodable++
        if (this.#isDecoding) this.onWarning?.(error)
        this.#isDecoding = false
      }
    }
  }

  async #nextArrived(signal: AbortSignal): Promise<Arrived> {
    const wake = (): void => this.#wake?.()
    signal.addEventListener('abort', wake, { once: true })
    try {
      while (this.#newest === null) {
        if (this.#end) throw this.#end
        if (signal.aborted) throw new GapcamError('CAMERA_LOST', `camera ${this.#address.shown} is closed`)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = null
      }
      const newest = this.#newest
      this.#newest = null
      return newest
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** A picture as a frame. A wanted size is the only one. */
  async #decode(bytes: Uint8Array, facts: EncodedPicture['facts']): Promise<Frame> {
    const { width, height, needs } = this.#options
    const name = `of ${this.#address.shown}`
    if (!width || !height) return decodeFitting({ bytes, name, facts }, needs?.() ?? [])
    return { ...frameOf(await decodePicture(bytes, name, { width, height })), ...facts }
  }

  async close(): Promise<void> {
    this.#finish('it is closed')
    this.#closing.abort()
    await this.#ffmpeg?.close()
  }
}

/**
 * What a body is, from its type, else from its first bytes, which stay in it. A `stream` (MPEG-TS, FLV) is read from one
 * end to the other; `other` video, such as a playlist or MP4, ffmpeg has to open itself. A JPEG without type and length is
 * `untold`: another may follow it.
 */
async function kindOf(response: IncomingMessage): Promise<'mjpeg' | 'still' | 'untold' | 'stream' | 'other'> {
  const type = response.headers['content-type'] ?? ''
  if (/^multipart\/|motion-jpeg|mjpeg/i.test(type)) return 'mjpeg'
  if (/^image\//i.test(type)) return 'still'
  if (/^video\/(?:mp2t|mpeg|x-flv)/i.test(type)) return 'stream'
  if (/^video\/|mpegurl/i.test(type)) return 'other'
  const head = await headOf(response)
  const isJpeg = head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff
  if (isJpeg) return response.headers['content-length'] === undefined ? 'untold' : 'still'
  if (/^(?:\x89PNG|RIFF.{4}WEBP)/s.test(head.toString('latin1'))) return 'still'
  if (/^\s*--[\s\S]*image\/jpe?g/i.test(head.toString('latin1'))) return 'mjpeg'
  const isTransport = head[0] === 0x47 && (head.length < 189 || head[188] === 0x47)
  return isTransport || head.toString('latin1', 0, 3) === 'FLV' ? 'stream' : 'other'
}

async function headOf(response: IncomingMessage): Promise<Buffer> {
  const chunk = await new Promise<Buffer>((resolve, reject) => {
    response.once('readable', () => {
      const read = (response.read() as Buffer | null) ?? Buffer.alloc(0)
      // At once: a body that has arrived whole would end before the next turn.
      if (read.length > 0) response.unshift(read)
      resolve(read)
    })
    response.once('error', reject).once('end', () => resolve(Buffer.alloc(0)))
  })
  return chunk.subarray(0, sniffBytes)
}

/** Reads the picture. A body that does not end would fill the memory, so its length is bounded. */
async function bodyOf(response: IncomingMessage, shown: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > mostStillBytes) break
      chunks.push(chunk)
    }
  } catch (error) {
    throw new GapcamError('CAMERA_LOST', `camera ${shown}: its picture ends early`, { cause: error })
  }
  // Leaving the loop ends the connection.
  if (length > mostStillBytes)
    throw new GapcamError(
      'CAMERA_FORMAT',
      `camera ${shown}: its picture does not end: it has more than ${mostStillBytes / 1e6} MB`,
    )
  return Buffer.concat(chunks)
}
