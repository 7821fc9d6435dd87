/** Half precision (IEEE 754 binary16), which JavaScript has no arrays for: from numbers to bits. */

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The bits of the half nearest to a number; ties go to the even one. */
export function halfOf(value: number): number {
  float[0] = value
  const all = bits[0]!
  const sign = (all >>> 16) & 0x8000
  const magnitude = all & 0x7fffffff
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00)
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal: a whole number of 2^-24.
    const steps = Math.abs(float[0]!) * 2 ** 24
    const down = Math.floor(steps)
    const rest = steps - down
    return sign | (rest > 0.5 || (rest === 0.5 && (down & 1) === 1) ? down + 1 : down)
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}
