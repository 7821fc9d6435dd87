/** Numbers of 16 bits: IEEE 754 binary16. */

/** The number that the bits of a half (IEEE 754 binary16) stand for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const single = new Float32Array(1)
const word = new Uint32Array(single.buffer)
/** The greatest finite number. */
const greatest = 65_504

/** The nearest halves, of two that are as near the even one. What is too large becomes the greatest number. */
export function halvesOf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) halves[i] = halfOf(Math.min(greatest, Math.max(-greatest, values[i]!)))
  return halves
}

/** Of a number that is not above 65,504, or NaN. */
function halfOf(value: number): number {
  single[0] = value
  const sign = (word[0]! >>> 16) & 0x8000
  const magnitude = word[0]! & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return sign | 0x7e00
  // Below 2⁻¹⁴ a half counts in steps of 2⁻²⁴; adding 0.5 leaves these steps in a float's last bits, rounded.
  if (magnitude < 0x3880_0000) {
    single[0] = Math.abs(value) + 0.5
    return sign | (word[0]! - 0x3f00_0000)
  }
  const isOdd = (magnitude >>> 13) & 1
  return sign | ((magnitude - 0x3800_0000 + 0xfff + isOdd) >>> 13)
}
