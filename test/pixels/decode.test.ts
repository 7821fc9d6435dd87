/** Pictures as phones, scanners and cameras store them become upright 8-bit RGB; damaged files are refused. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeFile, decodePicture } from '../../src/pixels/decode.js'
import type { RgbImage } from '../../src/pixels/image.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-decode-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// Upright: red green / blue white, in fields of 16 x 12 so that JPEG's blocks leave their middles alone.
const [fieldWidth, fieldHeight] = [16, 12]
const [width, height] = [2 * fieldWidth, 2 * fieldHeight]
const colours = { red: [230, 20, 20], green: [20, 200, 20], blue: [20, 20, 220], white: [240, 240, 240] } as const
const upright = [
  ['red', 'green'],
  ['blue', 'white'],
] as const

const colourAt = (x: number, y: number): readonly number[] =>
  colours[upright[y < fieldHeight ? 0 : 1][x < fieldWidth ? 0 : 1]]

function draw(): Sharp {
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set(colourAt(x, y), (y * width + x) * 3)
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
}

const jpeg = { quality: 100, chromaSubsampling: '4:4:4' } as const

/** The colours in the middle of each quarter, left to right and down. */
function quarters(picture: RgbImage): (string | undefined)[] {
  return [
    [0.25, 0.25],
    [0.75, 0.25],
    [0.25, 0.75],
    [0.75, 0.75],
  ].map(([x, y]) => {
    const at = (Math.floor(picture.height * y!) * picture.width + Math.floor(picture.width * x!)) * 3
    const near = Object.entries(colours).find(([, levels]) =>
      levels.every((level, i) => Math.abs(level - picture.data[at + i]!) < 25),
    )
    return near?.[0] ?? [...picture.data.subarray(at, at + 3)].join()
  })
}

function expectUpright(picture: RgbImage): void {
  expect([picture.width, picture.height, picture.data.length]).toEqual([width, height, width * height * 3])
  expect(quarters(picture)).toEqual(upright.flat())
}

describe('the orientation that a phone writes is applied', () => {
  // EXIF 2.3, tag 0x0112: the place in the upright picture of what the file stores in column x of row y.
  const [right, bottom] = [width - 1, height - 1]
  const places: Record<number, (x: number, y: number) => readonly [number, number]> = {
    1: (x, y) => [x, y],
    2: (x, y) => [right - x, y],
    3: (x, y) => [right - x, bottom - y],
    4: (x, y) => [x, bottom - y],
    5: (x, y) => [y, x],
    6: (x, y) => [right - y, x],
    7: (x, y) => [right - y, bottom - x],
    8: (x, y) => [y, bottom - x],
  }
  it.each(Object.keys(places).map(Number))('orientation %d', async (orientation) => {
    const stored = orientation > 4 ? { width: height, height: width } : { width, height }
    const pixels = Buffer.alloc(width * height * 3)
    for (let y = 0; y < stored.height; y++) {
      for (let x = 0; x < stored.width; x++)
        pixels.set(colourAt(...places[orientation]!(x, y)), (y * stored.width + x) * 3)
    }
    const bytes = await sharp(pixels, { raw: { ...stored, channels: 3 } })
      .withMetadata({ orientation })
      .jpeg(jpeg)
      .toBuffer()
    expect(await sharp(bytes).metadata()).toMatchObject({ ...stored, orientation })
    expectUpright(await decodePicture(bytes, 'turned.jpg'))
  })
})

describe('becomes RGB of 8 bits', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['a baseline JPEG', () => draw().jpeg(jpeg).toBuffer()],
    [
      'a progressive JPEG',
      () =>
        draw()
          .jpeg({ ...jpeg, progressive: true })
          .toBuffer(),
    ],
    ['a PNG of 16 bits', () => draw().toColourspace('rgb16').png().toBuffer()],
    ['a PNG with a palette', () => draw().png({ palette: true }).toBuffer()],
    ['a PNG with an opaque alpha channel', () => draw().ensureAlpha(1).png().toBuffer()],
    ['a WebP', () => draw().webp({ lossless: true }).toBuffer()],
  ])('%s', async (name, make) => {
    expectUpright(await decodePicture(await make(), name))
  })

  it('a CMYK JPEG: its hues, as far as inks have them', async () => {
    const bytes = await draw().toColourspace('cmyk').jpeg(jpeg).toBuffer()
    expect(await sharp(bytes).metadata()).toMatchObject({ space: 'cmyk', channels: 4 })
    const picture = await decodePicture(bytes, 'cmyk.jpg')
    expect([picture.width, picture.height, picture.data.length]).toEqual([width, height, width * height * 3])
    const at = (x: number, y: number): number[] => [
      ...picture.data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
    ]
    const strongest = (levels: number[]): number => levels.indexOf(Math.max(...levels))
    expect([at(8, 6), at(24, 6), at(8, 18)].map(strongest)).toEqual([0, 1, 2])
    expect(Math.min(...at(24, 18))).toBeGreaterThan(200)
  })

  it.each<[string, () => Promise<Buffer>]>([
    ['JPEG', () => draw().greyscale().jpeg(jpeg).toBuffer()],
    ['PNG of 16 bits', () => draw().toColourspace('grey16').png().toBuffer()],
    ['PNG with alpha', () => draw().greyscale().ensureAlpha(1).png().toBuffer()],
  ])('a grey %s: three equal channels', async (name, make) => {
    const { data } = await decodePicture(await make(), name)
    expect(data).toHaveLength(width * height * 3)
    expect(data.every((level, i) => level === data[i - (i % 3)])).toBe(true)
    expect(data[(18 * width + 24) * 3]).toBeGreaterThan(200)
    expect(data[(18 * width + 8) * 3]).toBeLessThan(100)
  })

  it('what is transparent: laid on black', async () => {
    const { data } = await decodePicture(await draw().ensureAlpha(0.5).png().toBuffer(), 'half.png')
    expect(Math.abs(data[(18 * width + 24) * 3]! - 120)).toBeLessThanOrEqual(2)
    expect(
      (await decodePicture(await draw().ensureAlpha(0).png().toBuffer(), 'none.png')).data.every(
        (level) => level === 0,
      ),
    ).toBe(true)
  })
})

describe('JPEGs with harmless damage', () => {
  const fixture = (name: string): string => join(projectRoot, 'test/fixtures', name)

  it.each(['sos-000.jpg', 'webcam-stray.jpg'])('%s is decoded, and is refused when it is cut', async (name) => {
    const { data, ...size } = await decodeFile(fixture(name))
    expect(size).toEqual({ width: 320, height: 240 })
    // The picture is a ramp: the last rows are as far from grey as the first.
    const last = data.subarray(-320 * 3)
    expect(Math.max(...last) - Math.min(...last)).toBeGreaterThan(100)
    const bytes = readFileSync(fixture(name))
    await expect(decodePicture(bytes.subarray(0, 7000), name)).rejects.toMatchObject({ code: 'PICTURE_INVALID' })
  })

  it('a JPEG with missing data in front of its end stays refused', async () => {
    const bytes = await draw().jpeg().toBuffer()
    const cut = Buffer.concat([bytes.subarray(0, bytes.length - 200), Buffer.from([0xff, 0xd9])])
    await expect(decodePicture(cut, 'cut.jpg')).rejects.toMatchObject({ code: 'PICTURE_INVALID' })
  })
})

describe('is refused in one sentence with the name of the file', () => {
  const noisy = (): Promise<Buffer> =>
    sharp({
      create: {
        width: 200,
        height: 200,
        channels: 3,
        background: '#888',
        noise: { type: 'gaussian', mean: 128, sigma: 40 },
      },
    })
      .jpeg()
      .toBuffer()
  it.each<[string, () => Promise<Uint8Array>, RegExp]>([
    ['an empty file', async () => new Uint8Array(0), /the file is empty/],
    ['text', async () => Buffer.from('this is no picture'), /: it is no picture of a known format$/],
    ['a JPEG without its second half', async () => (await noisy()).subarray(0, 8000), /: it is cut off$/],
    [
      'a PNG without its end',
      async () => (await draw().png().toBuffer()).subarray(0, 120),
      /: it is (cut off|damaged)/,
    ],
    [
      'a PNG with a byte changed',
      async () => {
        const bytes = await draw().png().toBuffer()
        bytes[60]! ^= 0xff
        return bytes
      },
      /: it is damaged/,
    ],
    [
      'a PNG that claims 50,000 x 50,000 pixels',
      async () => {
        const bytes = await draw().png().toBuffer()
        bytes.writeUInt32BE(50_000, 16)
        bytes.writeUInt32BE(50_000, 20)
        return bytes
      },
      /: it has more than 100 million pixels$/,
    ],
    [
      'HEIC of a phone',
      async () => Buffer.concat([Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), Buffer.alloc(200)]),
      /: it is HEIC, which gapcam does not read$/,
    ],
  ])('%s', async (_, make, why) => {
    const error = await decodePicture(await make(), 'yard.jpg').then(
      () => null,
      (fault: unknown) => fault as Error,
    )
    expect(error).toMatchObject({ code: 'PICTURE_INVALID' })
    expect(error!.message).toMatch(/^picture yard\.jpg: ./)
    expect(error!.message).not.toContain('\n')
    expect(error!.message).toMatch(why)
  })

  it('a file that is not there, and a folder', async () => {
    await expect(decodeFile(join(folder, 'none.jpg'))).rejects.toMatchObject({
      code: 'PICTURE_INVALID',
      message: expect.stringMatching(/none\.jpg: it does not exist/),
    })
    await expect(decodeFile(folder)).rejects.toMatchObject({
      code: 'PICTURE_INVALID',
      message: expect.stringMatching(/it is a folder/),
    })
  })
})
