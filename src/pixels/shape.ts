/**
 * The part of a picture that a zone asks about: a rectangle or a polygon, in shares of the upright picture. Reads what
 * people write and says what is wrong with it; turns a shape into what the pixel path crops and masks.
 */
import type { Mask, Point, PreprocessSpec, Region, Triple } from './spec.js'

/** A rectangle, or the corners of a polygon in order. */
export type Shape = Region | readonly Point[]

/** How the camera hangs; see `PreprocessSpec`. */
export type Turn = Pick<PreprocessSpec, 'rotate' | 'flipX' | 'flipY'>

/** Least width and height, and least area, in shares: of a smaller part a network sees nothing but a few enlarged pixels. */
const leastSide = 0.01
const leastArea = 0.0001
/** Room for rounding where x + width is meant to be 1. */
const slack = 0.000001
const mostCorners = 64

/**
 * Reads `{x, y, width, height}` (also `w`, `h`), `[x, y, width, height]`, `'x,y,width,height'` or `[[x, y], …]`. A fault
 * is the rest of a sentence that begins with the name of the setting.
 *
 *     const read = readShape({ x: 0.6, y: 0.3, w: 0.2, h: 0.3 })
 *     if ('fault' in read) throw new Error(`region ${read.fault}`)
 */
export function readShape(given: unknown): { readonly shape: Shape } | { readonly fault: string } {
  const shape = rectangleOf(given) ?? polygonOf(given)
  if (!shape)
    return { fault: 'must be {x, y, width, height} or a list of corners [[x, y], …], with numbers from 0 to 1' }
  const fault = isPolygon(shape) ? polygonFault(shape) : rectangleFault(shape)
  return fault === null ? { shape } : { fault }
}

/** Whether the shape is a polygon. */
export function isPolygon(shape: Shape): shape is readonly Point[] {
  return Array.isArray(shape)
}

/**
 * The size, upright, at which a part of a picture is cut out: its own, or less where its longer side has more than `mostSide`
 * pixels.
 */
export function cutSize(
  picture: { readonly width: number; readonly height: number },
  part: Region,
  { rotate, mostSide }: Pick<Turn, 'rotate'> & { readonly mostSide: number },
): { readonly width: number; readonly height: number } {
  const [across, down] = [part.width * picture.width, part.height * picture.height]
  const scale = Math.min(1, mostSide / Math.max(across, down))
  const [a, b] = [across, down].map((side) => Math.max(1, Math.round(side * scale))) as [number, number]
  return rotate === 90 || rotate === 270 ? { width: b, height: a } : { width: a, height: b }
}

/** The smallest rectangle around a shape. */
export function boundsOf(shape: Shape): Region {
  if (!isPolygon(shape)) return shape
  const [xs, ys] = [shape.map(([x]) => x), shape.map(([, y]) => y)]
  const [x, y] = [Math.min(...xs), Math.min(...ys)]
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y }
}

/** The corners of a shape; of a rectangle clockwise from the upper left. */
export function cornersOf(shape: Shape): readonly Point[] {
  if (isPolygon(shape)) return shape
  const { x, y, width, height } = shape
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ]
}

/** The area of a shape that does not cross itself, as a share of the picture. */
export function areaOf(shape: Shape): number {
  const corners = cornersOf(shape)
  let twice = 0
  corners.forEach(([x, y], i) => {
    const [nextX, nextY] = corners[(i + 1) % corners.length]!
    twice += x * nextY - nextX * y
  })
  return Math.abs(twice) / 2
}

/** Whether a place is inside a polygon, by the even-odd rule. The native pass has the same formula. */
export function isInside(polygon: readonly Point[], x: number, y: number): boolean {
  let isIn = false
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + polygon.length - 1) % polygon.length]!
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isIn = !isIn
  })
  return isIn
}

/** The shape in the frame as the camera delivers it: `turn` makes that frame upright. */
export function inFrame(shape: Shape, turn: Turn): Shape {
  if (isPolygon(shape)) return shape.map((point) => pointInFrame(point, turn))
  const { x, y, width, height } = shape
  return boundsOf([pointInFrame([x, y], turn), pointInFrame([x + width, y + height], turn)])
}

/** The shape in the upright picture of one that lies in the frame: the inverse of `inFrame`. */
export function inUpright(shape: Shape, turn: Turn): Shape {
  if (isPolygon(shape)) return shape.map((point) => pointInUpright(point, turn))
  const { x, y, width, height } = shape
  return boundsOf([pointInUpright([x, y], turn), pointInUpright([x + width, y + height], turn)])
}

/**
 * What `Classifier.view` needs for a shape in the frame: the crop, and for a polygon the mask. `spec` is how the model was
 * trained. Parts outside the frame are neither cropped nor shown.
 */
export function viewOfShape(
  shape: Shape,
  mask: 'mean' | 'none',
  spec: Pick<PreprocessSpec, 'mean' | 'order'>,
): { readonly roi: Region; readonly mask: Mask | undefined } {
  const roi = withinPicture(boundsOf(shape))
  const isMasked = mask === 'mean' && isPolygon(shape)
  return { roi, mask: isMasked ? { polygon: shape, fill: meanColour(spec) } : undefined }
}

/** ImageNet's mean in levels, for models that scale without a mean. */
const photographs: Triple = [124, 116, 104]

/** The colour that tells a model least: its mean, which becomes 0 in its input. RGB levels. */
export function meanColour({ mean, order }: Pick<PreprocessSpec, 'mean' | 'order'>): Triple {
  if (mean.every((level) => level === 0)) return photographs
  return order === 'bgr' ? [mean[2], mean[1], mean[0]] : mean
}

/** The part of a rectangle that lies in the picture. */
export function withinPicture({ x, y, width, height }: Region): Region {
  const [left, top] = [clamp(x), clamp(y)]
  return { x: left, y: top, width: clamp(x + width) - left, height: clamp(y + height) - top }
}

const clamp = (share: number): number => Math.min(1, Math.max(0, share))

function rectangleOf(given: unknown): Region | null {
  const list = typeof given === 'string' ? given.split(',').map(Number) : given
  if (Array.isArray(list)) {
    const [x, y, width, height] = list
    return list.length === 4 && list.every(isNumber) ? { x, y, width, height } : null
  }
  if (typeof given !== 'object' || given === null) return null
  const { x, y, width, height, w = width, h = height, ...rest } = given as Record<string, unknown>
  const isTwice = (width !== undefined && w !== width) || (height !== undefined && h !== height)
  if (isTwice || Object.keys(rest).length > 0) return null
  return isNumber(x) && isNumber(y) && isNumber(w) && isNumber(h) ? { x, y, width: w, height: h } : null
}

function polygonOf(given: unknown): readonly Point[] | null {
  if (!Array.isArray(given) || given.length === 0) return null
  const isCorner = (each: unknown): each is Point => Array.isArray(each) && each.length === 2 && each.every(isNumber)
  return given.every(isCorner) ? given : null
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** A sum as a person would write it: 0.3, not 0.30000000000000004. */
const withoutNoise = (sum: number): number => Number(sum.toFixed(6))

function rectangleFault({ x, y, width, height }: Region): string | null {
  const isIn = x >= 0 && y >= 0 && x + width <= 1 + slack && y + height <= 1 + slack
  if (!isIn)
    return `must lie inside the picture, from 0 to 1; it reaches from ${x}, ${y} to ${withoutNoise(x + width)}, ${withoutNoise(y + height)}`
  return sizeFault({ x, y, width, height })
}

function polygonFault(corners: readonly Point[]): string | null {
  if (corners.length < 3 || corners.length > mostCorners)
    return `must have 3 to ${mostCorners} corners; it has ${corners.length}`
  const outside = corners.findIndex(([x, y]) => !(x >= 0 && x <= 1 && y >= 0 && y <= 1))
  if (outside >= 0)
    return `must lie inside the picture, from 0 to 1; corner ${outside + 1} is at ${corners[outside]!.join(', ')}`
  const small = sizeFault(boundsOf(corners))
  if (small) return small
  const crossing = crossingOf(corners)
  if (crossing) {
    const edge = (i: number): string => `${i + 1} to ${((i + 1) % corners.length) + 1}`
    return `must not cross itself; the edge from corner ${edge(crossing[0])} meets the edge from corner ${edge(crossing[1])}`
  }
  return areaOf(corners) < leastArea ? 'must be wider than a line; its corners lie almost on one' : null
}

function sizeFault({ width, height }: Region): string | null {
  if (width >= leastSide - slack && height >= leastSide - slack) return null
  return `must be at least ${leastSide} of the picture wide and high; it is ${width} by ${height}`
}

/** The numbers of two edges that meet although they are not neighbours, or that lie on one another. */
function crossingOf(corners: readonly Point[]): readonly [number, number] | null {
  const { length } = corners
  const at = (i: number): Point => corners[i % length]!
  for (let i = 0; i < length; i++)
    for (let j = i + 1; j < length; j++) {
      const areNeighbours = j === i + 1 || (i === 0 && j === length - 1)
      const meet = areNeighbours
        ? foldsBack(at(i), at(i + 1), at(j), at(j + 1))
        : touches(at(i), at(i + 1), at(j), at(j + 1))
      if (meet) return [i, j]
    }
  return null
}

/** Twice the area of a, b, c: above 0 for one direction of turning, below for the other, 0 on a line. */
const turning = (a: Point, b: Point, c: Point): number => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

const isBetween = (a: Point, b: Point, c: Point): boolean =>
  Math.min(a[0], b[0]) <= c[0] &&
  c[0] <= Math.max(a[0], b[0]) &&
  Math.min(a[1], b[1]) <= c[1] &&
  c[1] <= Math.max(a[1], b[1])

/** Whether the segments a–b and c–d have a place in common. */
function touches(a: Point, b: Point, c: Point, d: Point): boolean {
  const [abc, abd, cda, cdb] = [turning(a, b, c), turning(a, b, d), turning(c, d, a), turning(c, d, b)]
  if (abc * abd < 0 && cda * cdb < 0) return true
  return (
    (abc === 0 && isBetween(a, b, c)) ||
    (abd === 0 && isBetween(a, b, d)) ||
    (cda === 0 && isBetween(c, d, a)) ||
    (cdb === 0 && isBetween(c, d, b))
  )
}

/** Whether two edges with a common corner lie on one another, or one of them has no length. */
function foldsBack(a: Point, b: Point, c: Point, d: Point): boolean {
  const [corner, before, after] = samePlace(b, c) ? [b, a, d] : [a, b, c]
  if (samePlace(before, corner) || samePlace(after, corner)) return true
  const along = (before[0] - corner[0]) * (after[0] - corner[0]) + (before[1] - corner[1]) * (after[1] - corner[1])
  return turning(corner, before, after) === 0 && along > 0
}

const samePlace = (a: Point, b: Point): boolean => a[0] === b[0] && a[1] === b[1]

/** Undoes the flips, then the rotation. */
function pointInFrame([x, y]: Point, { rotate = 0, flipX = false, flipY = false }: Turn): Point {
  const [u, v] = [flipX ? 1 - x : x, flipY ? 1 - y : y]
  switch (rotate) {
    case 90:
      return [v, 1 - u]
    case 180:
      return [1 - u, 1 - v]
    case 270:
      return [1 - v, u]
    default:
      return [u, v]
  }
}

/** Rotates clockwise, then flips. */
function pointInUpright([x, y]: Point, { rotate = 0, flipX = false, flipY = false }: Turn): Point {
  const [u, v] = rotate === 90 ? [1 - y, x] : rotate === 180 ? [1 - x, 1 - y] : rotate === 270 ? [y, 1 - x] : [x, y]
  return [flipX ? 1 - u : u, flipY ? 1 - v : v]
}

/** Share of the box around it that is shown with it. */
const margin = 0.1

/** The box with a margin, inside of the frame. */
export function around({ x, y, width, height }: Region): Region {
  const left = Math.max(0, x - margin * width)
  const top = Math.max(0, y - margin * height)
  return {
    x: left,
    y: top,
    width: Math.min(1, x + width * (1 + margin)) - left,
    height: Math.min(1, y + height * (1 + margin)) - top,
  }
}
