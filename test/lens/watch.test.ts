/**
 * The lens watch: every problem is detected within a bounded number of checks, and cleared when it is over. Photographs,
 * nights, weather, passing people and still pictures raise nothing.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createLensMeter, measurePlainly, lensCells } from '../../src/lens/statistics.js'
import { lensDefaults, LensWatch, type LensContext } from '../../src/lens/watch.js'
import { loadAddon, type LensLayout } from '../../src/addon.js'
import type { LensProblem } from '../../src/decision/prediction.js'
import { rgbLevels } from '../../src/pixels/spec.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'
import { blurred, cloth, passing, photograph, seen, side, windowOf, type Pixels } from './sequences.js'

const spec = rgbLevels(side, side)
// The shared folder has these photographs and some more.
const folder = sharedFolder() === null ? join(projectRoot, 'models/photos') : join(sharedFolder()!, 'images')
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.jpg'))
  .sort()
  .map((name) => join(folder, name))

/** A camera that is checked five times a second. */
class Camera {
  readonly watch = new LensWatch()
  readonly #measure = createLensMeter(spec, side, side)
  readonly #context: Partial<LensContext>
  nowMs = 0
  readonly raised: (LensProblem | null)[] = []

  constructor(context: Partial<LensContext> = {}) {
    this.#context = context
  }

  show(pixels: Pixels, stepMs = 200): void {
    this.nowMs += stepMs
    if (
      this.watch.observe(this.#measure(pixels), {
        nowMs: this.nowMs,
        isStill: false,
        isDetailed: true,
        ...this.#context,
      })
    )
      this.raised.push(this.watch.problem)
  }

  /** The number of checks until a problem is raised or cleared; `most + 1` when neither happens. */
  async until(picture: (i: number) => Pixels | Promise<Pixels>, most: number): Promise<number> {
    const before = this.raised.length
    for (let i = 0; i < most; i++) {
      this.show(await picture(i))
      if (this.raised.length > before) return i + 1
    }
    return most + 1
  }
}

const healthy = 60

describe.each(files.map((file) => [file.split('/').slice(-2).join('/'), file]))(
  'a camera that sees %s',
  (_name, file) => {
    it('each problem is raised within 40 checks and cleared within 40', async () => {
      const random = new Random(file.length * 31)
      const large = await photograph(file, 300)
      const scene = windowOf(large, 300, 20, 20)
      const soft = await blurred(scene, 4)
      const pushed = windowOf(large, 300, 72, 60)
      const ruin: [LensProblem, () => Pixels][] = [
        ['black', () => seen(random, scene, { gain: 0, noise: 1 })],
        ['overexposed', () => seen(random, scene, { gain: 12, lift: 25 })],
        ['covered', () => seen(random, cloth(random, 90))],
        ['covered', () => seen(random, cloth(random, 30))],
        ['blurred', () => seen(random, soft, { noise: 0.7 })],
        ['moved', () => seen(random, pushed)],
      ]
      const camera = new Camera()
      for (let i = 0; i < healthy; i++) camera.show(seen(random, scene))
      expect(camera.raised).toEqual([])
      for (const [problem, picture] of ruin) {
        const found = await camera.until(picture, 40)
        expect([problem, camera.raised.at(-1), found <= 40]).toEqual([problem, problem, true])
        const cleared = await camera.until(() => seen(random, scene), 40)
        expect([problem, camera.raised.at(-1), cleared <= 40]).toEqual([problem, null, true])
      }
    })

    it('nothing is raised through two days and nights with clouds, lamp light and passing people', async () => {
      const random = new Random(file.length * 17)
      const scene = await photograph(file)
      const camera = new Camera()
      for (let i = 0; i < 160; i++) {
        const day = 0.5 + 0.5 * Math.cos((i / 160) * 4 * Math.PI) // two nights
        const cloud = i % 40 < 8 ? 0.75 : 1
        const gain = (0.045 + 0.955 * day * day) * cloud
        const view = i % 50 < 12 ? passing(scene, (i % 50) / 12, 0.4, 40 + (i % 7) * 25) : scene
        camera.show(
          seen(random, view, {
            gain,
            warmth: 0.25 * (1 - day),
            gamma: 1 + 0.25 * (1 - day),
            noise: 1.5 + 2 * (1 - day),
          }),
        )
      }
      expect(camera.raised).toEqual([])
    })
  },
)

it('a camera that is blind from the start is detected without a reference', async () => {
  const random = new Random(3)
  const scene = await photograph(files[0]!)
  const soft = await blurred(scene, 5)
  const pictures: [LensProblem, () => Pixels][] = [
    ['black', () => seen(random, scene, { gain: 0, noise: 1 })],
    ['overexposed', () => seen(random, scene, { gain: 12, lift: 25 })],
    ['blurred', () => seen(random, soft, { noise: 0.7 })],
  ]
  for (const [problem, picture] of pictures) {
    const camera = new Camera()
    await camera.until(picture, 12)
    expect(camera.raised).toEqual([problem])
  }
})

describe('frozen', () => {
  it('a live picture without any change for half a minute is frozen', async () => {
    const random = new Random(5)
    const scene = await photograph(files[1]!)
    const camera = new Camera()
    for (let i = 0; i < healthy; i++) camera.show(seen(random, scene))
    const stuck = seen(random, scene)
    const checks = await camera.until(() => stuck, 200)
    expect(camera.raised).toEqual(['frozen'])
    expect(checks * 200).toBeGreaterThanOrEqual(lensDefaults.frozenAfterMs)
    expect(checks).toBeLessThanOrEqual(lensDefaults.frozenAfterMs / 200 + lensDefaults.checks + 1)
    await camera.until(() => seen(random, scene), 20)
    expect(camera.raised).toEqual(['frozen', null])
  })

  it('a stream that repeats pictures for ten seconds, a drawn source and a folder of pictures are not frozen', async () => {
    const random = new Random(7)
    const scene = await photograph(files[2]!)
    const stream = new Camera()
    for (let gop = 0; gop < 12; gop++) {
      const picture = seen(random, scene)
      for (let i = 0; i < 50; i++) stream.show(picture) // an encoder repeats the picture of a still night for ten seconds
    }
    const drawn = new Camera()
    for (let i = 0; i < 400; i++) drawn.show(scene)
    const album = new Camera({ isStill: true })
    for (let i = 0; i < 1200; i++) album.show(await show(i))
    expect([stream.raised, drawn.raised, album.raised]).toEqual([[], [], []])
  })
})

/** A slide show of all photographs that stops at the last one. */
const slides = new Map<number, Pixels>()
async function show(i: number): Promise<Pixels> {
  const at = Math.min(Math.floor(i / 25), files.length - 1)
  if (!slides.has(at)) slides.set(at, await photograph(files[at]!))
  return slides.get(at)!
}

it('a parked van and a passing crowd do not count as a moved camera', async () => {
  const random = new Random(9)
  const scene = await photograph(files[0]!)
  const camera = new Camera()
  for (let i = 0; i < healthy; i++) camera.show(seen(random, scene))
  for (let i = 0; i < 60; i++) camera.show(seen(random, passing(scene, 0.55, 0.5, 200)))
  for (let i = 0; i < 60; i++)
    camera.show(
      seen(
        random,
        passing(
          passing(scene, random.next(), 0.5, random.between(20, 220)),
          random.next(),
          0.5,
          random.between(20, 220),
        ),
      ),
    )
  expect(camera.raised).toEqual([])
})

describe('the measurement', () => {
  const loaded = loadAddon()
  if (!('addon' in loaded)) throw new Error(loaded.reason)
  it('the native one equals the plain one, in both layouts, for bytes and floats, with letterbox and odd sizes', () => {
    const random = new Random(13)
    for (let i = 0; i < 60; i++) {
      const [width, height] = [random.between(2, 150), random.between(2, 150)]
      const [x, y] = [random.between(0, width - 2), random.between(0, height - 2)]
      const layout: LensLayout = {
        width,
        height,
        isNchw: random.next() < 0.5,
        rectangle: [x, y, random.between(2, width - x), random.between(2, height - y)],
        weights: [0.299, 0.587, 0.114],
        offset: random.next() * 10,
      }
      const isBytes = random.next() < 0.5
      const input = isBytes
        ? Uint8Array.from({ length: width * height * 3 }, () => random.between(0, 255))
        : Float32Array.from({ length: width * height * 3 }, () => random.next() * 255)
      const [fast, plain] = [new Float32Array(3 + lensCells ** 2), new Float32Array(3 + lensCells ** 2)]
      loaded.addon.measureLens(input, layout, fast)
      measurePlainly(input, layout, plain)
      for (let at = 0; at < plain.length; at++)
        expect(Math.abs(fast[at]! - plain[at]!), `${at} of ${JSON.stringify(layout)}`).toBeLessThan(
          at === 1 || at === 2 ? 1e-3 : 2e-2,
        )
    }
  })
  it('a rectangle outside of the input and a buffer that is too short are refused', () => {
    const layout: LensLayout = {
      width: 8,
      height: 8,
      isNchw: false,
      rectangle: [0, 0, 8, 8],
      weights: [1, 1, 1],
      offset: 0,
    }
    const out = new Float32Array(3 + lensCells ** 2)
    const refused: [Float32Array, LensLayout, Float32Array][] = [
      [new Float32Array(191), layout, out],
      [new Float32Array(192), { ...layout, rectangle: [1, 0, 8, 8] }, out],
      [new Float32Array(192), { ...layout, rectangle: [-1, 0, 8, 8] }, out],
      [new Float32Array(192), { ...layout, rectangle: [0, 0, 1, 8] }, out],
      [new Float32Array(192), { ...layout, width: NaN }, out],
      [new Float32Array(192), layout, out.subarray(1)],
    ]
    for (const [input, where, to] of refused)
      expect(() => loaded.addon.measureLens(input, where, to)).toThrow(/^Expected an input/)
  })
})
