/**
 * Live pictures for any number of visitors: one capture, encoded once, shared by all who wait for it. The pace is
 * bounded, so that visitors together cost a few pictures a second and no more, however many they are.
 */
import { encodeJpeg } from '../pixels/jpeg.js'
import type { CaptureOptions, Picture, PictureHeat } from '../run/picture.js'
import type { PictureHeader, PictureSide, Region } from './messages.js'

export interface LivePicture {
  readonly picture: Picture
  readonly jpeg: Buffer
  /** The live socket's message: length of the header (uint32, big endian), header as JSON, JPEG. */
  readonly message: Buffer
}

export interface PictureSource {
  readonly id: string
  /** Whether the model has heat maps. */
  readonly hasHeat: boolean
  capture(options: CaptureOptions): Promise<Picture>
}

/** Ten pictures a second look like a moving picture, and take a few percent of one small core to encode. */
const leastMsBetween = 100
/** A picture so young is as good as the next one. */
const freshMs = 100
const quality = 75
/** Pictures that a visitor may still be looking at when saying that it is wrong. */
const kept = 8

export class PictureHub {
  readonly #source: PictureSource
  readonly #sizes = new Map<PictureSide, SharedSize>()

  constructor(source: PictureSource) {
    this.#source = source
  }

  /** A picture newer than the one numbered `after`. Rejects as Pipeline.capture does. */
  next(side: PictureSide, after: number): Promise<LivePicture> {
    let size = this.#sizes.get(side)
    if (!size) this.#sizes.set(side, (size = new SharedSize(this.#source, side)))
    return size.next(after)
  }

  /** A picture that was handed out and is still here, the largest of its number. */
  find(seq: number): Picture | null {
    const found = [...this.#sizes.values()].flatMap((size) => size.recent).filter((picture) => picture.seq === seq)
    return found.sort((a, b) => b.width - a.width)[0] ?? null
  }
}

class SharedSize {
  readonly #source: PictureSource
  readonly #side: PictureSide
  #coming: Promise<LivePicture> | null = null
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
    this.#coming ??= this.#make().finally(() => {
      this.#coming = null
    })
    return this.#coming
  }

  async #make(): Promise<LivePicture> {
    const waitMs = this.#lastMs + leastMsBetween - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    const picture = await this.#source.capture({
      maxSide: this.#side,
      ...(this.#source.hasHeat ? { heat: 'label' } : {}),
    })
    this.#lastMs = performance.now()
    const jpeg = await encodeJpeg(picture, quality)
    this.#last = { picture, jpeg, message: messageOf(this.#source.id, picture, jpeg) }
    this.recent = [...this.recent, picture].slice(-kept)
    return this.#last
  }
}

/** One byte a place: what speaks against the label is as cold as what says nothing. */
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

function messageOf(
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
    isElsewhere: prediction?.isElsewhere ?? false,
    problem: prediction?.problem ?? null,
    heat: heat && prediction ? heatHeader(heat, shown) : null,
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.length)
  return Buffer.concat([length, json, jpeg])
}
