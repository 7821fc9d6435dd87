/**
 * Cutters divide the byte stream of a child program into frames. The program writes raw frames of a known size, YUV4MPEG2
 * (whose header carries the size), or raw frames whose rows are padded to a stride that only the stream itself reveals.
 */
import { GapcamError } from '../errors.js'
import { frameBytes, type PixelFormat } from '../frame.js'

/** Size and layout of every frame of a stream; stride in bytes, of the first plane. */
export interface Geometry {
  readonly width: number
  readonly height: number
  readonly stride: number
  readonly format: PixelFormat
}

/** Receives frames. The cutter fills each buffer completely before it asks for the next. */
export interface FrameSink {
  buffer(bytes: number): Buffer
  complete(buffer: Buffer): void
}

/** Divides one stream. */
export interface FrameCutter {
  /** Null until the stream has revealed it. */
  readonly geometry: Geometry | null
  /** Frames a second as the stream's header states it; 0 where it has none. */
  readonly fps: number
  /** Takes the next bytes. Throws CAMERA_FORMAT for a stream that is not what was expected. */
  feed(chunk: Buffer, sink: FrameSink): void
}

/** Cuts raw frames of one geometry. */
export function rawCutter(geometry: Geometry): FrameCutter {
  const filler = new Filler(frameBytes(geometry.format, geometry.stride, geometry.height))
  return {
    geometry,
    fps: 0,
    feed(chunk, sink) {
      for (let at = 0; at < chunk.length; ) at = filler.fill(chunk, at, sink)
    },
  }
}

/** Copies chunks into buffers of one frame. */
class Filler {
  readonly #bytes: number
  #buffer: Buffer | null = null
  #filled = 0

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  get isBetweenFrames(): boolean {
    return this.#buffer === null
  }

  /** Copies from `at` at most to the end of the frame; returns where it stopped. */
  fill(chunk: Buffer, at: number, sink: FrameSink): number {
    const buffer = (this.#buffer ??= sink.buffer(this.#bytes))
    const count = Math.min(this.#bytes - this.#filled, chunk.length - at)
    chunk.copy(buffer, this.#filled, at, at + count)
    this.#filled += count
    if (this.#filled === this.#bytes) {
      this.#buffer = null
      this.#filled = 0
      sink.complete(buffer)
    }
    return at + count
  }
}

const longestLine = 512
const newline = 0x0a

/** Cuts YUV4MPEG2 with 4:2:0 chroma, as `ffmpeg -f yuv4mpegpipe` writes it. */
export function y4mCutter(): FrameCutter {
  return new Y4mCutter()
}

class Y4mCutter implements FrameCutter {
  geometry: Geometry | null = null
  fps = 0
  #filler: Filler | null = null
  #line = ''
  #isInFrame = false

  feed(chunk: Buffer, sink: FrameSink): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#isInFrame) {
        at = this.#filler!.fill(chunk, at, sink)
        this.#isInFrame = !this.#filler!.isBetweenFrames
      } else at = this.#readLine(chunk, at)
    }
  }

  #readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(newline, at)
    this.#line += chunk.toString('latin1', at, end < 0 ? chunk.length : end)
    if (this.#line.length > longestLine) throw unexpected()
    if (end < 0) return chunk.length
    if (this.geometry === null) this.#readHeader(this.#line)
    else if (!this.#line.startsWith('FRAME')) throw unexpected()
    else this.#isInFrame = true
    this.#line = ''
    return end + 1
  }

  #readHeader(line: string): void {
    const [, width, height] = /^YUV4MPEG2 W(\d+) H(\d+)\b/.exec(line) ?? []
    if (width === undefined || height === undefined || !/ C420/.test(line)) throw unexpected()
    const [, numerator = '0', denominator = '1'] = / F(\d+):(\d+)/.exec(line) ?? []
    this.fps = Number(denominator) > 0 ? Math.round((Number(numerator) / Number(denominator)) * 100) / 100 : 0
    this.geometry = { width: Number(width), height: Number(height), stride: Number(width), format: 'i420' }
    this.#filler = new Filler(frameBytes('i420', this.geometry.stride, this.geometry.height))
  }
}

function unexpected(): GapcamError {
  return new GapcamError('CAMERA_FORMAT', 'ffmpeg writes something other than 4:2:0 video')
}

/** What a camera program was asked for, whose rows may be padded. */
export interface PaddedSource {
  readonly width: number
  readonly height: number
  readonly fps: number
}

/**
 * Cuts I420 whose rows are padded: image processors align them (a Pi 4 to 64 bytes, a Pi 5 to 128), and camera programs
 * write the buffer as it is. The program pauses after each frame, so the number of bytes before a pause is a whole number
 * of frames, and the stride follows from it. Frames before the stride is known are dropped.
 */
export function paddedCutter(source: PaddedSource, now: () => number = () => performance.now()): FrameCutter {
  return new PaddedCutter(source, now)
}

const alignments = [2, 16, 32, 64, 128, 256]
/** A pause between frames is at least this share of the time from frame to frame. */
const pauseShare = 0.25
const mostFramesToPause = 4
const mostPauses = 60

class PaddedCutter implements FrameCutter {
  geometry: Geometry | null = null
  readonly fps = 0
  readonly #source: PaddedSource
  readonly #now: () => number
  readonly #pauseMs: number
  readonly #strides: readonly number[]
  #raw: FrameCutter | null = null
  #total = 0
  #lastPause = 0
  #lastDistance = 0
  #pauses = 0
  #lastMs = 0

  constructor(source: PaddedSource, now: () => number) {
    this.#source = source
    this.#now = now
    this.#pauseMs = Math.min(25, Math.max(2, (pauseShare * 1000) / source.fps))
    this.#strides = [...new Set(alignments.map((bytes) => Math.ceil(source.width / bytes) * bytes))]
  }

  feed(chunk: Buffer, sink: FrameSink): void {
    const nowMs = this.#now()
    if (this.#raw === null && this.#total > 0 && nowMs - this.#lastMs >= this.#pauseMs) this.#pause()
    this.#lastMs = nowMs
    this.#total += chunk.length
    this.#raw?.feed(chunk, sink)
  }

  /** Called between two chunks with a pause between them. */
  #pause(): void {
    const stride = this.#strideAt(this.#total)
    if (stride !== null) {
      const { width, height } = this.#source
      this.geometry = { width, height, stride, format: 'i420' }
      this.#raw = rawCutter(this.geometry)
    } else if (++this.#pauses === mostPauses)
      throw new GapcamError('CAMERA_FORMAT', 'the camera program writes frames of a size that does not fit its picture')
  }

  /** The stride if so many bytes are whole frames; null while that is not certain. */
  #strideAt(total: number): number | null {
    const { width, height } = this.#source
    const fitting = this.#strides.filter((stride) => {
      const frames = total / frameBytes('i420', stride, height)
      return Number.isInteger(frames) && frames <= mostFramesToPause
    })
    if (fitting.length === 1) return fitting[0]!
    // An alignment that is not in the list: two frames of the same size in a row tell it.
    const distance = total - this.#lastPause
    const isSame = distance === this.#lastDistance
    this.#lastPause = total
    this.#lastDistance = distance
    const rows = height + ((height + 1) >> 1)
    const stride = distance / rows
    return isSame && Number.isInteger(stride) && stride % 2 === 0 && stride >= width && stride < 2 * width + 512
      ? stride
      : null
  }
}
