/** Text inside JPEG files. */
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { commentOf, withComment } from '../../src/collector/comment.js'

const jpeg = (): Promise<Buffer> =>
  sharp({ create: { width: 8, height: 8, channels: 3, background: '#808080' } })
    .jpeg()
    .toBuffer()

it('comes back, and the picture stays the same', async () => {
  const plain = await jpeg()
  const text = '{"zone":"porch/gate 🚪"}'
  const written = withComment(plain, text)
  expect(commentOf(written)).toBe(text)
  expect(await sharp(written).raw().toBuffer()).toEqual(await sharp(plain).raw().toBuffer())
})

it('is null where there is none, in a file that is cut off, and in what is no JPEG', async () => {
  const plain = await jpeg()
  expect(commentOf(plain)).toBeNull()
  expect(commentOf(withComment(plain, 'x'.repeat(100)).subarray(0, 60))).toBeNull()
  expect(commentOf(Buffer.from('no picture at all'))).toBeNull()
  expect(commentOf(Buffer.alloc(0))).toBeNull()
})

it('of more than a segment takes is refused', async () => {
  const plain = await jpeg()
  expect(() => withComment(plain, 'x'.repeat(65_534))).toThrow(RangeError)
})
