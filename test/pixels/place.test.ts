/** Regions that follow a view that moved. */
import { describe, expect, it } from 'vitest'
import { placedPoint, placedShape, type Place } from '../../src/pixels/place.js'
import { areaOf, type Shape } from '../../src/pixels/shape.js'
import type { Point, Region } from '../../src/pixels/spec.js'

const still: Place = { a: 1, b: 0, dx: 0, dy: 0, aspect: 4 / 3 }
const turned = (degrees: number, zoom = 1): Place => {
  const angle = (degrees * Math.PI) / 180
  return { ...still, a: zoom * Math.cos(angle), b: zoom * Math.sin(angle) }
}
const box: Region = { x: 0.4, y: 0.3, width: 0.2, height: 0.3 }
const triangle: readonly Point[] = [
  [0.1, 0.1],
  [0.5, 0.1],
  [0.1, 0.5],
]

describe('a point', () => {
  it('keeps its distance from the middle, in pixels, when the camera turns', () => {
    const [x, y] = placedPoint([0.8, 0.5], turned(90))
    // 0.3 of 4 units of width to the right of the middle are 0.4 of 3 units of height below it.
    expect([x, y]).toEqual([expect.closeTo(0.5), expect.closeTo(0.9)])
  })

  it('moves by shares of the picture, and from the middle by the zoom', () => {
    expect(placedPoint([0.5, 0.5], { ...still, dx: 0.1, dy: -0.05 })).toEqual([
      expect.closeTo(0.6),
      expect.closeTo(0.45),
    ])
    expect(placedPoint([0.7, 0.5], turned(0, 1.1))).toEqual([expect.closeTo(0.72), expect.closeTo(0.5)])
  })
})

describe('a region', () => {
  it('stays where it is while nothing has moved', () => {
    const same = placedShape(box, still) as Region
    for (const key of ['x', 'y', 'width', 'height'] as const) expect(same[key]).toBeCloseTo(box[key])
    expect(placedShape(triangle, still)).toEqual(triangle.map((corner) => corner.map((share) => expect.closeTo(share))))
  })

  it('as a rectangle stays upright and grows with the zoom', () => {
    const placed = placedShape(box, turned(5, 1.1)) as Region
    expect([placed.width, placed.height]).toEqual([expect.closeTo(0.22), expect.closeTo(0.33)])
  })

  it('as a polygon turns, and keeps its area', () => {
    const placed = placedShape(triangle, turned(5)) as Shape
    expect(areaOf(placed)).toBeCloseTo(areaOf(triangle))
    expect(placed).not.toEqual(triangle)
  })

  it('that leaves the picture by up to a fifth is cut, beyond that it is lost', () => {
    const edge: Region = { x: 0.8, y: 0.4, width: 0.2, height: 0.2 }
    expect(placedShape(edge, { ...still, dx: 0.03 })).toEqual({
      x: expect.closeTo(0.83),
      y: expect.closeTo(0.4),
      width: expect.closeTo(0.17),
      height: expect.closeTo(0.2),
    })
    expect(placedShape(edge, { ...still, dx: 0.05 })).toBeNull()
    expect(placedShape(edge, { ...still, dx: 0.5 })).toBeNull()
    const corners: readonly Point[] = [
      [0.8, 0.4],
      [1, 0.4],
      [1, 0.6],
      [0.8, 0.6],
    ]
    expect(placedShape(corners, { ...still, dx: 0.03 })).not.toBeNull()
    expect(placedShape(corners, { ...still, dx: 0.05 })).toBeNull()
    expect(placedShape(corners, { ...still, dx: 0.5 })).toBeNull()
  })
})
