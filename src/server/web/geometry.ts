/** Conversion between the frame, in whose shares regions are given, and the view: the frame rotated, then flipped. */

/** In shares, 0 to 1. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** How a frame is shown. */
export interface View {
  /** Clockwise, before the flips. */
  readonly rotate: 0 | 90 | 180 | 270
  readonly flipX: boolean
  readonly flipY: boolean
}

/** In shares, 0 to 1. */
export type Point = readonly [x: number, y: number]

/** A place of the frame in the view. */
export function toView([x, y]: Point, { rotate, flipX, flipY }: View): Point {
  const turned: Point =
    rotate === 90 ? [1 - y, x] : rotate === 180 ? [1 - x, 1 - y] : rotate === 270 ? [y, 1 - x] : [x, y]
  return [flipX ? 1 - turned[0] : turned[0], flipY ? 1 - turned[1] : turned[1]]
}

/** A place of the view in the frame. */
export function toFrame([u, v]: Point, { rotate, flipX, flipY }: View): Point {
  const [a, b] = [flipX ? 1 - u : u, flipY ? 1 - v : v]
  return rotate === 90 ? [b, 1 - a] : rotate === 180 ? [1 - a, 1 - b] : rotate === 270 ? [1 - b, a] : [a, b]
}

/** A box of the frame in the view. */
export function boxToView(box: Box, view: View): Box {
  return boxOf(toView([box.x, box.y], view), toView([box.x + box.width, box.y + box.height], view))
}

/** A box of the view in the frame. */
export function boxToFrame(box: Box, view: View): Box {
  return boxOf(toFrame([box.x, box.y], view), toFrame([box.x + box.width, box.y + box.height], view))
}

/** The box with these two corners. */
export function boxOf([x0, y0]: Point, [x1, y1]: Point): Box {
  return { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) }
}

/** The box moved inside the frame, with sides of at least `least`, rounded to a thousandth. */
export function tidy(box: Box, least = 0.02): Box {
  const round = (value: number): number => Math.round(value * 1000) / 1000
  const clamp = (value: number, high: number): number => Math.min(Math.max(value, 0), high)
  const [x, y] = [round(clamp(box.x, 1 - least)), round(clamp(box.y, 1 - least))]
  const size = (length: number, start: number): number => round(Math.min(Math.max(length, least), 1 - start))
  return { x, y, width: size(box.width, x), height: size(box.height, y) }
}
