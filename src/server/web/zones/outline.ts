/** Changes of a region while it is edited: pure functions from shape to shape. The results stay inside the picture. */
import { boundsOf, cornersOf, isPolygon, readShape, type Shape } from '../../../pixels/shape.js'
import type { Point } from '../geometry.js'

/** Least width and height of a rectangle that is drawn here, in shares: a finger could not grasp a smaller one again. */
const leastSide = 0.02

/** The shape moved by these shares, as far as the picture reaches. */
export function moved(shape: Shape, dx: number, dy: number): Shape {
  const { x, y, width, height } = boundsOf(shape)
  const [byX, byY] = [clamp(dx, -x, 1 - x - width), clamp(dy, -y, 1 - y - height)]
  return rounded(
    isPolygon(shape)
      ? shape.map(([cornerX, cornerY]): Point => [cornerX + byX, cornerY + byY])
      : { ...shape, x: x + byX, y: y + byY },
  )
}

/** The shape with one corner at another place. The opposite corner of a rectangle stays. */
export function withCorner(shape: Shape, index: number, [x, y]: Point): Shape {
  const to: Point = [clamp(x, 0, 1), clamp(y, 0, 1)]
  if (isPolygon(shape)) return rounded(shape.map((corner, i) => (i === index ? to : corner)))
  const [fixedX, fixedY] = cornersOf(shape)[(index + 2) % 4]!
  const [isLeft, isTop] = [index === 0 || index === 3, index < 2]
  const width = Math.max(isLeft ? fixedX - to[0] : to[0] - fixedX, leastSide)
  const height = Math.max(isTop ? fixedY - to[1] : to[1] - fixedY, leastSide)
  return rounded({ x: isLeft ? fixedX - width : fixedX, y: isTop ? fixedY - height : fixedY, width, height })
}

/** The polygon with a new corner in the middle of the edge after corner `index`. */
export function withCornerAfter(polygon: readonly Point[], index: number): readonly Point[] {
  return [...polygon.slice(0, index + 1), middleAfter(polygon, index), ...polygon.slice(index + 1)]
}

/** The middle of the edge after corner `index`. */
export function middleAfter(polygon: readonly Point[], index: number): Point {
  const [[ax, ay], [bx, by]] = [polygon[index]!, polygon[(index + 1) % polygon.length]!]
  return [thousandth((ax + bx) / 2), thousandth((ay + by) / 2)]
}

/** The polygon without a corner; a triangle stays as it is. */
export function withoutCorner(polygon: readonly Point[], index: number): readonly Point[] {
  return polygon.length <= 3 ? polygon : polygon.filter((_, i) => i !== index)
}

/** What is wrong with a shape, in a few words; null for nothing. The program has the same rules. */
export function faultOf(shape: Shape): string | null {
  const read = readShape(shape)
  return 'fault' in read ? read.fault : null
}

/** To a thousandth of the picture: what is stored is short, and finer than a pixel of most cameras. */
export function rounded(shape: Shape): Shape {
  if (isPolygon(shape)) return shape.map(([x, y]): Point => [thousandth(x), thousandth(y)])
  const [x, y] = [thousandth(shape.x), thousandth(shape.y)]
  const side = (start: number, length: number): number => thousandth(Math.min(length, 1 - start))
  return { x, y, width: side(x, shape.width), height: side(y, shape.height) }
}

/** The corners as SVG writes them. */
export function pointsOf(shape: Shape): string {
  return cornersOf(shape)
    .map(([x, y]) => `${x},${y}`)
    .join(' ')
}

const thousandth = (value: number): number => Math.round(value * 1000) / 1000
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
