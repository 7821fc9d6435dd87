/** Shapes of zones: what people write, what is wrong with it, and where a shape lies in a turned frame. */
import { describe, expect, it } from 'vitest'
import {
  areaOf,
  boundsOf,
  cornersOf,
  inFrame,
  inUpright,
  isInside,
  readShape,
  viewOfShape,
  type Shape,
} from '../../src/pixels/shape.js'
import type { Point } from '../../src/pixels/spec.js'
import { Random } from '../random.js'

const shapeOf = (given: unknown): Shape => {
  const read = readShape(given)
  if ('fault' in read) throw new Error(read.fault)
  return read.shape
}
const faultOf = (given: unknown): string => {
  const read = readShape(given)
  return 'fault' in read ? read.fault : 'no fault'
}

describe('what is read', () => {
  const rectangle = { x: 0.6, y: 0.3, width: 0.2, height: 0.4 }
  it.each([
    [{ x: 0.6, y: 0.3, width: 0.2, height: 0.4 }],
    [{ x: 0.6, y: 0.3, w: 0.2, h: 0.4 }],
    [[0.6, 0.3, 0.2, 0.4]],
    ['0.6,0.3,0.2,0.4'],
  ])('%j is a rectangle', (given) => {
    expect(shapeOf(given)).toEqual(rectangle)
  })

  it('a list of corners is a polygon, and keeps their order', () => {
    const gate = [
      [0.1, 0.22],
      [0.41, 0.2],
      [0.43, 0.58],
      [0.09, 0.6],
    ]
    expect(shapeOf(gate)).toEqual(gate)
    expect(boundsOf(shapeOf(gate))).toEqual({
      x: 0.09,
      y: 0.2,
      width: expect.closeTo(0.34),
      height: expect.closeTo(0.4),
    })
  })

  it('the whole picture is a rectangle in spite of rounding', () => {
    expect(shapeOf({ x: 0.7, y: 0.1, width: 0.3, height: 0.9 })).toBeDefined()
  })
})

describe('what is refused, and the rest of the sentence', () => {
  it.each<[unknown, RegExp]>([
    [null, /^must be \{x, y, width, height\} or a list of corners/],
    ['left half', /^must be/],
    [{ x: 0, y: 0, width: 1 }, /^must be/],
    [{ x: 0, y: 0, width: 1, height: 1, colour: 1 }, /^must be/],
    [{ x: 0, y: 0, width: 1, w: 0.5, height: 1 }, /^must be/],
    [{ x: Number.NaN, y: 0, width: 1, height: 1 }, /^must be/],
    [[], /^must be/],
    [[[0, 0], [1, 0], 'x'], /^must be/],
    [{ x: 0.5, y: 0, width: 0.6, height: 1 }, /inside the picture.* reaches from 0.5, 0 to 1.1, 1/],
    [{ x: -0.1, y: 0, width: 0.6, height: 1 }, /inside the picture/],
    [{ x: 0.5, y: 0.5, width: 0.001, height: 0.2 }, /at least 0.01 of the picture .* it is 0.001 by 0.2/],
    [{ x: 0.5, y: 0.5, width: -0.2, height: 0.2 }, /at least 0.01/],
    [
      [
        [0, 0],
        [1, 1],
      ],
      /3 to 64 corners; it has 2/,
    ],
    [Array.from({ length: 65 }, (_, i) => [i / 65, (i % 2) / 2]), /3 to 64 corners; it has 65/],
    [
      [
        [0, 0],
        [0.5, 0],
        [0.5, 1.2],
      ],
      /corner 3 is at 0.5, 1.2/,
    ],
    [
      [
        [0, 0],
        [1, 1],
        [1, 0],
        [0, 1],
      ],
      /must not cross itself; the edge from corner 1 to 2 meets the edge from corner 3 to 4/,
    ],
    [
      [
        [0, 0],
        [0.5, 0],
        [0, 0],
        [0.5, 0.5],
      ],
      /must not cross itself/,
    ],
    [
      [
        [0, 0],
        [0, 0],
        [0.5, 0.5],
        [0, 0.5],
      ],
      /must not cross itself/,
    ],
    [
      [
        [0, 0],
        [1, 1],
        [0.5, 0.5001],
      ],
      /wider than a line/,
    ],
    [
      [
        [0, 0],
        [0.004, 0],
        [0.004, 0.5],
        [0, 0.5],
      ],
      /at least 0.01/,
    ],
  ])('%j', (given, sentence) => {
    expect(faultOf(given)).toMatch(sentence)
  })

  it('a star drawn through its own edges is refused, its outline is not', () => {
    const corner = (i: number, radius: number): Point => [
      0.5 + radius * Math.sin((i * Math.PI) / 5),
      0.5 - radius * Math.cos((i * Math.PI) / 5),
    ]
    expect(faultOf([0, 4, 8, 2, 6].map((i) => corner(i, 0.4)))).toMatch(/cross/)
    expect(faultOf(Array.from({ length: 10 }, (_, i) => corner(i, i % 2 === 0 ? 0.4 : 0.15)))).toBe('no fault')
  })
})

describe('geometry', () => {
  it('counts a place inside a concave polygon by the even-odd rule', () => {
    const notch: Point[] = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0.5, 0.2],
      [0, 1],
    ]
    expect([isInside(notch, 0.1, 0.5), isInside(notch, 0.5, 0.5), isInside(notch, 0.9, 0.5)]).toEqual([
      true,
      false,
      true,
    ])
    expect(areaOf(notch)).toBeCloseTo(0.6)
    expect(areaOf({ x: 0.1, y: 0.1, width: 0.5, height: 0.2 })).toBeCloseTo(0.1)
  })

  it('a turned and mirrored frame shows the same shape: there and back again', () => {
    const random = new Random(8)
    for (const rotate of [0, 90, 180, 270] as const)
      for (const flipX of [false, true])
        for (const flipY of [false, true]) {
          const [x, y] = [random.next() / 2, random.next() / 2]
          const box = { x, y, width: 0.3, height: 0.2 }
          const back = inUpright(inFrame(box, { rotate, flipX, flipY }), { rotate, flipX, flipY })
          for (const key of ['x', 'y', 'width', 'height'] as const)
            expect((back as typeof box)[key]).toBeCloseTo(box[key])
          const corners = inUpright(inFrame(cornersOf(box), { rotate, flipX, flipY }), { rotate, flipX, flipY })
          cornersOf(corners).forEach((corner, i) => {
            expect(corner[0]).toBeCloseTo(cornersOf(box)[i]![0])
            expect(corner[1]).toBeCloseTo(cornersOf(box)[i]![1])
          })
        }
  })

  it('what is in the upper right of an upright picture that was turned clockwise is in the frame’s upper left', () => {
    expect(inFrame({ x: 0.75, y: 0, width: 0.25, height: 0.25 }, { rotate: 90 })).toEqual({
      x: 0,
      y: 0,
      width: 0.25,
      height: 0.25,
    })
  })

  it('a zone crops the bounds and masks a polygon with the mean of the model, in RGB', () => {
    const triangle: Point[] = [
      [-0.1, 0.2],
      [0.5, 0.2],
      [0.2, 0.8],
    ]
    const bgr = { mean: [1, 2, 3], order: 'bgr' } as const
    const view = viewOfShape(triangle, 'mean', bgr)
    expect(view.roi).toEqual({ x: 0, y: 0.2, width: 0.5, height: expect.closeTo(0.6) })
    expect(view.mask).toEqual({ polygon: triangle, fill: [3, 2, 1] })
    expect(viewOfShape(triangle, 'mean', { mean: [0, 0, 0], order: 'rgb' }).mask?.fill).toEqual([124, 116, 104])
    expect(viewOfShape(triangle, 'none', bgr).mask).toBeUndefined()
    expect(viewOfShape({ x: 0, y: 0, width: 1, height: 1 }, 'mean', bgr).mask).toBeUndefined()
  })
})
