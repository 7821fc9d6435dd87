/** A candidate behind the model that serves, with real networks on real photographs. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leastPictures, objectionTo, type Agreement } from '../../../src/bundle/agreement.js'
import { openClassifier, type Classifier } from '../../../src/classifier.js'
import { frameOf } from '../../../src/frame.js'
import { decodeFile } from '../../../src/pixels/decode.js'
import { openShadow } from '../../../src/run/bundles/shadow.js'
import { freshFolder } from '../../bundle/bundles.js'
import { projectRoot } from '../../shared.js'

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
    const shadow = await openShadow(serving!, other!, { every: 4, budget: 1, log })
    const seen = await look(shadow.classifier, 5)
    expect(seen).toEqual({ labels: plain.labels, released: 20 })
    expect(shadow.report()).toMatchObject({ compared: 5, failed: 0 })
  })

  it('the same model agrees on every picture, with no drift', async () => {
    const shadow = await openShadow(serving!, same!, { every: 1, budget: 1, log })
    await look(shadow.classifier, 3)
    expect(shadow.report()).toMatchObject({ compared: 12, agreed: 12, drift: 0, changes: [], isGood: false })
  })

  it('another model is reported with its changes of label, and a picture of one is kept', async () => {
    const folder = join(freshFolder(), 'shadow')
    const shadow = await openShadow(serving!, other!, { every: 1, budget: 1, folder, log })
    await look(shadow.classifier, 2)
    const { agreed, compared, changes } = shadow.report()
    expect(agreed).toBeLessThan(compared)
    expect(changes.reduce((sum, { count }) => sum + count, 0)).toBe(compared - agreed)
    expect(readdirSync(folder)).toHaveLength(1)
  })

  it('computes no more than its share of the time', async () => {
    const shadow = await openShadow(serving!, same!, { every: 1, budget: 0, log })
    await look(shadow.classifier, 3)
    expect(shadow.report().compared).toBeLessThanOrEqual(1)
  })
})

describe('a candidate for clips', () => {
  /** Answers in so many frames, one every 100 ms. */
  async function watch(classifier: Classifier, count: number): Promise<number> {
    const view = classifier.view()
    let answers = 0
    for (let i = 0; i < count; i++) {
      const frame = frameOf(frames[i % 4]!, { capturedNs: BigInt(i) * 100_000_000n })
      if (view.isDue?.(frame) !== false && (await view.classify(frame)).ok) answers++
    }
    view.close()
    return answers
  }

  it.each([
    ['of a network over pictures', { model: models('convnet-gap.onnx'), task: 'video', clip: { frames: 4 } }, 4],
    ['of a network over clips', { model: models('clips.onnx') }, 16],
  ] as const)('%s sees whole clips, of which the last answers are compared', async (_, options, length) => {
    const [one, two] = await Promise.all([openClassifier(options), openClassifier(options)])
    const shadow = await openShadow(one, two, { every: 2, budget: 1, log })
    // A clip of the candidate begins with the first frame; then as many frames rest as a clip has.
    expect(await watch(shadow.classifier, 4 * length)).toBe(3 * length + 1)
    expect(shadow.report()).toMatchObject({ compared: 2, agreed: 2, failed: 0, objection: null })
    await shadow.close()
    await one.close()
  })

  it('is compared too where a zone looks at clips with the model of the node, and the node at pictures', async () => {
    const clip = { task: 'video', clip: { frames: 4 } } as const
    const open = (wish: object): Promise<Classifier> => openClassifier({ model: models('convnet-gap.onnx'), ...wish })
    const shadow = await openShadow(serving!, await open({}), { every: 1, budget: 1, open, log })
    const zones = await shadow.behind(await open(clip), clip)
    await watch(zones, 8)
    expect(shadow.report()).toMatchObject({ compared: 5, agreed: 5 })
    await zones.close()
    await shadow.close()
  })

  it('is not compared with a model for pictures, and the report says why', async () => {
    const shadow = await openShadow(serving!, await openClassifier({ model: models('clips.onnx') }), {
      every: 1,
      budget: 1,
      log,
    })
    await look(shadow.classifier, 1)
    expect(shadow.report()).toMatchObject({ compared: 0, isGood: false })
    expect(shadow.report().objection).toMatch(
      /^the candidate is not compared: it is for another task \(video: .*16 frames/,
    )
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
