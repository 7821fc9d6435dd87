/** `novelty: true`: the node's own model gets the limits of ordinary pictures once, and again where they changed. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier } from '../../../src/classifier.js'
import { loadConfig } from '../../../src/config/config.js'
import type { Config } from '../../../src/config/schema.js'
import { frameOf } from '../../../src/frame.js'
import { decodeFile } from '../../../src/pixels/decode.js'
import { ownModelOptions } from '../../../src/run/bundles/ordinary-model.js'
import { projectRoot } from '../../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-ordinary-model-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const [usual, empty, few] = ['usual', 'empty', 'few'].map((name) => join(folder, name)) as [string, string, string]

/** Noise about a level; strange: stripes in colours. */
async function picture(file: string, seed: number, isStrange = false): Promise<string> {
  const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) =>
    isStrange ? (((i >> 3) + i) % 3) * 90 : 90 + ((i * (seed + 7)) % 23),
  )
  await sharp(data, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toFile(file)
  return file
}

beforeAll(async () => {
  for (const each of [usual, empty, few]) mkdirSync(each)
  for (let i = 0; i < 11; i++) await picture(join(usual, `${i}.png`), i)
  await picture(join(few, 'one.png'), 1)
})

function configOf(noveltyPictures?: string): Config {
  const { config } = loadConfig({
    environment: {},
    flags: {
      model: join(projectRoot, 'models/convnet-gap.onnx'),
      inputSize: '32',
      stateDir: join(folder, 'state'),
      novelty: true,
      ...(noveltyPictures === undefined ? {} : { noveltyPictures }),
    },
  })
  return config
}

async function opened(config: Config): Promise<{ readonly model: string; readonly said: readonly string[] }> {
  const said: string[] = []
  const note = (sentence: unknown): void => void said.push(String(sentence))
  const { model } = await ownModelOptions(config, { info: note, warn: note })
  return { model, said }
}

it('is made once and kept, and made again where the pictures changed', async () => {
  writeFileSync(join(usual, 'broken.png'), 'no picture')
  const first = await opened(configOf(usual))
  expect(first.said[0]).toContain('looking at 12 ordinary pictures')
  expect(first.said[1]).toContain('broken.png')
  const again = await opened(configOf(usual))
  expect(again).toEqual({ model: first.model, said: [expect.stringContaining('are kept')] })
  rmSync(join(usual, 'broken.png'))
  const changed = await opened(configOf(usual))
  expect(changed.model).not.toBe(first.model)
  expect(readdirSync(join(changed.model, '../..'))).toHaveLength(1)
  const classifier = await openClassifier({ model: changed.model, threads: 1 })
  try {
    const strange = await picture(join(folder, 'strange.png'), 0, true)
    const causes = []
    for (const file of [join(usual, '3.png'), strange]) {
      const outcome = await classifier.classify(frameOf(await decodeFile(file)))
      causes.push(outcome.ok ? outcome.prediction.novelty!.cause : 'no prediction')
    }
    expect(causes[0]).toBeNull()
    expect(causes[1]).not.toBeNull()
  } finally {
    await classifier.close()
  }
})

it.each([
  ['no folder', undefined, 'novelty needs noveltyPictures'],
  ['a folder that is not there', join(folder, 'nowhere'), /noveltyPictures .*nowhere: /],
  ['a folder without pictures', empty, /noveltyPictures .*empty: there are no pictures/],
  ['one picture', few, /noveltyPictures: 1 pictures? do(es)? not tell what is usual/],
])('%s is a fault of the configuration', async (_, pictures, message) => {
  await expect(opened(configOf(pictures))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  })
})
