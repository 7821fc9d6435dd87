/**
 * A fingerprint of bytes that costs less than copying them: four lanes of 32 bits, each mixed with every fourth word. It
 * shows whether two computations gave the same bits. It is not a cryptographic digest.
 */

const [multiply, add, last] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d]

/** Eight hexadecimal digits for each lane. Reads the bytes in place. */
export function digestOf(data: ArrayBufferView): string {
  return Array.from(lanesOf(data), (lane) => lane.toString(16).padStart(8, '0')).join('')
}

/** The lanes folded into one number of 32 bits. */
export function checksumOf(data: ArrayBufferView): number {
  const [a, b, c, d] = lanesOf(data) as unknown as readonly [number, number, number, number]
  return mixed(a ^ rotated(b, 7) ^ rotated(c, 12) ^ rotated(d, 18))
}

function lanesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint32Array {
  let [a, b, c, d] = [1, 2, 3, byteLength | 0]
  const isAligned = byteOffset % 4 === 0
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  // An unaligned view is copied: a typed array of words must be aligned.
  const words = isAligned
    ? new Int32Array(buffer, byteOffset, byteLength >> 2)
    : new Int32Array(bytes.slice(0, byteLength & ~3).buffer)
  const whole = words.length & ~3
  for (let i = 0; i < whole; i += 4) {
    a = Math.imul(rotated(a + Math.imul(words[i]!, add), 13), multiply)
    b = Math.imul(rotated(b + Math.imul(words[i + 1]!, add), 13), multiply)
    c = Math.imul(rotated(c + Math.imul(words[i + 2]!, add), 13), multiply)
    d = Math.imul(rotated(d + Math.imul(words[i + 3]!, add), 13), multiply)
  }
  for (let i = whole * 4; i < byteLength; i++) a = Math.imul(rotated(a + Math.imul(bytes[i]! + 1, last), 11), multiply)
  return Uint32Array.of(mixed(a), mixed(b ^ a), mixed(c ^ b), mixed(d ^ c))
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function mixed(value: number): number {
  let word = Math.imul(value ^ (value >>> 15), add)
  word = Math.imul(word ^ (word >>> 13), last)
  return (word ^ (word >>> 16)) >>> 0
}
