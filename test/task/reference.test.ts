/** Detectors find the same boxes as their own implementations, in the same order; see scripts/networks/detectors.mjs. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { boxesOf } from '../../src/decision/task.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { anchorsOf } from '../../src/task/detect/anchors.js'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'
// @ts-expect-error a script without types
import { compareBoxes } from '../../scripts/networks/boxes.mjs'

const folder = join(projectRoot, 'test/fixtures/detectors')
const more = process.env['GAPCAM_DETECTORS']

it('the face detector of MediaPipe finds what LiteRT and a plain decoder find', async () => {
  const classifier = await openClassifier({ model: join(folder, 'face.tflite'), threads: 1 })
  let count = 0
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const reference = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { boxes: unknown[] }
    const outcome = await classifier.classify(frameOf(await decodeFile(join(folder, file.replace('json', 'png')))))
    if (!outcome.ok) throw new Error(outcome.reason)
    const found = compareBoxes(boxesOf(outcome.prediction.found), reference) as Record<string, number>
    expect(found, file).toMatchObject({ boxes: reference.boxes.length, same: reference.boxes.length })
    expect(found['pixels'], file).toBeLessThan(1e-3)
    expect(found['score'], file).toBeLessThan(1e-4)
    count += reference.boxes.length
  }
  expect(count).toBeGreaterThan(15)
  await classifier.close()
})

it('anchors of equal strides in a row share a grid', () => {
  const anchors = anchorsOf({ strides: [8, 16, 16], perPlace: 2 }, { width: 16, height: 16 })
  const centres = Array.from({ length: anchors.length / 4 }, (_, i) => [...anchors.slice(4 * i, 4 * i + 2)])
  const four = [0.25, 0.75].flatMap((y) =>
    [0.25, 0.75].flatMap((x) => [
      [x, y],
      [x, y],
    ]),
  )
  expect(centres).toEqual([...four, ...Array.from({ length: 4 }, () => [0.5, 0.5])])
  const apart = anchorsOf({ strides: [8, 8], perPlace: 1 }, { width: 16, height: 8 })
  expect([...apart].filter((_, i) => i % 4 === 0)).toEqual([0.25, 0.25, 0.75, 0.75])
})

it.skipIf(more === undefined)(
  'every network of a folder finds what its own implementation finds (needs GAPCAM_DETECTORS, a folder that the scripts wrote)',
  async () => {
    const run = launch(process.execPath, [join(projectRoot, 'scripts/networks/detectors.mjs'), more!])
    expect(await run.ended, run.stdout() + run.stderr()).toBe(0)
  },
  120_000,
)
