/** The grid of cell means: native against plain, in every format, over odd parts and sizes. */
import { describe, expect, it } from 'vitest'
import { frameBytes, frameOf, rowBytes, type Frame, type PixelFormat } from '../../src/frame.js'
import { createGridMeter, measureGridPlainly } from '../../src/pixels/grid.js'
import { Random } from '../random.js'

const formats: readonly PixelFormat[] = ['yuyv', 'uyvy', 'nv12', 'i420', 'rgb24', 'bgr24', 'grey']

function drawFrame(random: Random, format: PixelFormat): Frame {
  const [width, height] = [2 * random.between(1, 120), 2 * random.between(1, 90)]
  const stride = rowBytes(format, width) + 2 * random.between(0, 8)
  const pixels = Uint8Array.from({ length: frameBytes(format, stride, height) }, () => random.between(0, 255))
  return { ...frameOf({ data: pixels, width, height }), format, stride }
}

describe.each(formats)('%s', (format) => {
  it('the native cells are those of the plain ones', () => {
    const random = new Random(format.length * 31)
    for (let i = 0; i < 40; i++) {
      const frame = drawFrame(random, format)
      const part = { x: random.next() * 0.9, y: random.next() * 0.9, width: random.next(), height: random.next() }
      const [columns, rows, samples] = [random.between(1, 40), random.between(1, 40), random.between(1, 5)]
      const [native, plain] = [new Float32Array(columns * rows), new Float32Array(columns * rows)]
      createGridMeter(part, columns, rows, samples)(frame, native)
      const { x, y, width, height } = part
      measureGridPlainly(frame, { part: [x, y, width, height], columns, rows, samples }, plain)
      native.forEach((level, at) => {
        expect(Math.abs(level - plain[at]!)).toBeLessThan(0.01)
      })
    }
  })

  it('refuses a frame that is shorter than its size says', () => {
    const whole = drawFrame(new Random(5), format)
    const short = { ...whole, pixels: (whole.pixels as Uint8Array).subarray(1) }
    const measure = createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, 4, 4)
    expect(() => measure(short, new Float32Array(16))).toThrowError(expect.objectContaining({ code: 'FRAME_INVALID' }))
  })
})

it('a cell is the mean luma of its part of the frame', () => {
  const rgb = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255)
  const cells = new Float32Array(4)
  createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, 2, 2)(frameOf({ data: rgb, width: 2, height: 2 }), cells)
  expect([...cells].map(Math.round)).toEqual([77, 149, 29, 255])
  createGridMeter(
    { x: 0.5, y: 0, width: 0.5, height: 1 },
    1,
    1,
  )(frameOf({ data: rgb, width: 2, height: 2 }), cells.subarray(0, 1))
  expect(Math.round(cells[0]!)).toBe(202)
})

it('cells of another number than the grid has are a mistake of the program', () => {
  const measure = createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, 2, 2)
  const frame = frameOf({ data: new Uint8Array(12), width: 2, height: 2 })
  expect(() => measure(frame, new Float32Array(5))).toThrow(TypeError)
})
