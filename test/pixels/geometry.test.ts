/** The map between input and frame, compared with what the pixel path shows at each place, in every mode and rotation. */
import { expect, it } from 'vitest'
import type { Frame } from '../../src/frame.js'
import { viewOf } from '../../src/pixels/geometry.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import type { PreprocessSpec } from '../../src/pixels/spec.js'
import { Random } from '../random.js'

function drawSpec(random: Random): PreprocessSpec {
  const roi =
    random.next() < 0.5
      ? undefined
      : {
          x: random.next() * 0.4,
          y: random.next() * 0.4,
          width: 0.3 + random.next() * 0.3,
          height: 0.3 + random.next() * 0.3,
        }
  return {
    width: random.between(40, 90),
    height: random.between(40, 90),
    layout: 'nhwc',
    type: 'uint8',
    order: 'rgb',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: random.pick(['cover', 'stretch', 'contain']),
    rotate: random.pick([0, 90, 180, 270]),
    flipX: random.next() < 0.5,
    flipY: random.next() < 0.5,
    fill: [0, 0, 255],
    ...(roi ? { roi } : {}),
  }
}

/** Red rises from left to right, green from top to bottom. */
function ramps(width: number, height: number): Frame {
  const pixels = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      pixels.set(
        [Math.round(((x + 0.5) / width) * 250), Math.round(((y + 0.5) / height) * 250), 0],
        (y * width + x) * 3,
      )
  return {
    seq: 1,
    capturedNs: 0n,
    wallTime: 0,
    width,
    height,
    format: 'rgb24',
    stride: width * 3,
    pixels,
    copyTo: () => undefined,
    release: () => undefined,
  }
}

it('a pixel of the input shows the place of the frame that toFrame names, in 120 drawn views', async () => {
  const random = new Random(21)
  for (let i = 0; i < 120; i++) {
    const spec = drawSpec(random)
    const frame = ramps(random.between(60, 240), random.between(60, 240))
    const view = viewOf(spec, frame.width, frame.height)
    const pass = createPreprocessor(spec)
    const shown = new Uint8Array(spec.width * spec.height * 3)
    await pass.run(frame, shown)
    pass.close()
    for (let k = 0; k < 40; k++) {
      const [x, y] = [random.between(0, spec.width - 1), random.between(0, spec.height - 1)]
      const [red, green, blue] = shown.subarray((y * spec.width + x) * 3, (y * spec.width + x) * 3 + 3)
      const place = view.toFrame({
        x: x / spec.width,
        y: y / spec.height,
        width: 1 / spec.width,
        height: 1 / spec.height,
      })
      const told = JSON.stringify({ spec, width: frame.width, height: frame.height, x, y, place })
      if (blue! > 0) {
        expect(place === null, told).toBe(true)
        continue
      }
      // Within a pixel of the frame (the ramp is repeated at the edges) and the rounding of the levels.
      expect(Math.abs(place!.x + place!.width / 2 - red! / 250), told).toBeLessThan(1 / frame.width + 0.005)
      expect(Math.abs(place!.y + place!.height / 2 - green! / 250), told).toBeLessThan(1 / frame.height + 0.005)
      const [u, v] = view.toInput(place!.x + place!.width / 2, place!.y + place!.height / 2)
      expect(Math.abs(u * spec.width - x - 0.5), told).toBeLessThan(1e-6 * spec.width + 1e-6)
      expect(Math.abs(v * spec.height - y - 0.5), told).toBeLessThan(1e-6 * spec.height + 1e-6)
    }
    const { picture } = view
    const inside = [
      picture.x,
      picture.y,
      spec.width - picture.x - picture.width,
      spec.height - picture.y - picture.height,
    ]
    expect(
      inside.every((n) => n >= 0 && Number.isInteger(n)),
      JSON.stringify(picture),
    ).toBe(true)
  }
})

it('a box that reaches into the letterbox is cut at the edge of the picture', () => {
  // 200 x 100 contained in 64 x 64: 16 rows of bars above and below.
  const view = viewOf(
    {
      width: 64,
      height: 64,
      layout: 'nhwc',
      type: 'uint8',
      order: 'rgb',
      mean: [0, 0, 0],
      std: [1, 1, 1],
      resize: 'contain',
    },
    200,
    100,
  )
  expect(view.toFrame({ x: 0, y: 0, width: 0.5, height: 0.5 })).toEqual({ x: 0, y: 0, width: 0.5, height: 0.5 })
  expect(view.toFrame({ x: 0.25, y: 0, width: 0.5, height: 0.25 })).toBeNull()
  expect(view.picture).toEqual({ x: 0, y: 16, width: 64, height: 32 })
})
