/** The page converts between frame and view as the pixel path does: a box drawn on the picture is the region that is cut. */
import { describe, expect, it } from 'vitest'
import { PlainPass } from '../../src/pixels/plain.js'
import { rgbLevels } from '../../src/pixels/spec.js'
import { frameOf } from '../../src/frame.js'
import { boxToFrame, boxToView, tidy, toFrame, toView, type View } from '../../src/server/web/geometry.js'
import { Random } from '../random.js'

const views: View[] = ([0, 90, 180, 270] as const).flatMap((rotate) =>
  [false, true].flatMap((flipX) => [false, true].map((flipY) => ({ rotate, flipX, flipY }))),
)

describe.each(views)('rotate $rotate, flipX $flipX, flipY $flipY', (view) => {
  it('a white pixel lands where the pixel path puts it', async () => {
    const [width, height, x, y] = [7, 5, 5, 1]
    const pixels = new Uint8Array(width * height * 3)
    pixels.fill(255, (y * width + x) * 3, (y * width + x) * 3 + 3)
    const [w, h] = view.rotate % 180 === 0 ? [width, height] : [height, width]
    const pass = new PlainPass({ ...rgbLevels(w, h), ...view }, 'the reference')
    const target = new Uint8Array(w * h * 3)
    const frame = frameOf({ data: pixels, width, height })
    await pass.run(frame, target)
    const at = target.indexOf(255) / 3
    const [u, v] = toView([(x + 0.5) / width, (y + 0.5) / height], view)
    expect([Math.floor(u * w), Math.floor(v * h)]).toEqual([at % w, Math.floor(at / w)])
  })

  it('points and boxes survive the way to the view and back', () => {
    const random = new Random(view.rotate + 3)
    for (let i = 0; i < 50; i++) {
      const box = {
        x: random.next() * 0.5,
        y: random.next() * 0.5,
        width: random.next() * 0.5,
        height: random.next() * 0.5,
      }
      const [bx, by] = toFrame(toView([box.x, box.y], view), view)
      expect([bx, by]).toEqual([expect.closeTo(box.x), expect.closeTo(box.y)])
      expect(boxToFrame(boxToView(box, view), view)).toEqual({
        x: expect.closeTo(box.x),
        y: expect.closeTo(box.y),
        width: expect.closeTo(box.width),
        height: expect.closeTo(box.height),
      })
    }
  })
})

it('a region is inside the frame and never empty, for any drawn or typed numbers', () => {
  const random = new Random(11)
  for (let i = 0; i < 500; i++) {
    const draw = (): number => random.next() * 4 - 1.5
    const { x, y, width, height } = tidy({ x: draw(), y: draw(), width: draw(), height: draw() })
    expect(Math.min(x, y)).toBeGreaterThanOrEqual(0)
    expect(Math.min(width, height)).toBeGreaterThanOrEqual(0.019)
    expect(Math.max(x + width, y + height)).toBeLessThanOrEqual(1.0000001)
  }
})
