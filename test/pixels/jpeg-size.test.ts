/** The size of a JPEG, from its header. */
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { jpegSize } from '../../src/pixels/jpeg-size.js'

const picture = sharp({ create: { width: 37, height: 21, channels: 3, background: '#456' } })

it('is read of baseline and progressive files', async () => {
  expect(jpegSize(await picture.clone().jpeg().toBuffer())).toEqual({ width: 37, height: 21 })
  expect(jpegSize(await picture.clone().jpeg({ progressive: true }).toBuffer())).toEqual({ width: 37, height: 21 })
})

it('is unknown where EXIF may turn the picture, of other formats and of damaged files', async () => {
  expect(jpegSize(await picture.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer())).toBeNull()
  expect(jpegSize(await picture.clone().png().toBuffer())).toBeNull()
  const jpeg = await picture.clone().jpeg().toBuffer()
  for (let length = 0; length < 40; length++) expect(jpegSize(jpeg.subarray(0, length))).toBeNull()
  expect(jpegSize(Uint8Array.of(0xff, 0xd8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))).toBeNull()
})
