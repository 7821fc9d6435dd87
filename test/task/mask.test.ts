/** The labels of a segmenter's places: read from each form of output, and drawn where they lie in the frame. */
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { frameOf } from '../../src/frame.js'
import { viewOf } from '../../src/pixels/geometry.js'
import { labelColour } from '../../src/pixels/label-colours.js'
import { encodeMask } from '../../src/pixels/mask.js'
import { rgbLevels } from '../../src/pixels/spec.js'
import { pictureMessage } from '../../src/server/pictures.js'
import type { Picture } from '../../src/zone/picture.js'
import { openDetector, type GivenDetector } from './fixture.js'

const [width, height] = [16, 12]
const places = width * height
/** The left third is road, the rest of the upper half snow, the rest sky. */
const classAt = (place: number): number => (place % width < width / 3 ? 0 : place < places / 2 ? 1 : 2)
const wanted = Array.from({ length: places }, (_, i) => classAt(i))
const scoreOf = (label: number, place: number): number => (classAt(place) === label ? 2 : -1)
const planes = [0, 1, 2].flatMap((label) => wanted.map((_, i) => scoreOf(label, i)))
const pixels = wanted.flatMap((_, i) => [0, 1, 2].map((label) => scoreOf(label, i)))
const segment = 'labels: [road, snow, sky]\nresize: stretch\nsegment: { output: out, classCount: 3, format: '

const forms: Readonly<Record<string, GivenDetector>> = {
  nchw: { outputs: { out: { shape: [1, 3, height, width], values: planes } }, manifest: `${segment}nchw }\n` },
  nhwc: { outputs: { out: { shape: [1, height, width, 3], values: pixels } }, manifest: `${segment}nhwc }\n` },
  numbers: {
    outputs: { out: { shape: [1, height, width], values: wanted, isInteger: true } },
    manifest: `${segment}numbers }\n`,
  },
}

it.each(Object.keys(forms))('are read from %s', async (form) => {
  const classifier = await openDetector(forms[form]!)
  await classifier.classify(frameOf({ data: new Uint8Array(32 * 32 * 3), width: 32, height: 32 }))
  const mask = classifier.mask!()
  expect({ width: mask.width, height: mask.height, nothing: mask.nothing }).toEqual({ width, height, nothing: null })
  expect([...mask.labels]).toEqual(wanted)
})

it('are there for no other task', async () => {
  const outputs = { boxes: { shape: [1, 2, 6], values: [0, 0, 9, 9, 0.5, 0, 0, 0, 0, 0, 0, 0] } }
  expect((await openDetector({ outputs, manifest: 'labels: [cat]\n' })).mask).toBeNull()
})

it('are drawn in their colours, and nothing and what was not seen are transparent', async () => {
  const mask = { width, height, labels: Uint16Array.from(wanted), nothing: 2 }
  // The right half of a frame of 64 × 48.
  const view = viewOf({ ...rgbLevels(32, 32), resize: 'stretch', roi: { x: 0.5, y: 0, width: 0.5, height: 1 } }, 64, 48)
  const png = await encodeMask({ mask, view }, { width: 64, height: 48 })
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true })
  expect({ ...info, format: (await sharp(png).metadata()).format }).toMatchObject({
    format: 'png',
    width: 64,
    height: 48,
    channels: 4,
  })
  const at = (x: number, y: number): number[] => [...data.subarray((y * 64 + x) * 4, (y * 64 + x) * 4 + 4)]
  expect(at(34, 5)).toEqual([...labelColour(0), 255])
  expect(at(60, 5)).toEqual([...labelColour(1), 255])
  expect(at(60, 40)[3]).toBe(0)
  expect(at(10, 5)[3]).toBe(0)
})

it('labels beside each other in the list have clearly different colours', () => {
  const far = (a: number, b: number): number =>
    Math.hypot(...labelColour(a).map((value, i) => value - labelColour(b)[i]!))
  for (let i = 0; i < 150; i++) {
    expect(Math.min(far(i, i + 1), far(i, i + 2))).toBeGreaterThan(60)
    for (const level of labelColour(i)) expect(level === Math.round(level) && level >= 0 && level <= 255).toBe(true)
  }
})

it('lie in the message for the page, thinned out where they are many', () => {
  const side = 512
  const labels = Uint16Array.from({ length: side * side }, (_, i) => (i % side < side / 2 ? 1 : 4))
  const picture = {
    ...{ rgb: new Uint8Array(3), width: 1, height: 1, seq: 1, wallTime: 0 },
    shown: { x: 0, y: 0, width: 1, height: 1 },
    prediction: { top: [] },
    decision: { label: 'x', score: 1 },
    mask: {
      mask: { width: side, height: side, labels, nothing: 1 },
      view: viewOf({ ...rgbLevels(32, 32), resize: 'stretch' }, 64, 48),
    },
  } as unknown as Picture
  const message = pictureMessage('cam0', picture, Buffer.alloc(0))
  const { mask } = JSON.parse(message.subarray(4).toString()) as { mask: Record<string, unknown> & { values: string } }
  expect(mask).toMatchObject({ width: 128, height: 128, inside: { x: 0, y: 0, width: 1, height: 1 } })
  const bytes = Buffer.from(mask.values, 'base64')
  expect(bytes).toHaveLength(128 * 128)
  expect([bytes[0], bytes[63], bytes[64], bytes[127]]).toEqual([255, 255, 4, 4])
})
