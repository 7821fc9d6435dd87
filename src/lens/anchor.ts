/**
 * Follows small moves of a camera: finds the view in which regions were drawn in the present picture, by shift, turn and
 * zoom. It says `moved` where the camera shows something else and `unsure` where a picture has too little to compare, and
 * never guesses a place. It compares small grey pictures natively, about once a second.
 */
import { loadAddon, type NativeViewAnchor } from '../addon.js'
import type { Frame } from '../frame.js'
import { createGridMeter } from '../pixels/grid.js'
import { distanceOf, type Place } from '../pixels/place.js'

/** The view of now against the reference. */
export type Anchored =
  /** The scene is found; the place says where. */
  | {
      readonly state: 'held'
      readonly place: Place
      readonly correlation: number
      /** False where it is found at the expected place alone. */
      readonly isSure: boolean
    }
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

/** At the expected place, much less must agree: most of the view may be behind something, or in light of its own. */
const leastExpected = { distance: 0.02, correlation: 0.15, agreeing: 0.15, blocks: 4 }

/** Judges a measurement. `expected`: where the view was last found; a look that lands there too is no chance. Pure. */
export function judgeView(measure: AnchorMeasure, expected: Place | null = null): Anchored {
  const { place, correlation, agreeing, rival, textured } = measure
  if (textured < least.textured) return { state: 'unsure' }
  const isUnique = rival < mostRival * correlation
  const isSure = correlation >= least.correlation && agreeing >= least.agreeing
  const isFound = isUnique && (isSure || (expected !== null && isExpected(measure, expected)))
  return isFound && isWithinBounds(place) ? { state: 'held', place, correlation, isSure } : { state: 'moved' }
}

function isExpected({ place, correlation, agreeing, textured }: AnchorMeasure, expected: Place): boolean {
  return (
    correlation >= leastExpected.correlation &&
    agreeing >= leastExpected.agreeing &&
    agreeing * textured >= leastExpected.blocks &&
    distanceOf(place, expected) <= leastExpected.distance
  )
}

/** Whether a view that lies there is still followed. */
export function isWithinBounds(place: Place): boolean {
  const { shift, degrees, zoom } = moveOf(place)
  return (
    Math.max(Math.abs(shift.x), Math.abs(shift.y)) <= bounds.shift &&
    Math.abs(degrees) <= bounds.degrees &&
    Math.abs(zoom - 1) <= bounds.zoom
  )
}

/** A place in the words of people: shares of the picture's sides, degrees clockwise, and a factor. */
export function moveOf({ a, b, dx, dy }: Place): {
  readonly shift: { readonly x: number; readonly y: number }
  readonly degrees: number
  readonly zoom: number
} {
  return { shift: { x: dx, y: dy }, degrees: (Math.atan2(b, a) * 180) / Math.PI, zoom: Math.hypot(a, b) }
}

/** Compares frames of one camera with a reference. Needs the native addon: `createAnchor` says why there is none. */
export class Anchor {
  readonly #native: NativeViewAnchor
  readonly #size: Pick<AnchorView, 'width' | 'height'>
  readonly #measure: ViewMeter
  readonly #result = new Float32Array(8)

  /** `reference` is copied. */
  constructor(native: NativeViewAnchor, reference: AnchorView) {
    this.#native = native
    this.#size = { width: reference.width, height: reference.height }
    this.#measure = viewMeterOf(reference)
    native.setReference(reference.levels)
  }

  /** Where the reference's view lies in a frame. Throws FRAME_INVALID. */
  look(frame: Frame): Anchored {
    return judgeView(this.measure(frame))
  }

  /** Where the reference's view lies in a picture of the reference's size; see `judgeView`. */
  locate(levels: Float32Array, expected: Place | null = null): Anchored {
    return judgeView(this.#measureLevels(levels), expected)
  }

  /** What `look` judges. */
  measure(frame: Frame): AnchorMeasure {
    return this.#measureLevels(this.#measure(frame).levels)
  }

  #measureLevels(levels: Float32Array): AnchorMeasure {
    const { width, height } = this.#size
    this.#native.locate(levels, this.#result)
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
  return viewMeterOf(frame)(frame)
}

/** Makes views of frames. They share the meter's memory: a view is valid until the next call. Throws FRAME_INVALID. */
export type ViewMeter = (frame: Frame) => AnchorView

/** A meter for views of the same size as those of `picture`: frames of another size are stretched to it. */
export function viewMeterOf(picture: Pick<Frame, 'width' | 'height'>): ViewMeter {
  const size = sizeOf(picture)
  const view = { ...size, levels: new Float32Array(size.width * size.height) }
  const measure = createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, size.width, size.height, 3)
  return (frame) => {
    measure(frame, view.levels)
    return view
  }
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
