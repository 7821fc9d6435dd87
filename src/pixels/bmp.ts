/**
 * Reads BMP, which sharp does not: uncompressed, with 1, 4 or 8 bits and a palette, or 16, 24 or 32 bits a pixel. Anything
 * else is refused, and so is a file that is shorter than its header says.
 */
import type { RgbImage } from './image.js'

const fileHeader = 14
const [rgb, bitFields, alphaBitFields] = [0, 3, 6]

/** True for bytes that begin as a BMP does. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d && bytes.length >= fileHeader + 12
}

/** Decodes a BMP; rows from the top. Alpha is ignored. Throws an Error that says what is wrong. */
export function decodeBmp(bytes: Uint8Array, maxPixels: number): RgbImage {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = headerOf(file)
  const { width, height, bits, offset } = header
  if (width < 1 || height < 1 || width * height > maxPixels)
    throw new Error(`a BMP of ${width} x ${height} is not read`)
  const stride = Math.ceil((width * bits) / 32) * 4
  if (offset + stride * height > file.length) throw new Error('the BMP ends early')
  const colour = colourReader(file, header)
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const row = offset + (header.isTopDown ? y : height - 1 - y) * stride
    for (let x = 0, at = y * width * 3; x < width; x++, at += 3) {
      const level = colour(row, x)
      data[at] = level >> 16
      data[at + 1] = (level >> 8) & 255
      data[at + 2] = level & 255
    }
  }
  return { data, width, height }
}

interface Header {
  readonly width: number
  readonly height: number
  readonly bits: number
  readonly compression: number
  readonly offset: number
  readonly isTopDown: boolean
  /** Bytes of the second header, behind which masks and palette lie. */
  readonly size: number
  readonly colours: number
}

function headerOf(file: Buffer): Header {
  const [offset, size] = [file.readUInt32LE(10), file.readUInt32LE(14)]
  if (size === 12) {
    const [width, height, bits] = [file.readUInt16LE(18), file.readUInt16LE(20), file.readUInt16LE(24)]
    return { width, height, bits, compression: rgb, offset, isTopDown: false, size, colours: 0 }
  }
  if (size < 40 || file.length < fileHeader + size) throw new Error('its header is not that of a BMP')
  const height = file.readInt32LE(22)
  return {
    width: file.readInt32LE(18),
    height: Math.abs(height),
    bits: file.readUInt16LE(28),
    compression: file.readUInt32LE(30),
    offset,
    isTopDown: height < 0,
    size,
    colours: file.readUInt32LE(46),
  }
}

/** RGB as one number (red highest) of the pixel x in the row that begins at a byte of the file. */
type ColourReader = (row: number, x: number) => number

function colourReader(file: Buffer, header: Header): ColourReader {
  const { bits, compression } = header
  if (compression === rgb && bits === 24) return (row, x) => file.readUIntLE(row + 3 * x, 3)
  if (compression === rgb && bits === 32) return (row, x) => file.readUInt32LE(row + 4 * x) & 0xffffff
  if (compression === rgb && bits === 16) return maskReader(file, 16, [0x7c00, 0x3e0, 0x1f])
  if (compression === rgb && [1, 4, 8].includes(bits)) return paletteReader(file, header)
  if ((compression === bitFields || compression === alphaBitFields) && (bits === 16 || bits === 32)) {
    const masks = [0, 4, 8].map((at) => file.readUInt32LE(fileHeader + 40 + at))
    if (masks.every((mask) => mask !== 0)) return maskReader(file, bits, masks)
  }
  throw new Error(`a BMP with ${bits} bits and compression ${compression} is not read`)
}

function maskReader(file: Buffer, bits: 16 | 32, masks: readonly number[]): ColourReader {
  const levels = masks.map((mask) => {
    const shift = 31 - Math.clz32(mask & -mask)
    const most = mask >>> shift
    return (value: number): number => Math.round((((value & mask) >>> shift) * 255) / most)
  })
  const [red, green, blue] = levels as [(value: number) => number, (value: number) => number, (value: number) => number]
  return (row, x) => {
    const value = bits === 16 ? file.readUInt16LE(row + 2 * x) : file.readUInt32LE(row + 4 * x)
    return (red(value) << 16) | (green(value) << 8) | blue(value)
  }
}

function paletteReader(file: Buffer, { bits, size, colours }: Header): ColourReader {
  const count = Math.min(colours || 1 << bits, 1 << bits)
  const entry = size === 12 ? 3 : 4
  const palette = Array.from({ length: count }, (_, i) => file.readUIntLE(fileHeader + size + entry * i, 3))
  const perByte = 8 / bits
  return (row, x) => {
    const shift = 8 - bits * ((x % perByte) + 1)
    const index = (file[row + Math.floor(x / perByte)]! >> shift) & ((1 << bits) - 1)
    const level = palette[index]
    if (level === undefined) throw new Error('the BMP has a colour that is not in its palette')
    return level
  }
}
