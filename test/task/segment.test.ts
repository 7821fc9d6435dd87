/** Each form of a segmenter's output is recognised, and gives the share of each label; what cannot be told is named. */
import { expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { foundFields } from '../../src/publish/payloads.js'
import { detectorFile, openDetector, predictionOf, type GivenDetector } from './fixture.js'

const side = 16
const places = side * side
/** A quarter of the places is road, half is snow, the rest is sky. */
const classAt = (place: number): number => (place < places / 4 ? 0 : place < (3 * places) / 4 ? 1 : 2)
const planes = [0, 1, 2].flatMap((label) => Array.from({ length: places }, (_, i) => (classAt(i) === label ? 2 : -1)))
const pixels = Array.from({ length: places }, (_, i) =>
  [0, 1, 2].map((label) => (classAt(i) === label ? 2 : -1)),
).flat()
const labels = 'labels: [road, snow, sky]\n'
const shares = { road: 0.25, snow: 0.5, sky: 0.25 }

const forms: Readonly<Record<string, readonly [GivenDetector, Record<string, number>]>> = {
  'scores [1,C,H,W]': [{ outputs: { out: { shape: [1, 3, side, side], values: planes } }, manifest: labels }, shares],
  'scores [1,H,W,C]': [{ outputs: { out: { shape: [1, side, side, 3], values: pixels } }, manifest: labels }, shares],
  'the output of torchvision, with one that only training uses': [
    {
      outputs: {
        out: { shape: [1, 3, side, side], values: planes },
        aux: { shape: [1, 3, side, side], values: planes.toReversed() },
      },
      manifest: labels,
    },
    shares,
  ],
  'numbers of the classes [1,H,W]': [
    {
      outputs: {
        out: { shape: [1, side, side], values: Array.from({ length: places }, (_, i) => classAt(i)), isInteger: true },
      },
      manifest: labels,
    },
    shares,
  ],
  'one class': [
    {
      outputs: { out: { shape: [1, 1, side, side], values: planes.slice(0, places) } },
      manifest: 'labels: [road]\n',
    },
    { road: 0.25, none: 0.75 },
  ],
  'one class with a threshold of its own': [
    {
      outputs: { out: { shape: [1, side, side, 1], values: planes.slice(0, places) } },
      manifest: 'labels: [rest, road]\nsegment: { activation: none, minScore: 0.1 }\n',
    },
    { road: 0.25, rest: 0.75 },
  ],
}

it.each(Object.keys(forms))('reads %s', async (name) => {
  const [given, expected] = forms[name]!
  // Integers are no values of the native engine.
  const isNumbers = given.outputs['out']!.isInteger === true
  for (const engine of isNumbers ? (['onnxruntime'] as const) : (['native', 'onnxruntime'] as const)) {
    const classifier = await openDetector(given, { engine })
    expect(classifier.task).toBe('segment')
    const { found, top } = await predictionOf(classifier)
    expect(foundFields(found!)).toEqual({ task: 'segment', shares: expected })
    const best = Math.max(...Object.values(expected))
    expect(top[0]).toMatchObject({ label: Object.keys(expected).find((key) => expected[key] === best), score: best })
  }
})

it('says what a manifest must say of numbers without labels', async () => {
  const model = detectorFile({
    outputs: { out: { shape: [1, side, side], values: new Array<number>(places).fill(0), isInteger: true } },
  })
  await expect(openClassifier({ model })).rejects.toThrow(/segment: \{ classCount: 21 \}/)
})

it('does not take a small map of features, or a row of scores, for a map of classes', async () => {
  const rows = await openDetector({ outputs: { out: { shape: [1, 3], values: [1, 2, 3] } }, manifest: labels })
  expect(rows.task).toBe('classify')
  const features = detectorFile({ outputs: { out: { shape: [1, 3, 7, 7], values: planes.slice(0, 147) } } })
  await expect(openClassifier({ model: features })).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' })
})

it('has no answer where a score is not a number', async () => {
  const values = planes.map((value, i) => (i === 7 ? NaN : value))
  const classifier = await openDetector({ outputs: { out: { shape: [1, 3, side, side], values } }, manifest: labels })
  await expect(predictionOf(classifier)).rejects.toThrow('nan')
})

it('a map of another size than the input is spread over it, and one of other proportions is named in the manifest', async () => {
  const out = { shape: [1, 3, side, side / 2], values: planes.filter((_, i) => i % 2 === 0) }
  await expect(
    openClassifier({ model: detectorFile({ outputs: { out }, manifest: `${labels}task: segment\n` }) }),
  ).rejects.toThrow(
    /it cannot be told how to segment with it \(by the manifest\): its outputs are out \[1, 3, 16, 8\]; write segment:/,
  )
  const classifier = await openDetector({
    outputs: { out },
    manifest: `${labels}segment: { output: out, format: nchw }\n`,
  })
  expect(foundFields((await predictionOf(classifier)).found!)).toEqual({ task: 'segment', shares })
  expect(classifier.mask!()).toMatchObject({ width: 8, height: 16 })
})

it.each<[string, string, RegExp]>([
  [
    'a number of classes that its output does not hold',
    'classCount: 5',
    /has 768 numbers, not those of 5 classes a place/,
  ],
  ['an output that is not there', 'output: mask, classCount: 3', /it has no output mask/],
])('refuses %s', async (_, field, sentence) => {
  const fields = ['format: nchw', field, ...(field.startsWith('output') ? [] : ['output: out'])].join(', ')
  const given = {
    outputs: { out: { shape: [1, 3, side, side], values: planes } },
    manifest: `segment: { ${fields} }\n`,
  }
  await expect(openClassifier({ model: detectorFile(given) })).rejects.toThrow(sentence)
})
