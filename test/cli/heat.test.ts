/** `gapcam classify --heat`: draws the heat map, prints the box, and refuses wrong arguments in one sentence. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-heat-'))
const photos = join(projectRoot, 'models/photos')
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Classified {
  readonly file: string
  readonly heat?: string
  readonly focus?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

async function classify(...args: string[]): Promise<{ results: Classified[]; status: unknown; stderr: string }> {
  const run = gapcam(['classify', '--json', ...args])
  const status = await run.ended
  return { results: jsonLines<Classified>(run.stdout()), status, stderr: run.stderr() }
}

it.each(['native', 'onnxruntime'])(
  '%s draws the heat map of one picture to one file, and boxes the cat',
  async (engine) => {
    const out = join(folder, `${engine}.png`)
    const {
      results: [result],
      status,
    } = await classify('--engine', engine, '--heat', out, join(photos, 'cat-720p.jpg'))
    expect(status).toBe(0)
    expect(result!.heat).toBe(out)
    expect(await sharp(out).metadata()).toMatchObject({ format: 'png', width: 1280 })
    // The position of the cat's face in the picture of 1280 x 720.
    const { x, y, w, h } = result!.focus!
    expect([x + w / 2 > 0.4, x + w / 2 < 0.65, y + h / 2 > 0.25, y + h / 2 < 0.7]).toEqual([true, true, true, true])
  },
)

it.each(['out', 'new/'])('the heat maps of one class for a folder of pictures go to the folder %s', async (name) => {
  const out = join(folder, name)
  if (!name.endsWith('/')) mkdirSync(out)
  const { results, status } = await classify('--heat', out, '--heat-class', 'tabby', '--input-size', '128', photos)
  expect(status).toBe(0)
  expect(readdirSync(out).sort()).toEqual(
    readdirSync(photos)
      .filter((name) => name.endsWith('.jpg'))
      .map((name) => name.replace('.jpg', '.heat.png'))
      .sort(),
  )
  expect(results.every(({ focus }) => focus !== undefined)).toBe(true)
})

describe('one sentence with the right status says that', () => {
  const bird = join(photos, 'bird.jpg')
  const cases: [string, string[], number, RegExp][] = [
    [
      'the model has no GAP head',
      ['--model', join(projectRoot, 'models/convnet-flatten.onnx'), '--heat', join(folder, 'a.png'), bird],
      4,
      /has no heat map: its head flattens a feature map/,
    ],
    [
      'the feature map has one place',
      ['--input-size', '32', '--heat', join(folder, 'a.png'), bird],
      4,
      /its feature map is 1 by 1 at this input size/,
    ],
    [
      'the class does not exist',
      ['--heat', join(folder, 'a.png'), '--heat-class', '1000', bird],
      2,
      /there is no class 1000: the model has 1000 classes/,
    ],
    ['--heat-class needs a file', ['--heat-class', 'tabby', bird], 2, /--heat-class needs --heat/],
    [
      'the kind of the file is unknown',
      ['--heat', join(folder, 'a.gif'), bird],
      2,
      /neither an existing folder nor named \.png or \.jpg/,
    ],
    [
      'several pictures need a folder',
      ['--heat', join(folder, 'a.png'), photos],
      2,
      /8 pictures need a folder, but .*a\.png is one file/,
    ],
    [
      'the file cannot be written',
      ['--heat', join(folder, 'none/a.png'), bird],
      2,
      /a\.png cannot be written: its folder does not exist/,
    ],
  ]
  it.each(cases)('%s', async (_, args, expected, sentence) => {
    const { status, stderr } = await classify(...args)
    expect(status, stderr).toBe(expected)
    expect(stderr).toMatch(sentence)
  })
})

it('a model without a heat map still classifies, without a box', async () => {
  const {
    results: [result],
    status,
  } = await classify('--model', join(projectRoot, 'models/convnet-flatten.onnx'), join(photos, 'bird.jpg'))
  expect(status).toBe(0)
  expect(result).not.toHaveProperty('focus')
})
