/** The drawn heat map: its colours, its position under rotation, the darkened rest of the frame, and any label. */
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { viewOf } from '../../src/pixels/geometry.js'
import { classOf } from '../../src/heat/class.js'
import { drawHeat } from '../../src/heat/overlay.js'
import { viridis } from '../../src/heat/viridis.js'
import { rgbLevels, type PreprocessSpec } from '../../src/pixels/spec.js'

const [width, height] = [160, 90]
const spec: PreprocessSpec = { ...rgbLevels(70, 70), resize: 'cover' }
const rgb = new Uint8Array(width * height * 3).fill(120)
/** Hot in the upper left ninth of the network's input. */
const map = { classIndex: 3, width: 3, height: 3, values: Float32Array.from([9, 0, 0, 0, 0, 0, 0, 0, -4]) }

async function drawn(
  label: string,
  format: 'png' | 'jpeg' = 'png',
  view = spec,
): Promise<{ data: Buffer; info: { width: number; height: number } }> {
  const bytes = await drawHeat(
    { rgb, width, height },
    { map, view: viewOf(view, width, height) },
    { label, score: 0.9731 },
    format,
  )
  return sharp(bytes).raw().toBuffer({ resolveWithObject: true })
}

const at = (data: Buffer, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
]

it('hot places are yellow, cold ones blue, and the part that the network did not see is dark', async () => {
  const { data, info } = await drawn('macaw')
  expect([info.width, info.height > height]).toEqual([width, true])
  const [hot, cold, unseen] = [at(data, 48, 14), at(data, 110, 60), at(data, 10, 45)]
  expect(hot[0]! - hot[2]!, `${hot}`).toBeGreaterThan(80)
  expect(cold[2]! - cold[1]!, `${cold}`).toBeGreaterThan(15)
  expect(unseen).toEqual([42, 42, 42])
})

it('the colours follow a frame that is rotated and flipped', async () => {
  const { data } = await drawn('macaw', 'png', { ...spec, rotate: 180, flipX: true }) // together they mirror top and bottom
  expect(at(data, 48, 76)[0]! - at(data, 48, 76)[2]!).toBeGreaterThan(80)
  expect(at(data, 48, 14)[0]! - at(data, 48, 14)[2]!).toBeLessThan(0)
})

it('any label is drawn, in PNG and JPEG', async () => {
  for (const label of ['<b>&"\'</b>', '\u0000\u001b[2J\ud800', 'x'.repeat(4000), '猫', '']) {
    const { data, info } = await drawn(label)
    if (label.trim() !== '' && !label.startsWith('\u0000'))
      expect(
        Math.max(...data.subarray(height * width * 3, height * width * 3 + (info.height - height) * width * 3)),
        label,
      ).toBeGreaterThan(150)
  }
  expect((await drawn('cat', 'jpeg')).info.width).toBe(width)
})

it('the lightness of viridis grows with the share', () => {
  const lightness = Array.from({ length: 101 }, (_, i) => viridis(i / 100)).map(
    ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b,
  )
  lightness.slice(1).forEach((value, i) => expect(value).toBeGreaterThan(lightness[i]!))
  expect([viridis(-1), viridis(2)]).toEqual([
    [68, 1, 84],
    [253, 231, 36],
  ])
})

describe('the name of a class', () => {
  const labels = ['tabby, tabby cat', 'Egyptian cat', 'crane', 'crane', '7']
  it.each([
    ['Egyptian cat', 1],
    ['tabby cat', 0],
    ['TABBY', 0],
    ['2', 2],
    ['7', 4],
    ['tabby, tabby cat', 0],
  ])('%s is found', (asked, index) => expect(classOf(labels, asked)).toBe(index))
  it.each([
    ['5', /^there is no class 5: the model has 5 classes$/],
    ['dog', /^"dog" is not a label of the model$/],
    ['Crane', /^"Crane" names several classes: 2, 3$/],
    ['-1', /is not a label/],
  ])('%s is refused', (asked, sentence) => {
    expect(() => classOf(labels, asked)).toThrow(sentence)
  })
})
