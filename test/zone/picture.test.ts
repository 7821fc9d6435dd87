/** Pictures on demand: each request is answered once, with the zone's next frame as the camera delivered it. */
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { systemClock } from '../../src/clock.js'
import { frameBytes, rowBytes, type Frame, type PixelFormat } from '../../src/frame.js'
import { encodeJpeg } from '../../src/pixels/jpeg.js'
import { createLogger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { policyDefaults } from '../../src/decision/policy.js'
import { PlainPass, pixelAt } from '../../src/pixels/plain.js'
import { createPublisher } from '../../src/publish/publisher.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/convnet-gap.onnx'), threads: 1 })
})
afterAll(() => classifier.close())

function zoneOf(roi?: { x: number; y: number; width: number; height: number }): Zone {
  const settings = {
    isEnabled: true,
    isSwitchedOn: true,
    roi: roi ?? null,
    policy: { ...policyDefaults, threshold: 0, hysteresis: 0, consecutive: 1, margin: 0 },
  }
  return new Zone({
    definition: zonesOf({ id: 'cam0', source: 'test', ...(roi ? { roi } : {}) })[0]!,
    classifier,
    turns: new Turns(),
    topK: 3,
    settings: () => settings,
    publisher: createPublisher({ broker: null, node: 'desk', cameras: ['cam0'], log: createLogger('silent') }),
    metrics: createMetrics(0),
    clock: systemClock,
    onSettled: () => undefined,
  })
}

function frameOf(seq: number, format: PixelFormat = 'rgb24', width = 62, height = 46): Frame & { releases: number } {
  const random = new Random(seq)
  const stride = rowBytes(format, width) + 10
  const pixels = new Uint8Array(frameBytes(format, stride, height)).map(
    (_, i) => 128 + 80 * Math.sin(i / 9) + random.between(-40, 40),
  )
  const frame = {
    seq,
    capturedNs: process.hrtime.bigint(),
    wallTime: 1000 + seq,
    width,
    height,
    format,
    stride,
    pixels,
    releases: 0,
    copyTo: (target: Uint8Array) => target.set(pixels),
    release: () => {
      frame.releases++
    },
  }
  return frame
}

describe('capture', () => {
  it.each(['yuyv', 'nv12', 'i420', 'rgb24', 'grey'] as const)(
    "gives a %s frame at its own size, every pixel within a level of the frame's",
    async (format) => {
      const zone = zoneOf()
      const [asked, frame] = [zone.capture(), frameOf(7, format)]
      await zone.take(frame)
      const { rgb, width, height, seq, wallTime } = await asked
      expect({ width, height, seq, wallTime, releases: frame.releases }).toEqual({
        width: 62,
        height: 46,
        seq: 7,
        wallTime: 1007,
        releases: 1,
      })
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const wanted = pixelAt(frame, frame.pixels as Uint8Array, x, y)
          for (let c = 0; c < 3; c++)
            expect(Math.abs(rgb[(y * width + x) * 3 + c]! - wanted[c]!)).toBeLessThanOrEqual(1)
        }
      zone.close()
    },
  )

  it('has the region that the network saw and its prediction, in memory that later frames do not change', async () => {
    const roi = { x: 0.25, y: 0, width: 0.5, height: 1 }
    const zone = zoneOf(roi)
    const asked = zone.capture()
    await zone.take(frameOf(1))
    const { prediction, decision, shown } = await asked
    expect(decision.label).toBe(prediction!.top[0]!.label)
    expect(prediction).toMatchObject({ frameSeq: 1, engine: 'native' })
    const logits = [...prediction!.logits]
    await zone.take(frameOf(2))
    expect([...prediction!.logits]).toEqual(logits)
    const pass = new PlainPass(classifier.preprocessing({ roi }), 'the reference')
    expect(shown).toEqual(pass.shown(62, 46))
    zone.close()
  })

  it('is within maxSide, whichever side is longer, and never larger than the frame', async () => {
    const zone = zoneOf()
    const asked = [
      zone.capture({ maxSide: 31 }),
      zone.capture({ maxSide: 31 }),
      zone.capture({ maxSide: 4000 }),
      zone.capture({ maxSide: 1 }),
    ]
    await zone.take(frameOf(3, 'rgb24', 46, 62))
    const pictures = await Promise.all(asked)
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [23, 31],
      [23, 31],
      [46, 62],
      [1, 1],
    ])
    expect(pictures[0]!.rgb, 'requests for one size share the picture').toBe(pictures[1]!.rgb)
    zone.close()
  })

  it('waits for the next frame that can be read, and answers each request once', async () => {
    const zone = zoneOf()
    const asked = zone.capture()
    const short = frameOf(1)
    await zone.take({ ...short, pixels: (short.pixels as Uint8Array).subarray(100) })
    expect(short.releases).toBe(1)
    await zone.take(frameOf(2))
    expect((await asked).seq).toBe(2)
    const next = zone.capture()
    await zone.take(frameOf(3))
    expect((await next).seq).toBe(3)
    zone.close()
  })

  it('is withdrawn by its signal, and rejects when the camera is lost or closed', async () => {
    const zone = zoneOf()
    const giving = new AbortController()
    const given = zone.capture({ signal: giving.signal })
    giving.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
    const waiting = zone.capture()
    zone.lose()
    await expect(waiting).rejects.toMatchObject({ code: 'CAMERA_LOST' })
    const last = zone.capture()
    zone.close()
    await expect(last).rejects.toMatchObject({ code: 'CAMERA_LOST' })
    await expect(zone.capture()).rejects.toMatchObject({ code: 'CAMERA_LOST' })
    await expect(zoneOf().capture({ maxSide: 0 })).rejects.toBeInstanceOf(TypeError)
  })
})

it('encodeJpeg keeps size and colours', async () => {
  const rgb = new Uint8Array(40 * 24 * 3).map((_, i) => [200, 40, 90][i % 3]!)
  const { data, info } = await sharp(await encodeJpeg({ rgb, width: 40, height: 24 }))
    .raw()
    .toBuffer({ resolveWithObject: true })
  expect([info.width, info.height]).toEqual([40, 24])
  for (const [c, level] of [200, 40, 90].entries()) expect(Math.abs(data[300 + c]! - level)).toBeLessThan(6)
})
