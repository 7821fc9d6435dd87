/**
 * The best picture of each thing that a zone follows. Best is the one where its score times the size of its box is greatest:
 * near and certain. A picture is cut while the frame is there; it is encoded only when its visit ends.
 */
import type { Box } from '../decision/task.js'
import type { Frame } from '../frame.js'
import { rgbOf } from '../pixels/rgb.js'
import { around, cutSize, type Turn } from '../pixels/shape.js'
import { rgbLevels } from '../pixels/spec.js'
import type { Picture } from './picture.js'

/** Pixels without what was computed from them. */
export type CropPicture = Pick<Picture, 'rgb' | 'width' | 'height'>

/** Things whose pictures are kept at once. */
const mostThings = 16
/** The longer side, pixels. */
const mostSide = 480
/** A picture takes the place of one that is so much worse: not each frame is cut. */
const better = 1.1

/** Belongs to one zone. */
export class BestCrops {
  readonly #turn: Turn
  readonly #best = new Map<number, { readonly worth: number; readonly picture: CropPicture }>()

  constructor(turn: Turn) {
    this.#turn = turn
  }

  /** Cuts out the boxes that are better than before. The frame must not be released before this resolves. */
  async see(frame: Frame, boxes: readonly Box[]): Promise<void> {
    for (const box of boxes) {
      const { track, score, width, height } = box
      const worth = score * Math.sqrt(width * height)
      const known = track === undefined ? undefined : this.#best.get(track)
      const isWanted = known ? worth > better * known.worth : this.#best.size < mostThings
      if (track !== undefined && isWanted) this.#best.set(track, { worth, picture: await this.#cut(frame, box) })
    }
  }

  /** The picture of a thing that is gone; null where none was kept. */
  take(track: number): CropPicture | null {
    const known = this.#best.get(track)
    this.#best.delete(track)
    return known?.picture ?? null
  }

  /** Forgets the things other than these. */
  keep(tracks: readonly { readonly id: number }[]): void {
    const there = new Set(tracks.map(({ id }) => id))
    for (const track of this.#best.keys()) if (!there.has(track)) this.#best.delete(track)
  }

  async #cut(frame: Frame, box: Box): Promise<CropPicture> {
    const roi = around(box)
    const { width, height } = cutSize(frame, roi, { ...this.#turn, mostSide })
    const { data } = await rgbOf(frame, { ...rgbLevels(width, height), ...this.#turn, roi })
    return { rgb: data, width, height }
  }
}
