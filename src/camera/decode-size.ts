/**
 * How large a camera's pictures must be for the zones that look at them: no pixel is decoded that no zone needs. Pure
 * functions from what zones need to a scale, and from a scale to what a decoder, a stream or a device is asked for.
 */
import type { JpegShrink } from '../pixels/shrunk-jpeg.js'
import type { PreprocessSpec } from '../pixels/spec.js'

/** A size in pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What one zone makes of a picture: a part of it becomes an input of so many pixels. */
export type PictureNeed = Pick<PreprocessSpec, 'width' | 'height' | 'resize' | 'roi' | 'rotate'>

/**
 * The least scale, up to 1, at which no zone enlarges its part of a full picture of this size; 1 without needs. What a
 * smaller picture would lose is what the input cannot show.
 */
export function scaleNeeded(full: Size, needs: readonly PictureNeed[]): number {
  if (needs.length === 0) return 1
  let scale = 0
  for (const need of needs) scale = Math.max(scale, scaleOf(full, need))
  return Math.min(1, scale)
}

/** Pixels of the input in the frame's directions, and which of the two must be filled. */
export function extentOf({ roi, resize, width, height, rotate }: PictureNeed): {
  readonly across: number
  readonly down: number
  readonly isContained: boolean
} {
  const isTurned = rotate === 90 || rotate === 270
  const [wide, high] = isTurned ? [height, width] : [width, height]
  return { across: wide / (roi?.width ?? 1), down: high / (roi?.height ?? 1), isContained: resize === 'contain' }
}

function scaleOf(full: Size, need: PictureNeed): number {
  const extent = extentOf(need)
  const [across, down] = [extent.across / full.width, extent.down / full.height]
  return extent.isContained ? Math.min(across, down) : Math.max(across, down)
}

/** The largest shrink whose picture has at least the scale. */
export function jpegShrink(scale: number): JpegShrink {
  return ([8, 4, 2] as const).find((shrink) => 1 / shrink >= scale) ?? 1
}

/** The size of a picture that libjpeg shrinks: rounded up. */
export function shrunkSize({ width, height }: Size, shrink: JpegShrink): Size {
  return { width: Math.ceil(width / shrink), height: Math.ceil(height / shrink) }
}

/** Sides of streams are multiples of this: chroma of 4:2:0 has half as many pixels. */
const evenSide = 2
/** A size that saves less than this share of the pixels is not worth a scaler. */
const leastSaving = 0.25

/** The size to ask ffmpeg or GStreamer for; null: as it comes. The proportions stay, up to a pixel. */
export function streamSize(full: Size, scale: number): Size | null {
  const side = (length: number): number => Math.min(length, evenSide * Math.ceil((length * scale) / evenSide))
  const size = { width: side(full.width), height: side(full.height) }
  return areaOf(size) > (1 - leastSaving) * areaOf(full) ? null : size
}

/** Proportions that differ by less than this show the same field of view. */
const sameProportions = 0.02

/**
 * The smallest of a device's modes that has the scale of the full one and its proportions: another mode may show less of the
 * scene. Without one, the full mode.
 */
export function smallestMode<Mode extends Size>(modes: readonly Mode[], full: Mode, scale: number): Mode {
  const serving = modes.filter(
    ({ width, height }) =>
      width >= full.width * scale &&
      height >= full.height * scale &&
      Math.abs((width * full.height) / (height * full.width) - 1) < sameProportions,
  )
  return serving.reduce((least, mode) => (areaOf(mode) < areaOf(least) ? mode : least), full)
}

const areaOf = ({ width, height }: Size): number => width * height
