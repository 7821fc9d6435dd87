/** A candidate behind the model that serves, with real networks on real photographs. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leastPictures, objectionTo, type Agreement } from '../../src/bundle/agreement.js'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { openShadow } from '../../src/run/shadow.js'
import { freshFolder } from '../bundle/bundles.js'
import { projectRoot } from '../shared.js'

const models = (name: string): string => join(projectRoot, 'models', name)
let [serving, same, other]: Classifier[] = []
let frames: Awaited<ReturnType<typeof decodeFile>>[]
const log = { warn: () => undefined }

beforeAll(async () => {
  const open = (name: string): Promise<Classifier> => openClassifier({ model: models(name) })
  ;[serving, same, other] = await Promise.all(
    ['convnet-gap.onnx', 'convnet-gap.onnx', 'convnet-flatten.onnx'].map(open),
  )
  frames = await Promise.all(
    ['cat', 'bird', 'parrot', 'sunflower'].map((name) => decodeFile(models(`photos/${name}.jpg`))),
  )
})
afterAll(async () => {
  for (const classifier of [serving, same, other]) await classifier?.close()
})

async function look(classifier: Classifier, rounds: number): Promise<{ labels: string[]; released: number }> {
  const view = classifier.view()
  const labels: string[] = []
  let released = 0
  for (let i = 0; i < rounds; i++)
    for (const image of frames) {
      const outcome = await view.classify(frameOf(image), { onPixelsRead: () => void released++ })
      if (outcome.ok) labels.push(outcome.prediction.top[0]!.label)
    }
  view.close()
  return { labels, released }
}

describe('openShadow', () => {
  it('answers as the serving model does, releases each frame once, and compares one frame of `every`', async () => {
    const plain = await look(serving!, 5)
    const shadow = openShadow(serving!, other!, { every: 4, budget: 1, log })
    const seen = await look(shadow.classifier, 5)
    expect(seen).toEqual({ labels: plain.labels, released: 20 })
    expect(shadow.report()).toMatchObject({ compared: 5, failed: 0 })
  })

  it('the same model agrees on every picture, with no drift', async () => {
    const shadow = openShadow(serving!, same!, { every: 1, budget: 1, log })
    await look(shadow.classifier, 3)
    expect(shadow.report()).toMatchObject({ compared: 12, agreed: 12, drift: 0, changes: [], isGood: false })
  })

  it('another model is reported with its changes of label, and a picture of one is kept', async () => {
    const folder = join(freshFolder(), 'shadow')
    const shadow = openShadow(serving!, other!, { every: 1, budget: 1, folder, log })
    await look(shadow.classifier, 2)
    const { agreed, compared, changes } = shadow.report()
    expect(agreed).toBeLessThan(compared)
    expect(changes.reduce((sum, { count }) => sum + count, 0)).toBe(compared - agreed)
    expect(readdirSync(folder)).toHaveLength(1)
  })

  it('computes no more than its share of the time', async () => {
    const shadow = openShadow(serving!, same!, { every: 1, budget: 0, log })
    await look(shadow.classifier, 3)
    expect(shadow.report().compared).toBeLessThanOrEqual(1)
  })
})

describe('objectionTo', () => {
  const rule = { afterMs: 60_000, agreement: 0.97, noSlower: 1.2 }
  const good: Agreement = {
    compared: 100,
    agreed: 98,
    failed: 0,
    servingMs: 10,
    candidateMs: 11,
    drift: 0,
    changes: [],
  }
  it.each<[string, Partial<Agreement>, number, string | null]>([
    ['nothing, where all holds', {}, 60_000, null],
    ['the time', {}, 59_000, 'for 59 s of 60 s'],
    [
      'too few pictures',
      { compared: leastPictures - 1, agreed: leastPictures - 1 },
      60_000,
      `49 of ${leastPictures} pictures`,
    ],
    ['disagreement', { agreed: 96 }, 60_000, 'agrees on 96.0 %'],
    ['slowness', { candidateMs: 12.1 }, 60_000, '1.21 times as long'],
    ['a failure', { failed: 1 }, 60_000, 'failed on 1 picture'],
  ])('names %s', (_, change, elapsedMs, sentence) => {
    const objection = objectionTo({ ...good, ...change }, rule, elapsedMs)
    if (sentence === null) expect(objection).toBeNull()
    else expect(objection).toContain(sentence)
  })
})
