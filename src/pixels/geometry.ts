/**
 * Where a place of the network's input lies in the frame, and back: the pixel path's crop, resize, letterbox, rotation
 * and flips as one exact map between two rectangles. Places are continuous: pixel i covers i to i + 1.
 */
import { cropBox, placement } from './plain.js'
import type { PreprocessSpec, Region } from './spec.js'

type Point = readonly [x: number, y: number]

/** The map between frames of one size and the network's input. */
export interface View {
  /** The part of the frame under a rectangle of the input (both in shares); null where it shows nothing but the letterbox. */
  toFrame(inInput: Region): Region | null
  /** The place in the input of a place in the frame, in shares; outside 0 to 1 where the network does not see that place. */
  toInput(x: number, y: number): Point
  /** Pixels of the input for each of the frame, the greater of both directions: above 1 the picture is enlarged. */
  readonly magnification: number
  /** The part of the input that shows the picture, in its pixels; the rest is letterbox. */
  readonly picture: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
}

/**
 * The view of frames of one size.
 *
 *     const view = viewOf(spec, 640, 480)
 *     view.toFrame({ x: 0, y: 0, width: 0.5, height: 0.5 }) // the frame's part under the input's left upper quarter
 */
export function viewOf(spec: PreprocessSpec, frameWidth: number, frameHeight: number): View {
  const crop = cropBox(spec, frameWidth, frameHeight)
  const place = placement(spec, crop)
  const toFrame = (x: number, y: number): Point => {
    const [u, v] = turnedBack(spec, x * spec.width, y * spec.height)
    const across = clamp((u - place.left) / place.width)
    const down = clamp((v - place.top) / place.height)
    return [(crop.x + across * crop.width) / frameWidth, (crop.y + down * crop.height) / frameHeight]
  }
  const corners = [
    turned(spec, place.left, place.top),
    turned(spec, place.left + place.width, place.top + place.height),
  ] as const
  const [left, top, right, bottom] = bounds(corners[0], corners[1])
  return {
    toFrame({ x, y, width, height }) {
      const [x0, y0, x1, y1] = bounds(toFrame(x, y), toFrame(x + width, y + height))
      return x1 > x0 && y1 > y0 ? { x: x0, y: y0, width: x1 - x0, height: y1 - y0 } : null
    },
    toInput(x, y) {
      const u = ((x * frameWidth - crop.x) / crop.width) * place.width + place.left
      const v = ((y * frameHeight - crop.y) / crop.height) * place.height + place.top
      const [ox, oy] = turned(spec, u, v)
      return [ox / spec.width, oy / spec.height]
    },
    magnification: Math.max(place.width / crop.width, place.height / crop.height),
    picture: { x: left, y: top, width: right - left, height: bottom - top },
  }
}

/** From the source's orientation to the input's: rotated clockwise, then flipped. */
function turned({ width, height, rotate = 0, flipX, flipY }: PreprocessSpec, u: number, v: number): Point {
  const [x, y] =
    rotate === 90
      ? [width - v, u]
      : rotate === 180
        ? [width - u, height - v]
        : rotate === 270
          ? [v, height - u]
          : [u, v]
  return [flipX ? width - x : x, flipY ? height - y : y]
}

function turnedBack({ width, height, rotate = 0, flipX, flipY }: PreprocessSpec, x: number, y: number): Point {
  const [ox, oy] = [flipX ? width - x : x, flipY ? height - y : y]
  return rotate === 90
    ? [oy, width - ox]
    : rotate === 180
      ? [width - ox, height - oy]
      : rotate === 270
        ? [height - oy, ox]
        : [ox, oy]
}

function bounds([ax, ay]: Point, [bx, by]: Point): readonly [number, number, number, number] {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]
}

const clamp = (share: number): number => Math.min(1, Math.max(0, share))
