/** A model that was not taught here, with limits from ordinary pictures: its scores stay, and what is unlike them is unknown. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { withOrdinary } from '../../src/teach/ordinary.js'
import { mostOfState, thinned } from '../../src/teach/record.js'
import { gapcam } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-ordinary-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const model = join(projectRoot, 'models/convnet-gap.onnx')
const engine = { threads: 1, inputSize: { height: 32, width: 32 } }
const random = new Random(5)

/** A light bar on grey, with noise; strange: stripes in colours. */
async function picture(name: string, isStrange = false): Promise<string> {
  const data = new Uint8Array(64 * 64 * 3)
  const shift = Math.floor(random.next() * 6)
  for (let y = 0; y < 64; y++)
    for (let x = 0; x < 64; x++)
      for (let c = 0; c < 3; c++) {
        const level = isStrange ? (((x >> 2) + c) % 3) * 80 : y > 26 + shift && y < 40 + shift ? 190 : 80
        data[(y * 64 + x) * 3 + c] = level + 20 * random.next()
      }
  const file = join(folder, `${name}.png`)
  await sharp(data, { raw: { width: 64, height: 64, channels: 3 } })
    .png()
    .toFile(file)
  return file
}

async function answers(
  file: string,
  pictures: readonly string[],
): Promise<Awaited<ReturnType<Classifier['classify']>>[]> {
  const classifier = await openClassifier({ model: file, ...engine })
  try {
    const all = []
    for (const each of pictures) all.push(await classifier.classify(frameOf(await decodeFile(each))))
    return all
  } finally {
    await classifier.close()
  }
}

it('keeps the scores, and calls only unlike pictures novel', async () => {
  const usual: string[] = []
  for (let i = 0; i < 12; i++) usual.push(await picture(`usual-${i}`))
  const { bytes, pictures } = await withOrdinary({
    model,
    pictures: usual,
    engine,
    onBroken: (error) => {
      throw error
    },
  })
  expect(pictures).toBe(12)
  const output = join(folder, 'with.onnx')
  writeFileSync(output, bytes)
  const tried = [await picture('new'), await picture('strange', true)]
  const [before, after] = [await answers(model, tried), await answers(output, tried)]
  const causes = after.map((outcome, i) => {
    const other = before[i]!
    if (!outcome.ok || !other.ok) throw new Error('no prediction')
    expect(outcome.prediction.top.map(({ label }) => label)).toEqual(other.prediction.top.map(({ label }) => label))
    outcome.prediction.top.forEach(({ score }, k) => expect(score).toBeCloseTo(other.prediction.top[k]!.score, 5))
    return outcome.prediction.novelty!.cause
  })
  expect(causes[0]).toBeNull()
  expect(causes[1]).not.toBeNull()
  const again = withOrdinary({ model: output, pictures: usual, engine, onBroken: () => undefined })
  await expect(again).rejects.toThrow('knows already what is none of its pictures')
})

it('few pictures, an empty folder and a folder that is none are refused in one sentence', async () => {
  const few = [await picture('few-1'), await picture('few-2')]
  await expect(withOrdinary({ model, pictures: few, engine, onBroken: () => undefined })).rejects.toThrow(
    '2 pictures do not tell what is usual',
  )
  const run = gapcam(['teach', 'novelty', join(folder, 'nowhere'), '--model', model, '-o', join(folder, 'x.onnx')])
  expect(await run.ended).toBe(3)
  expect(run.stderr()).toMatch(/nowhere: /)
  const without = gapcam(['teach', 'novelty', folder, '--model', model])
  expect(await without.ended).toBe(2)
  expect(without.stderr()).toContain('give -o FILE.onnx')
})

it('of 5,000 pictures a bounded number is used, evenly spread', () => {
  const files = Array.from({ length: 5000 }, (_, i) => String(i))
  expect(thinned(files, mostOfState(2))).toHaveLength(100)
  expect(thinned(files, mostOfState(50))).toHaveLength(30)
  expect(thinned(files, 100).slice(0, 3)).toEqual(['0', '50', '100'])
})
