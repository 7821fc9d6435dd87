import { expect, it } from 'vitest'
import { digestOf } from '../../src/recording/digest.js'
import { Random } from '../random.js'

it('one changed bit changes the digest; the alignment of the bytes does not', () => {
  const random = new Random(3)
  for (let i = 0; i < 200; i++) {
    const bytes = Uint8Array.from({ length: random.between(1, 200) }, () => random.between(0, 255))
    const digest = digestOf(bytes)
    const shifted = new Uint8Array(bytes.length + 3)
    shifted.set(bytes, random.between(0, 3))
    const at = shifted.indexOf(bytes[0]!)
    if (shifted.subarray(at, at + bytes.length).every((v, j) => v === bytes[j]))
      expect(digestOf(shifted.subarray(at, at + bytes.length))).toBe(digest)
    bytes[random.between(0, bytes.length - 1)]! ^= 1 << random.between(0, 7)
    expect(digestOf(bytes)).not.toBe(digest)
  }
})
