/**
 * Live pictures for any number of visitors. Each picture is captured and encoded once and shared by all requests that
 * wait for it. The rate is bounded: the cost does not grow with the number of visitors.
 */
import { boxesOf } from '../decision/task.js'
import type { View } from '../pixels/geometry.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import type { PlacedMask } from '../pixels/mask.js'
import type { CaptureOptions, Picture, PictureHeat } from '../zone/picture.js'
import type { PictureHeader, PictureSide, PlaceMap, Region } from './messages.js'

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
  /** Whether they come with the labels of all places; it may change. */
  readonly hasMask: boolean
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
    const { hasHeat, hasMask } = this.#source
    const heat = hasHeat ? 'label' : undefined
    const picture = await this.#source.capture({ maxSide: this.#side, heat, mask: hasMask })
    this.#lastMs = performance.now()
    const jpeg = await encodeJpeg(picture, quality)
    this.#last = { picture, jpeg, message: pictureMessage(this.#source.id, picture, jpeg) }
    this.recent = [...this.recent, picture].slice(-kept)
    return this.#last
  }
}

/** The map as one byte a place, 255 at the hottest. Negative evidence is 0, the same as no evidence. */
function heatHeader({ map: { width, height, values }, view }: PictureHeat, shown: Region): PlaceMap {
  const hottest = values.reduce((most, value) => Math.max(most, value), 0)
  const bytes = Buffer.from(
    Array.from(values, (value) => (hottest > 0 ? Math.max(0, Math.round((value / hottest) * 255)) : 0)),
  )
  return { width, height, values: bytes.toString('base64'), inside: insideOf(view, shown) }
}

/** A mask of more places would make the messages larger than their pictures. */
const mostMaskSide = 128
const nothing = 255

/** The labels as one byte a place, those of every few places where there are many. */
function maskHeader({ mask, view }: PlacedMask, shown: Region): PlaceMap {
  const step = Math.max(1, Math.max(mask.width, mask.height) / mostMaskSide)
  const [width, height] = [Math.round(mask.width / step), Math.round(mask.height / step)]
  const bytes = Buffer.alloc(width * height)
  for (let y = 0; y < height; y++) {
    const row = Math.min(mask.height - 1, Math.floor((y + 0.5) * step)) * mask.width
    for (let x = 0; x < width; x++) {
      const label = mask.labels[row + Math.min(mask.width - 1, Math.floor((x + 0.5) * step))]!
      bytes[y * width + x] = label === mask.nothing ? nothing : label % nothing
    }
  }
  return { width, height, values: bytes.toString('base64'), inside: insideOf(view, shown) }
}

/** The part of a map of the input that lies over the part of the frame that the network saw. */
function insideOf(view: View, shown: Region): Region {
  const [ax, ay] = view.toInput(shown.x, shown.y)
  const [bx, by] = view.toInput(shown.x + shown.width, shown.y + shown.height)
  return { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(bx - ax), height: Math.abs(by - ay) }
}

/** A picture as the binary message of the live socket, ready to send. */
export function pictureMessage(
  camera: string,
  { seq, wallTime, width, height, shown, prediction, decision, heat, mask }: Picture,
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
    mask: mask && prediction ? maskHeader(mask, shown) : null,
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.length)
  return Buffer.concat([length, json, jpeg])
}
