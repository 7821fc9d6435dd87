/**
 * Live pictures for any number of visitors. Each picture is captured and encoded once and shared by all requests that
 * wait for it. The rate is bounded: the cost does not grow with the number of visitors.
 */
import { boxesOf } from '../decision/task.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import type { CaptureOptions, Picture, PictureHeat } from '../zone/picture.js'
import type { PictureHeader, PictureSide, Region } from './messages.js'

/** A picture with its encoded forms. Shared: do not write to it. */
export interface LivePicture {
  readonly picture: Picture
  readonly jpeg: Buffer
  /** The binary message of the live socket: length of the header (uint32, big endian), header as JSON, JPEG. */
  readonly message: Buffer
}

/** A camera, as far as live pictures need it. */
export interface PictureSource {
  readonly id: string
  /** Whether its pictures come with heat maps; it may change. */
  readonly hasHeat: boolean
  capture(options: CaptureOptions): Promise<Picture>
}

/** At most ten pictures a second: they look like a moving picture and cost a few percent of one small core. */
const leastMsBetween = 100
/** A picture that is at most this old is handed out instead of a new one. */
const freshMs = 100
const quality = 75
/** Pictures that are kept after they were sent, for a visitor who reports one as misjudged. */
const kept = 8

/** The live pictures of one camera, in a few sizes. */
export class PictureHub {
  readonly #source: PictureSource
  readonly #sizes = new Map<PictureSide, SharedSize>()

  constructor(source: PictureSource) {
    this.#source = source
  }

  /** A picture other than frame number `after`. Rejects for the same reasons as the source's `capture`. */
  next(side: PictureSide, after: number): Promise<LivePicture> {
    let size = this.#sizes.get(side)
    if (!size) this.#sizes.set(side, (size = new SharedSize(this.#source, side)))
    return size.next(after)
  }

  /** The largest picture of frame `seq` among those that were handed out lately; null where there is none. */
  find(seq: number): Picture | null {
    const found = [...this.#sizes.values()].flatMap((size) => size.recent).filter((picture) => picture.seq === seq)
    return found.sort((a, b) => b.width - a.width)[0] ?? null
  }
}

/** The pictures of one size. At most one of them is being made at any time. */
class SharedSize {
  readonly #source: PictureSource
  readonly #side: PictureSide
  #pending: Promise<LivePicture> | null = null
  #last: LivePicture | null = null
  #lastMs = -Infinity
  recent: readonly Picture[] = []

  constructor(source: PictureSource, side: PictureSide) {
    this.#source = source
    this.#side = side
  }

  next(after: number): Promise<LivePicture> {
    const last = this.#last
    if (last && last.picture.seq !== after && performance.now() - this.#lastMs < freshMs) return Promise.resolve(last)
    this.#pending ??= this.#make().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  async #make(): Promise<LivePicture> {
    const waitMs = this.#lastMs + leastMsBetween - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    const heat = this.#source.hasHeat ? 'label' : undefined
    const picture = await this.#source.capture({ maxSide: this.#side, heat })
    this.#lastMs = performance.now()
    const jpeg = await encodeJpeg(picture, quality)
    this.#last = { picture, jpeg, message: pictureMessage(this.#source.id, picture, jpeg) }
    this.recent = [...this.recent, picture].slice(-kept)
    return this.#last
  }
}

/** The map as one byte a place, 255 at the hottest. Negative evidence is 0, the same as no evidence. */
function heatHeader({ map: { width, height, values }, view }: PictureHeat, shown: Region): PictureHeader['heat'] {
  const hottest = values.reduce((most, value) => Math.max(most, value), 0)
  const bytes = Buffer.from(
    Array.from(values, (value) => (hottest > 0 ? Math.max(0, Math.round((value / hottest) * 255)) : 0)),
  )
  const [ax, ay] = view.toInput(shown.x, shown.y)
  const [bx, by] = view.toInput(shown.x + shown.width, shown.y + shown.height)
  const inside = { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(bx - ax), height: Math.abs(by - ay) }
  return { width, height, values: bytes.toString('base64'), inside }
}

/** A picture as the binary message of the live socket, ready to send. */
export function pictureMessage(
  camera: string,
  { seq, wallTime, width, height, shown, prediction, decision, heat }: Picture,
  jpeg: Buffer,
): Buffer {
  const header: PictureHeader = {
    type: 'picture',
    camera,
    seq,
    atMs: wallTime,
    width,
    height,
    shown,
    label: decision.label,
    score: decision.score,
    top: [...(prediction?.top ?? [])],
    focus: prediction?.focus ?? null,
    boxes: boxesOf(prediction?.found).map(({ label, which, score, x, y, width, height }) => ({
      label: which?.label ?? label,
      score,
      x,
      y,
      width,
      height,
    })),
    isElsewhere: prediction?.isElsewhere ?? false,
    problem: prediction?.problem ?? null,
    heat: heat && prediction ? heatHeader(heat, shown) : null,
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.length)
  return Buffer.concat([length, json, jpeg])
}
