/** Where a view lies in another picture of the same camera, and how regions move with it. */
import { areaOf, boundsOf, cornersOf, isPolygon, withinPicture, type Shape } from './shape.js'
import type { Point, Region } from './spec.js'

/**
 * A shift, turn and zoom about the middle of the picture: with u and v in widths and heights from the middle, and the height
 * as the unit of both after `aspect`,
 *
 *   u' = a u - b v / aspect + dx,  v' = b u · aspect + a v + dy
 */
export interface Place {
  /** Zoom · cosine and zoom · sine of the turn. */
  readonly a: number
  readonly b: number
  /** Shares of the width and of the height. */
  readonly dx: number
  readonly dy: number
  /** Width over height of the picture. */
  readonly aspect: number
}

/** The place of a view that has not moved. `aspect`: width over height of the picture. */
export function stillPlace(aspect: number): Place {
  return { a: 1, b: 0, dx: 0, dy: 0, aspect }
}

/** The place after two moves: first `inner`, then `outer`. Both in pictures of the same aspect. */
export function composed(outer: Place, inner: Place): Place {
  const { aspect } = inner
  const [x, y] = [inner.dx * aspect, inner.dy]
  return {
    a: outer.a * inner.a - outer.b * inner.b,
    b: outer.b * inner.a + outer.a * inner.b,
    dx: (outer.a * x - outer.b * y) / aspect + outer.dx,
    dy: outer.b * x + outer.a * y + outer.dy,
    aspect,
  }
}

/** The move back. */
export function inverted({ a, b, dx, dy, aspect }: Place): Place {
  const norm = a * a + b * b
  const [x, y] = [dx * aspect, dy]
  return { a: a / norm, b: -b / norm, dx: -(a * x + b * y) / norm / aspect, dy: -(a * y - b * x) / norm, aspect }
}

/** How far apart two places show a corner of the picture, at most, in heights. */
export function distanceOf(one: Place, other: Place): number {
  const corners: readonly Point[] = [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ]
  return Math.max(
    ...corners.map((corner) => {
      const [[x, y], [u, v]] = [placedPoint(corner, one), placedPoint(corner, other)]
      return Math.hypot((x - u) * one.aspect, y - v)
    }),
  )
}

/** Where a point of the reference is seen. */
export function placedPoint([x, y]: Point, { a, b, dx, dy, aspect }: Place): Point {
  const [u, v] = [x - 0.5, y - 0.5]
  return [a * u - (b * v) / aspect + dx + 0.5, b * u * aspect + a * v + dy + 0.5]
}

/** The least share of a region that must still be in the picture. */
const leastSeen = 0.8

/**
 * The region where the view lies now; null where less than four fifths of it are in the picture. A rectangle stays one: its
 * middle moves and its size follows the zoom. A polygon may reach out of the picture; what is outside is not seen.
 */
export function placedShape(shape: Shape, place: Place): Shape | null {
  const placed = isPolygon(shape) ? shape.map((corner) => placedPoint(corner, place)) : placedRegion(shape, place)
  if (seenShare(placed) < leastSeen) return null
  return isPolygon(placed) ? placed : withinPicture(placed)
}

function placedRegion({ x, y, width, height }: Region, place: Place): Region {
  const [middleX, middleY] = placedPoint([x + width / 2, y + height / 2], place)
  const zoom = Math.hypot(place.a, place.b)
  const [wide, high] = [width * zoom, height * zoom]
  return { x: middleX - wide / 2, y: middleY - high / 2, width: wide, height: high }
}

function seenShare(shape: Shape): number {
  const whole = areaOf(shape)
  if (!isPolygon(shape)) {
    const { width, height } = withinPicture(boundsOf(shape))
    return (Math.max(0, width) * Math.max(0, height)) / whole
  }
  return areaOf(clipped(cornersOf(shape))) / whole
}

/** The part of a polygon inside the picture (Sutherland and Hodgman, one side at a time). */
function clipped(corners: readonly Point[]): readonly Point[] {
  let rest = corners
  for (const axis of [0, 1] as const)
    for (const [edge, sign] of [
      [0, 1],
      [1, -1],
    ] as const) {
      const inside = (point: Point): number => sign * (point[axis] - edge)
      rest = rest.flatMap((point, i) => {
        const before = rest[(i + rest.length - 1) % rest.length]!
        const [was, is] = [inside(before), inside(point)]
        const share = was / (was - is)
        const crossing: Point = [before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])]
        return [...(was < 0 !== is < 0 ? [crossing] : []), ...(is >= 0 ? [point] : [])]
      })
    }
  return rest
}
