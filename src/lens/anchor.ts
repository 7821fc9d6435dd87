/**
 * Follows small moves of a camera: finds the view in which regions were drawn in the present picture, by shift, turn and
 * zoom. It says `moved` where the camera shows something else and `unsure` where a picture has too little to compare, and
 * never guesses a place. It compares small grey pictures natively, about once a second.
 */
import { loadAddon, type NativeViewAnchor } from '../addon.js'
import type { Frame } from '../frame.js'
import { createGridMeter, type GridMeter } from '../pixels/grid.js'
import type { Place } from '../pixels/place.js'

/** The view of now against the reference. */
export type Anchored =
  /** The scene is found; the place says where. */
  | { readonly state: 'held'; readonly place: Place }
  /** The camera shows something else, or has moved further than is followed. */
  | { readonly state: 'moved' }
  /** Too dark, too blurred or too empty to tell. */
  | { readonly state: 'unsure' }

/** What is measured of two views; see native/image/anchor.h. Shifts are shares of the picture's sides. */
export interface AnchorMeasure {
  readonly place: Place
  /** Of the local contrast, 1 for the same picture. */
  readonly correlation: number
  /** Share of the textured blocks that show the same. */
  readonly agreeing: number
  /** Correlation of the best place elsewhere. */
  readonly rival: number
  /** Blocks of 64 with something to compare. */
  readonly textured: number
}

/** Pixels of the longer side of the compared pictures. */
export const anchorSide = 160

/** A small grey picture of a frame, to be a reference: kept on disk, or shown beside the present one. */
export interface AnchorView {
  readonly width: number
  readonly height: number
  /** `width` · `height` levels from 0 to 255, row by row. */
  readonly levels: Float32Array
}

/** How far a view may move and be followed. */
const bounds = { shift: 0.11, degrees: 5.5, zoom: 0.11 }
/** Fewer textured blocks say nothing; below these figures another scene is seen, or none. */
const least = { textured: 6, correlation: 0.45, agreeing: 0.5 }
/** A place elsewhere that fits almost as well: a fence, a wall of bricks. */
const mostRival = 0.85

/** Judges a measurement. Pure. */
export function judgeView({ place, correlation, agreeing, rival, textured }: AnchorMeasure): Anchored {
  if (textured < least.textured) return { state: 'unsure' }
  const zoom = Math.hypot(place.a, place.b)
  const degrees = (Math.abs(Math.atan2(place.b, place.a)) * 180) / Math.PI
  const shift = Math.max(Math.abs(place.dx), Math.abs(place.dy))
  const isFound = correlation >= least.correlation && agreeing >= least.agreeing && rival < mostRival * correlation
  const isWithin = shift <= bounds.shift && degrees <= bounds.degrees && Math.abs(zoom - 1) <= bounds.zoom
  return isFound && isWithin ? { state: 'held', place } : { state: 'moved' }
}

/** Compares frames of one camera with a reference. Needs the native addon: `createAnchor` says why there is none. */
export class Anchor {
  readonly #native: NativeViewAnchor
  readonly #size: Pick<AnchorView, 'width' | 'height'>
  readonly #measure: GridMeter
  readonly #levels: Float32Array
  readonly #result = new Float32Array(8)

  /** `reference` is copied. */
  constructor(native: NativeViewAnchor, reference: AnchorView) {
    this.#native = native
    this.#size = { width: reference.width, height: reference.height }
    this.#measure = meterOf(this.#size)
    this.#levels = new Float32Array(reference.levels.length)
    native.setReference(reference.levels)
  }

  /** Where the reference's view lies in a frame. Throws FRAME_INVALID. */
  look(frame: Frame): Anchored {
    return judgeView(this.measure(frame))
  }

  /** What `look` judges. */
  measure(frame: Frame): AnchorMeasure {
    const { width, height } = this.#size
    this.#measure(frame, this.#levels)
    this.#native.locate(this.#levels, this.#result)
    const [a = 1, b = 0, dx = 0, dy = 0, correlation = 0, agreeing = 0, rival = 0, textured = 0] = this.#result
    return {
      place: { a, b, dx: dx / width, dy: dy / height, aspect: width / height },
      correlation,
      agreeing,
      rival,
      textured,
    }
  }
}

/** The view of a frame, as a reference. Throws FRAME_INVALID. */
export function viewOfFrame(frame: Frame): AnchorView {
  const size = sizeOf(frame)
  const levels = new Float32Array(size.width * size.height)
  meterOf(size)(frame, levels)
  return { ...size, levels }
}

/** An anchor for a reference, or why there is none: without the addon nothing is followed. */
export function createAnchor(reference: AnchorView): Anchor | { readonly reason: string } {
  const loaded = loadAddon()
  return 'addon' in loaded
    ? new Anchor(new loaded.addon.ViewAnchor(reference.width, reference.height), reference)
    : { reason: loaded.reason }
}

/** At least 32 and at most `anchorSide`, in about the frame's proportions. */
function sizeOf({ width, height }: Pick<Frame, 'width' | 'height'>): Pick<AnchorView, 'width' | 'height'> {
  const scale = anchorSide / Math.max(width, height)
  const side = (length: number): number => Math.max(32, Math.round(length * scale))
  return { width: side(width), height: side(height) }
}

function meterOf({ width, height }: Pick<AnchorView, 'width' | 'height'>): GridMeter {
  return createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, width, height, 3)
}
