/** BMP in every form that is read, drawn by hand; and what is refused. */
import { describe, expect, it } from 'vitest'
import { decodePicture } from '../../src/pixels/decode.js'

/** 3 x 2: red green blue above white black grey. */
const colours = [0xff0000, 0x00ff00, 0x0000ff, 0xffffff, 0x000000, 0x808080]
const rgb = Uint8Array.from(colours.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))

interface Form {
  readonly bits: number
  readonly compression?: number
  readonly isTopDown?: boolean
  readonly masks?: readonly number[]
}

function bmpOf({ bits, compression = 0, isTopDown = false, masks = [] }: Form): Buffer {
  const isIndexed = bits <= 8
  const palette = isIndexed ? colours.flatMap((colour) => [colour & 255, (colour >> 8) & 255, colour >> 16, 0]) : []
  const stride = Math.ceil((3 * bits) / 32) * 4
  const offset = 54 + masks.length * 4 + palette.length
  const file = Buffer.alloc(offset + 2 * stride)
  file.write('BM')
  file.writeUInt32LE(file.length, 2)
  file.writeUInt32LE(offset, 10)
  file.writeUInt32LE(40, 14)
  file.writeInt32LE(3, 18)
  file.writeInt32LE(isTopDown ? -2 : 2, 22)
  file.writeUInt16LE(1, 26)
  file.writeUInt16LE(bits, 28)
  file.writeUInt32LE(compression, 30)
  file.writeUInt32LE(isIndexed ? colours.length : 0, 46)
  for (const [i, mask] of masks.entries()) file.writeUInt32LE(mask, 54 + 4 * i)
  Buffer.from(palette).copy(file, 54 + masks.length * 4)
  for (let i = 0; i < 6; i++) {
    const row = offset + (isTopDown === i < 3 ? 0 : 1) * stride
    put(file, row, i % 3, bits, colours[i]!, i)
  }
  return file
}

function put(file: Buffer, row: number, x: number, bits: number, colour: number, index: number): void {
  if (bits === 32) file.writeUInt32LE(0xab * 2 ** 24 + colour, row + 4 * x)
  else if (bits === 24) file.writeUIntLE(colour, row + 3 * x, 3)
  else if (bits === 16)
    file.writeUInt16LE(((colour >> 19) << 10) | (((colour >> 11) & 31) << 5) | ((colour >> 3) & 31), row + 2 * x)
  else {
    const at = row + Math.floor((x * bits) / 8)
    file[at]! |= index << (8 - bits - ((x * bits) % 8))
  }
}

describe('BMP', () => {
  it.each<[string, Form]>([
    ['24 bits', { bits: 24 }],
    ['24 bits from the top', { bits: 24, isTopDown: true }],
    ['32 bits', { bits: 32 }],
    ['32 bits with masks', { bits: 32, compression: 3, masks: [0xff0000, 0xff00, 0xff] }],
    ['8 bits with a palette', { bits: 8 }],
    ['4 bits with a palette', { bits: 4 }],
  ])('of %s is decoded', async (_, form) => {
    const { data, width, height } = await decodePicture(bmpOf(form), 'drawn.bmp')
    expect([width, height]).toEqual([3, 2])
    expect([...data]).toEqual([...rgb])
  })

  it('of 16 bits is decoded to the nearest of 32 levels', async () => {
    const { data } = await decodePicture(bmpOf({ bits: 16 }), 'drawn.bmp')
    expect(Math.max(...data.map((level, i) => Math.abs(level - rgb[i]!)))).toBeLessThanOrEqual(4)
  })

  it.each<[string, Buffer, RegExp]>([
    ['that is cut', bmpOf({ bits: 24 }).subarray(0, 70), /ends early/],
    ['that is compressed', bmpOf({ bits: 8, compression: 1 }), /8 bits and compression 1 is not read/],
    ['with an unknown header', Buffer.concat([bmpOf({ bits: 24 }).subarray(0, 14), Buffer.alloc(40, 1)]), /header/],
    ['of no width', Buffer.concat([bmpOf({ bits: 24 }).subarray(0, 18), Buffer.alloc(60)]), /0 x 0 is not read/],
  ])('%s is refused with its reason', async (_, bytes, why) => {
    await expect(decodePicture(bytes, 'drawn.bmp')).rejects.toMatchObject({
      code: 'PICTURE_INVALID',
      message: expect.stringMatching(why),
    })
  })
})
