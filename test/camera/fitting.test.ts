/** Pictures at the least size that serves: what is shrunk, to what, and that all of it can be had again. */
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PictureNeed } from '../../src/camera/decode-size.js'
import { decodeFitting, fittingSize } from '../../src/camera/fitting.js'
import { decodeShrunkJpeg } from '../../src/pixels/shrunk-jpeg.js'

const whole: PictureNeed = { width: 224, height: 224, resize: 'cover' }
const quarter: PictureNeed = { ...whole, roi: { x: 0.5, y: 0.5, width: 0.25, height: 0.25 } }
let jpeg: Buffer
let raw: Buffer

/** Wide bands of colour, which every size shows. */
beforeAll(async () => {
  const [width, height] = [1000, 600]
  raw = Buffer.from(
    Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
      return [Math.floor(x / 200) * 50, Math.floor(y / 150) * 60, 90][i % 3]!
    }),
  )
  jpeg = await sharp(raw, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 95 })
    .toBuffer()
})

const facts = { seq: 7, capturedNs: 5n }
const decode = (bytes: Uint8Array, needs: readonly PictureNeed[]) => decodeFitting({ bytes, name: 'x', facts }, needs)

describe('a JPEG', () => {
  it('is decoded at the least scale of the library that serves every zone', async () => {
    const { width, height, seq, capturedNs } = await decode(jpeg, [whole])
    expect([width, height, seq, capturedNs]).toEqual([500, 300, 7, 5n])
    expect(await decode(jpeg, [whole, quarter])).toMatchObject({ width: 1000, height: 600 })
    expect(fittingSize({ width: 1920, height: 1080 }, [whole])).toEqual({ width: 480, height: 270, shrink: 4 })
    expect(fittingSize({ width: 1920, height: 1080 }, [{ ...whole, resize: 'contain' }])).toEqual({
      width: 240,
      height: 135,
      shrink: 8,
    })
  })

  it('shows the same things in the same places', async () => {
    const small = await decode(jpeg, [whole])
    const pixels = small.pixels as Uint8Array
    for (const [x, y] of [
      [0.1, 0.1],
      [0.3, 0.6],
      [0.9, 0.9],
    ] as const) {
      const at = 3 * (Math.round(y * 300) * 500 + Math.round(x * 500))
      const from = 3 * (Math.round(y * 600) * 1000 + Math.round(x * 1000))
      for (let c = 0; c < 3; c++) expect(Math.abs(pixels[at + c]! - raw[from + c]!)).toBeLessThan(6)
    }
  })

  it('is shrunk by the addon where it holds plain colours, and by sharp otherwise, to the same size', async () => {
    const size = { shrink: 2, width: 500, height: 300 } as const
    const shrunk = await decodeShrunkJpeg(jpeg, size)
    expect(shrunk).toMatchObject({ width: 500, height: 300 })
    expect(shrunk!.data).toHaveLength(500 * 300 * 3)
    expect(await decodeShrunkJpeg(jpeg, { ...size, width: 499 })).toBeNull()
    expect(await decodeShrunkJpeg(jpeg.subarray(0, 4000), size)).toBeNull()
    for (const other of [
      sharp(jpeg).toColourspace('b-w'),
      sharp(jpeg).toColourspace('cmyk'),
      sharp(jpeg).withIccProfile('p3'),
    ]) {
      const bytes = await other.jpeg().toBuffer()
      expect(await decodeShrunkJpeg(bytes, size)).toBeNull()
      const frame = await decode(bytes, [whole])
      expect([frame.width, frame.height, frame.pixels]).toMatchObject([500, 300, { length: 500 * 300 * 3 }])
    }
  })

  it('that was shrunk is decoded again at full size for a picture of all of it', async () => {
    const small = await decode(jpeg, [whole])
    const full = await small.full!()
    expect(full).toMatchObject({ width: 1000, height: 600, seq: 7 })
    expect(full.full).toBeUndefined()
    expect((await decode(jpeg, [quarter])).full).toBeUndefined()
  })

  it('is decoded whole where nothing is known of the zones, where EXIF may turn it, and where it is another format', async () => {
    expect(await decode(jpeg, [])).toMatchObject({ width: 1000, height: 600 })
    const turned = await sharp(jpeg).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    expect(await decode(turned, [whole])).toMatchObject({ width: 600, height: 1000 })
    expect(await decode(await sharp(jpeg).png().toBuffer(), [whole])).toMatchObject({ width: 1000, height: 600 })
  })

  it('keeps at least 160 pixels for motion and the view', () => {
    const tiny: PictureNeed = { width: 16, height: 16, resize: 'stretch' }
    expect(fittingSize({ width: 640, height: 480 }, [tiny])).toEqual({ width: 160, height: 120, shrink: 4 })
    expect(fittingSize({ width: 200, height: 150 }, [tiny])).toBeNull()
  })

  it('that is damaged is refused as before', async () => {
    await expect(decode(jpeg.subarray(0, 4000), [whole])).rejects.toMatchObject({ code: 'PICTURE_INVALID' })
  })
})
