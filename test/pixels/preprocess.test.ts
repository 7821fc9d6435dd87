/** The native pixel pass against a plain double-precision one: every format, resize mode, turn and odd size. */
import { describe, expect, it } from 'vitest'
import { frameBytes, rowBytes, type Frame, type PixelFormat } from '../../src/frame.js'
import { PlainPass } from '../../src/pixels/plain.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import type { PixelCode, Point, PreprocessSpec } from '../../src/pixels/spec.js'
import { storedOf } from '../../src/tensor.js'
import { Random } from '../random.js'

const formats: readonly PixelFormat[] = ['yuyv', 'uyvy', 'nv12', 'i420', 'rgb24', 'bgr24', 'grey']

function frameOf(format: PixelFormat, width: number, height: number, stride: number, pixels: Uint8Array): Frame {
  return {
    seq: 1,
    capturedNs: 0n,
    wallTime: 0,
    format,
    width,
    height,
    stride,
    pixels,
    copyTo: (target) => target.set(pixels),
    release: () => undefined,
  }
}

/** A smooth picture with noise: noise alone would hide a wrong place, a smooth picture alone a wrong pixel. */
function drawFrame(random: Random, format: PixelFormat): Frame {
  // Widths are even, as drivers give them for shared chroma; heights may be odd where the format allows it.
  const width = 2 * random.between(1, 160)
  const height = format === 'nv12' || format === 'i420' ? 2 * random.between(1, 120) : random.between(1, 240)
  const stride = rowBytes(format, width) + 2 * random.between(0, 16)
  const pixels = new Uint8Array(frameBytes(format, stride, height))
  const [a, b] = [random.next() / 20, random.next() / 30]
  for (let i = 0; i < pixels.length; i++)
    pixels[i] = Math.max(
      0,
      Math.min(
        255,
        128 + 90 * Math.sin((i % stride) * a) * Math.cos(Math.floor(i / stride) * b) + random.between(-30, 30),
      ),
    )
  return frameOf(format, width, height, stride, pixels)
}

function drawSpec(random: Random, type: PreprocessSpec['type']): PreprocessSpec {
  const roi =
    random.next() < 0.5
      ? undefined
      : {
          x: random.next() * 0.5,
          y: random.next() * 0.5,
          width: 0.1 + random.next() * 0.4,
          height: 0.1 + random.next() * 0.4,
        }
  return {
    width: random.between(1, 97),
    height: random.between(1, 97),
    layout: random.pick(['nchw', 'nhwc']),
    type,
    order: random.pick(['rgb', 'bgr']),
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: random.pick(['cover', 'stretch', 'contain']),
    rotate: random.pick([0, 90, 180, 270]),
    flipX: random.next() < 0.3,
    flipY: random.next() < 0.3,
    fill: [114, 20, 250],
    ...(roi ? { roi } : {}),
    ...(random.next() < 0.5 ? { mask: { polygon: drawPolygon(random), fill: [200, 100, 30] } } : {}),
  }
}

/** A star around a place in the frame; some corners lie outside of it. */
function drawPolygon(random: Random): Point[] {
  const [x, y, count] = [0.2 + random.next() * 0.6, 0.2 + random.next() * 0.6, random.between(3, 12)]
  return Array.from({ length: count }, (_, i) => {
    const [radius, angle] = [0.1 + random.next() * 0.5, (2 * Math.PI * (i + random.next())) / count]
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)]
  })
}

async function both(
  spec: PreprocessSpec,
  frame: Frame,
): Promise<{ native: ArrayLike<number>; plain: ArrayLike<number> }> {
  const outputs = [createPreprocessor(spec), new PlainPass(spec, 'the reference')].map(async (pass) => {
    const target =
      spec.code?.type === 'int8'
        ? new Int8Array(spec.width * spec.height * 3)
        : spec.type === 'uint8' || spec.code
          ? new Uint8Array(spec.width * spec.height * 3)
          : new Float32Array(spec.width * spec.height * 3)
    await pass.run(frame, target)
    pass.close()
    return target
  })
  const [native, plain] = await Promise.all(outputs)
  return { native: native!, plain: plain! }
}

/** Any code that can stand for values around the levels, also one whose range is left. */
function drawCode(random: Random): PixelCode {
  const type = random.pick(['int8', 'uint8'] as const)
  const least = type === 'int8' ? -128 : 0
  return { type, scale: Math.fround(0.002 + random.next() * 0.03), zeroPoint: least + random.between(0, 255) }
}

describe.each(formats)('%s', (format) => {
  it('is within half a level of the reference, in 60 drawn cases', async () => {
    const random = new Random(format.length * 77)
    for (let i = 0; i < 60; i++) {
      const [spec, frame] = [drawSpec(random, 'float32'), drawFrame(random, format)]
      const { native, plain } = await both(spec, frame)
      let worst = 0
      for (let at = 0; at < plain.length; at++) worst = Math.max(worst, Math.abs(native[at]! - plain[at]!))
      expect(
        worst,
        JSON.stringify({ spec, width: frame.width, height: frame.height, stride: frame.stride }),
      ).toBeLessThanOrEqual(0.5)
    }
  })

  it('gives the bytes of a code that rounding its own float32 values gives, bit for bit', async () => {
    const random = new Random(format.length * 53)
    for (let i = 0; i < 20; i++) {
      const normalised = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } as const
      const spec = { ...drawSpec(random, 'float32'), ...(i % 3 === 0 ? { std: [255, 255, 255] as const } : normalised) }
      const [frame, code] = [drawFrame(random, format), drawCode(random)]
      const values = await both(spec, frame)
      const bytes = await both({ ...spec, code }, frame)
      for (const pass of ['native', 'plain'] as const)
        expect(Array.from(bytes[pass]), JSON.stringify({ pass, spec, code })).toEqual(
          Array.from(values[pass], (value) => storedOf(code, value)),
        )
    }
  })

  it('gives bytes that are within one of it', async () => {
    const random = new Random(format.length * 91)
    for (let i = 0; i < 20; i++) {
      const { native, plain } = await both(drawSpec(random, 'uint8'), drawFrame(random, format))
      let worst = 0
      for (let at = 0; at < plain.length; at++) worst = Math.max(worst, Math.abs(native[at]! - plain[at]!))
      expect(worst).toBeLessThanOrEqual(1)
    }
  })

  it('refuses a frame that is shorter than its size says', async () => {
    const pass = createPreprocessor(drawSpec(new Random(3), 'float32'))
    const whole = drawFrame(new Random(5), format)
    const short = {
      ...whole,
      pixels: (whole.pixels as Uint8Array).subarray(0, (whole.pixels as Uint8Array).length - 1),
    }
    await expect(pass.run(short, new Float32Array(97 * 97 * 3))).rejects.toMatchObject({ code: 'FRAME_INVALID' })
    await expect(
      pass.run({ ...whole, stride: rowBytes(format, whole.width) - 1 }, new Float32Array(97 * 97 * 3)),
    ).rejects.toMatchObject({ code: 'FRAME_INVALID' })
    pass.close()
  })
})

describe('by hand', () => {
  const base: PreprocessSpec = {
    width: 2,
    height: 2,
    layout: 'nhwc',
    type: 'float32',
    order: 'rgb',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: 'stretch',
  }
  // red green / blue white
  const rgb = frameOf('rgb24', 2, 2, 6, Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255))
  const names = new Map([
    ['255,0,0', 'red'],
    ['0,255,0', 'green'],
    ['0,0,255', 'blue'],
    ['255,255,255', 'white'],
  ])
  const run = async (spec: Partial<PreprocessSpec>, frame = rgb): Promise<number[]> => {
    const full = { ...base, ...spec }
    const pass = createPreprocessor(full)
    const target = new Float32Array(full.width * full.height * 3)
    await pass.run(frame, target)
    pass.close()
    return [...target]
  }
  const colours = async (spec: Partial<PreprocessSpec>): Promise<(string | undefined)[]> => {
    const values = await run(spec)
    return Array.from({ length: values.length / 3 }, (_, i) => names.get(values.slice(i * 3, i * 3 + 3).join()))
  }

  it.each([
    [{}, ['red', 'green', 'blue', 'white']],
    [{ rotate: 90 as const }, ['blue', 'red', 'white', 'green']],
    [{ rotate: 180 as const }, ['white', 'blue', 'green', 'red']],
    [{ rotate: 270 as const }, ['green', 'white', 'red', 'blue']],
    [{ flipX: true }, ['green', 'red', 'white', 'blue']],
    [{ flipY: true }, ['blue', 'white', 'red', 'green']],
    [{ roi: { x: 0.5, y: 0, width: 0.5, height: 1 }, width: 1 }, ['green', 'white']],
  ])('%j turns red green / blue white into %j', async (spec, expected) => {
    expect(await colours(spec)).toEqual(expected)
  })

  it('normalises and orders channels as told', async () => {
    expect(
      await run({
        width: 1,
        height: 1,
        roi: { x: 0, y: 0, width: 0.5, height: 0.5 },
        order: 'bgr',
        mean: [1, 2, 3],
        std: [2, 4, 8],
      }),
    ).toEqual([-0.5, -0.5, 31.5])
    expect((await run({ layout: 'nchw' })).slice(0, 4)).toEqual([255, 0, 0, 255])
  })

  it('paints over what lies outside the polygon, and normalises the colour', async () => {
    const upperLeft: Point[] = [
      [0, 0],
      [0.9, 0],
      [0, 0.9],
    ]
    const mask = { polygon: upperLeft, fill: [10, 20, 30] as const }
    const values = await run({ mask, mean: [10, 20, 30], std: [2, 2, 2] })
    expect(values.slice(0, 3)).toEqual([122.5, -10, -15])
    expect(values.slice(3)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0])
    expect((await run({ mask, rotate: 180, order: 'bgr' })).slice(0, 3)).toEqual([30, 20, 10])
  })

  it('halves between pixel centres', async () => {
    expect((await run({ width: 1, height: 1 })).map(Math.round)).toEqual([128, 128, 128])
  })

  it('reads video levels of BT.601: 16 is black, 235 is white, 81/90/240 is red', async () => {
    const yuyv = (y: number, u: number, v: number): Frame => frameOf('yuyv', 2, 1, 4, Uint8Array.of(y, u, y, v))
    const one = async (y: number, u: number, v: number): Promise<number[]> =>
      (await run({ width: 1, height: 1 }, yuyv(y, u, v))).map(Math.round)
    expect(await one(16, 128, 128)).toEqual([0, 0, 0])
    expect(await one(235, 128, 128)).toEqual([255, 255, 255])
    expect(await one(81, 90, 240)).toEqual([254, 0, 0])
  })
})
