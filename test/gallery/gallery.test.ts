/** Galleries: names told by their nearest pictures, and gone when they are forgotten. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import { Gallery } from '../../src/gallery/gallery.js'
import { galleryFault, personFault } from '../../src/gallery/record.js'
import { galleryModel } from '../../src/gallery/store.js'
import { decodePicture } from '../../src/pixels/decode.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-gallery-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const model = join(projectRoot, 'models/convnet-gap.onnx')
const engine = { threads: 1, inputSize: { height: 32, width: 32 } } as const
const random = new Random(5)

/** A flag of stripes, with noise: its colour and number of stripes are its own. */
function flag(kind: number): Promise<Buffer> {
  const data = new Uint8Array(48 * 48 * 3)
  const light = 0.85 + 0.3 * random.next()
  for (let y = 0; y < 48; y++)
    for (let x = 0; x < 48; x++)
      for (let c = 0; c < 3; c++) {
        const isStripe = Math.floor(((kind % 2 ? x : y) * (kind + 2)) / 48) % 2 === 0
        data[(y * 48 + x) * 3 + c] = Math.min(
          255,
          light * (isStripe ? (c === kind % 3 ? 220 : 40) : 110) + 12 * random.next(),
        )
      }
  return sharp(data, { raw: { width: 48, height: 48, channels: 3 } })
    .png()
    .toBuffer()
}
const flags = (kind: number, count: number): Promise<Buffer[]> =>
  Promise.all(Array.from({ length: count }, () => flag(kind)))

const open = (name: string): Gallery => new Gallery(root, name, { model, engine })

/** What a classifier of the gallery's model says. */
async function said(name: string, pictures: readonly Buffer[], choice: 'native' | 'onnxruntime' = 'native') {
  const classifier = await openClassifier({ model: (await galleryModel(root, name))!, engine: choice, threads: 1 })
  try {
    const all: { label: string; score: number; isNovel: boolean; distance: number }[] = []
    for (const bytes of pictures) {
      const outcome = await classifier.classify(frameOf(await decodePicture(bytes, 'flag')))
      if (!outcome.ok) throw new Error(outcome.reason)
      const { top, novelty } = outcome.prediction
      all.push({ ...top[0]!, isNovel: novelty!.cause !== null, distance: novelty!.distance })
    }
    return all
  } finally {
    await classifier.close()
  }
}

describe('a gallery', () => {
  let gallery: Gallery
  let anna: Buffer[]
  beforeAll(async () => {
    gallery = open('family')
    anna = await flags(0, 4)
    await gallery.enrol('Anna', anna)
    await gallery.enrol('Бо 🐈', await flags(1, 4))
    await gallery.enrol('Cleo', await flags(2, 3))
  })
  afterAll(() => gallery.close())

  it('tells its names, and calls a stranger none of them, equally in memory and as the model of a zone', async () => {
    const seen = [
      await flag(0),
      await flag(1),
      await flag(2),
      await sharp(await flag(7))
        .negate()
        .toBuffer(),
    ]
    const matched = await Promise.all(seen.map((bytes) => gallery.match(bytes, 'seen')))
    expect(matched.map(({ is }) => is)).toEqual(['Anna', 'Бо 🐈', 'Cleo', null])
    for (const choice of ['native', 'onnxruntime'] as const) {
      const answers = await said('family', seen, choice)
      expect(answers.map(({ label, isNovel }) => (isNovel ? null : label))).toEqual(matched.map(({ is }) => is))
      answers.forEach(({ distance, score, isNovel }, i) => {
        expect(1 - distance).toBeCloseTo(matched[i]!.nearest[0]!.cosine, 3)
        expect(score >= 0.5).toBe(!isNovel)
      })
    }
  })

  it('joins and renames, and refuses what is missing or taken', async () => {
    expect((await gallery.rename('Cleo', 'Clio')).names.map(({ name }) => name)).toEqual(['Anna', 'Clio', 'Бо 🐈'])
    await expect(gallery.rename('Clio', 'Anna')).rejects.toThrow(/taken/)
    await expect(gallery.merge('nobody', 'Anna')).rejects.toMatchObject({ code: 'USAGE' })
    await expect(gallery.enrol('Other', [anna[0]!])).rejects.toThrow(/enrolled as Anna/)
    await expect(gallery.enrol('unknown', anna)).rejects.toMatchObject({ code: 'USAGE' })
    await expect(gallery.enrol('Anna', [Buffer.from('no picture')])).rejects.toMatchObject({ code: 'PICTURE_INVALID' })
    const { names } = await gallery.merge('Clio', 'Anna')
    expect(names.map(({ name, pictures }) => [name, pictures.length])).toEqual([
      ['Anna', 7],
      ['Бо 🐈', 4],
    ])
  })

  it('lets as many strangers pass as asked, and remembers them', async () => {
    const { calibration } = await gallery.calibrate(await flags(5, 20), 0.05)
    expect(calibration!.rate).toBe(0.05)
    expect(calibration!.impostors).toBeGreaterThanOrEqual(31)
    expect(calibration!.accepted / calibration!.impostors).toBeLessThanOrEqual(0.05)
    expect((await gallery.calibrate(null)).calibration).toEqual(calibration)
  })

  it('lists what has left the device, and leaves nothing of a name that is forgotten', async () => {
    await gallery.export(join(root, 'family.onnx'))
    const { names } = await gallery.record()
    const ids = names.find(({ name }) => name === 'Anna')!.pictures
    const before = await galleryModel(root, 'family')
    const left = await gallery.forget('Anna')
    expect(left).toMatchObject([{ what: `a model with vectors: ${join(root, 'family.onnx')}` }])
    const files = readdirSync(gallery.store.folder, { recursive: true }).map(String)
    for (const id of ids) expect(files.filter((file) => file.includes(id))).toEqual([])
    expect(files.map((file) => join(gallery.store.folder, file))).not.toContain(before)
    const text = files
      .filter((file) => /json|onnx/.test(file))
      .map((file) => readFileSync(join(gallery.store.folder, file), 'latin1'))
    expect(text.join('')).not.toContain('"labels":["Anna')
    expect((await said('family', [await flag(1)]))[0]).toMatchObject({ label: 'Бо 🐈' })
    await gallery.forget('Бо 🐈')
    await expect(galleryModel(root, 'family')).rejects.toThrow(/has no names/)
    await gallery.remove()
    expect(readdirSync(root).concat(readdirSync(join(root, 'galleries')))).not.toContain('family')
    expect(await galleryModel(root, 'family')).toBeNull()
  })
})

it('a network over clips is refused with the reason', async () => {
  const gallery = new Gallery(root, 'clips', { model: join(projectRoot, 'models/clips.onnx'), engine: { threads: 1 } })
  await expect(gallery.enrol('one', await flags(0, 1))).rejects.toMatchObject({
    code: 'MODEL_UNSUPPORTED',
    message: expect.stringContaining('looks at clips, and a gallery knows its names by single pictures'),
  })
  await gallery.close()
})

it('a damaged record is refused in one sentence, and nothing is overwritten', async () => {
  const gallery = open('damaged')
  await gallery.enrol('one', await flags(0, 1))
  expect((await said('damaged', [await flag(0)]))[0]!.label).toBe('one')
  const file = join(gallery.store.folder, 'record.json')
  writeFileSync(file, '{"version":1')
  await expect(gallery.enrol('two', await flags(1, 1))).rejects.toMatchObject({ code: 'GALLERY_INVALID' })
  expect(readFileSync(file, 'utf8')).toBe('{"version":1')
  await gallery.close()
})

it.each(['', '..', 'a/b', 'enrol', 'unknown', 'x'.repeat(65)])('%j is no name of a gallery', (name) => {
  expect(galleryFault(name)).not.toBeNull()
})

it.each(['', ' a', 'unknown', 'a\nb', 'x'.repeat(65)])('%j is no name in a gallery', (name) => {
  expect(personFault(name)).not.toBeNull()
})
