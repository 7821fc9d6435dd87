/**
 * Models that once got a wrong answer or none: other ends of the graph, other inputs, files of exporters beside them. The
 * scores are those that onnxruntime's Python package computes on the same pixels (fixtures/faults/scores.json).
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openClassifier, type Classifier, type ClassifierOptions } from '../../src/classifier.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { floats, int64, writeModel, type ModelSpec, type NodeSpec } from '../onnx-builder.js'
import { projectRoot } from '../shared.js'

const faults = join(projectRoot, 'test/fixtures/faults')
const known = JSON.parse(readFileSync(join(faults, 'scores.json'), 'utf8')) as Record<string, number[]>
const folder = mkdtempSync(join(tmpdir(), 'gapcam-faults-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const writeText = (file: string, text: string): void => writeFileSync(file, text)
const writeLabels = (model: string, labels: readonly string[]): void =>
  writeText(model.replace('.onnx', '.labels.txt'), labels.join('\n'))

type Answer = Pick<Classifier, 'labels' | 'assumed' | 'reading'> & Pick<Prediction, 'top'> & { scores: number[] }

async function answerOf(model: string, options: Partial<ClassifierOptions> = {}): Promise<Answer> {
  const classifier = await openClassifier({ model, threads: 1, ...options })
  try {
    const outcome = await classifier.classify(frameOf(await decodeFile(join(faults, 'base.png'))))
    if (!outcome.ok) throw new Error(outcome.reason)
    const { labels, assumed, reading } = classifier
    return { labels, assumed, reading, top: outcome.prediction.top, scores: [...outcome.prediction.scores] }
  } finally {
    await classifier.close()
  }
}

describe('the scores are those of onnxruntime', () => {
  it.each(Object.entries(known))('%s', async (file, scores) => {
    const answer = await answerOf(join(faults, file))
    expect(answer.scores).toHaveLength(scores.length)
    scores.forEach((score, i) => expect(answer.scores[i]).toBeCloseTo(score, 3))
  })

  it.each(['argmax', 'transpose-softmax-transpose', 'ensemble-mean', 'zipmap-only', 'batch4', 'none'])(
    '%s on onnxruntime too',
    async (name) => {
      const answer = await answerOf(join(faults, `${name}.onnx`), { engine: 'onnxruntime' })
      known[`${name}.onnx`]!.forEach((score, i) => expect(answer.scores[i]).toBeCloseTo(score, 3))
    },
  )
})

describe('labels and assumptions', () => {
  it('Custom Vision: labels.txt, BGR and bytes', async () => {
    expect(await answerOf(join(faults, 'customvision/model.onnx'))).toMatchObject({
      top: [{ label: 'pear' }, {}, {}],
      assumed: [],
    })
  })

  it('ZipMap: its own class names', async () => {
    expect((await answerOf(join(faults, 'zipmap-only.onnx'))).labels).toEqual(['apple', 'pear', 'Negative'])
  })

  it('a table of texts in the file gives the labels', async () => {
    const { top, labels } = await answerOf(join(faults, 'more/text-label.onnx'))
    expect(labels).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(top[0]).toMatchObject({ label: 'd' })
  })

  it("Teachable Machine's labels lose their numbers, and its pixel range is listed as assumed", async () => {
    const { labels, assumed } = await answerOf(join(faults, 'teachable-machine/keras_model.onnx'))
    expect(labels).toEqual(['Left hand', 'Right hand'])
    expect(assumed).toContain('pixels from -1 to 1: names in the file look like Teachable Machine')
  })

  it.each([
    ['model.onnx', 'model.json beside the model is no manifest of gapcam: ignored'],
    ['net.onnx', 'net.txt beside the model does not hold 4 labels: ignored'],
  ])('files of other programs beside %s are ignored with a notice', async (file, notice) => {
    const { assumed, labels } = await answerOf(join(faults, 'beside', file))
    expect(assumed).toContain(notice)
    expect(labels[3]).toBe('class 3')
  })

  it.each([
    ['edge-impulse-96.onnx', 3, 'the luma of the picture for the one channel'],
    ['mnist.onnx', 10, 'pixels from 0 to 1 (no manifest says otherwise)'],
    ['hwc-u8-resize.onnx', 4, 'input size 224x224 (the file leaves it free, no manifest says otherwise)'],
    ['nchw-i8.onnx', 4, 'levels less 128 for int8 pixels'],
    [
      'batch4.onnx',
      4,
      'one picture 4 times (the file fixes a batch of 4, which takes so many times as long; export it with a batch of 1)',
    ],
  ])('%s runs, and says what was assumed', async (file, classes, assumption) => {
    const { assumed, labels } = await answerOf(join(faults, file))
    expect(labels).toHaveLength(classes)
    expect(assumed).toContain(assumption)
  })

  it('one output with two labels is a binary head, with one label its score', async () => {
    const model = join(folder, 'logit.onnx')
    cpSync(join(faults, 'logit.onnx'), model)
    writeLabels(model, ['empty', 'full'])
    const pair = await answerOf(model)
    expect(pair.top.map(({ label }) => label)).toEqual(['full', 'empty'])
    expect(pair.scores[0]! + pair.scores[1]!).toBeCloseTo(1, 6)
    writeLabels(model, ['full'])
    expect((await answerOf(model)).top).toMatchObject([{ label: 'full', score: pair.scores[1] }])
  })

  it('labels that are all the same are refused', async () => {
    const model = join(folder, 'none.onnx')
    cpSync(join(faults, 'none.onnx'), model)
    writeLabels(model, ['cat', 'cat', 'cat', 'cat', 'cat'])
    await expect(answerOf(model)).rejects.toMatchObject({
      code: 'LABELS_MISMATCH',
      message: expect.stringMatching(/none\.labels\.txt has 5 labels, but all of them are cat$/) as string,
    })
  })

  it('a segmenter tells shares, and is refused in one sentence where a classifier is asked for', async () => {
    const model = join(faults, 'segment.onnx')
    const { scores } = await answerOf(model)
    expect(scores).toHaveLength(21)
    expect(scores.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5)
    await expect(answerOf(model, { task: 'classify' })).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      exitStatus: 4,
      message: expect.stringMatching(/segment\.onnx: it is not a classifier: .* out float32 \[1, 21, 64, 64\]$/),
    })
  })
})

const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: outputs.split(' '), attributes })

/** Six classes and a second vector of four numbers. */
const twoHeads = (outputs: ModelSpec['outputs'], more: readonly NodeSpec[] = []): ModelSpec => ({
  nodes: [
    node('GlobalAveragePool', 'input', 'pooled'),
    node('Flatten', 'pooled', 'flat'),
    node('Gemm', 'flat six', 'scores6'),
    node('Gemm', 'flat four', 'features'),
    ...more,
  ],
  weights: {
    six: floats(
      [3, 6],
      Array.from({ length: 18 }, (_, i) => Math.cos(i)),
    ),
    four: floats(
      [3, 4],
      Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    ),
  },
  inputs: { input: [1, 3, 8, 8] },
  outputs,
})

describe('what was made from the scores leads to them', () => {
  const values = ['a', 'b', 'c', 'd', 'e', 'f']
  it.each<[string, readonly NodeSpec[]]>([
    [
      'an index as a float',
      [node('ArgMax', 'scores6', 'i', { axis: -1, keepdims: 1 }), node('Cast', 'i', 'y', { to: 1 })],
    ],
    ['the best of one', [node('Hardmax', 'scores6', 'y')]],
    ['the best three places', [node('TopK', 'scores6 three', 'v y', { axis: -1 })]],
    ['a scale that only a run tells', [node('DynamicQuantizeLinear', 'scores6', 'y scale zp')]],
    [
      'a label by an encoder',
      [
        node('ArgMax', 'scores6', 'i', { axis: 1, keepdims: 0 }),
        {
          ...node('LabelEncoder', 'i', 'y', { keys_int64s: [0, 1, 2, 3, 4, 5], values_strings: values }),
          domain: 'ai.onnx.ml',
        },
      ],
    ],
  ])('%s', async (name, more) => {
    const spec = twoHeads({ y: null }, more)
    const model = writeModel(join(folder, `${name.replace(/\W/g, '')}.onnx`), {
      ...spec,
      weights: { ...spec.weights, three: int64(3) },
      imports: { 'ai.onnx.ml': 3 },
    })
    const plain = await answerOf(writeModel(join(folder, 'plain.onnx'), twoHeads({ scores6: [1, 6] })))
    const { scores, labels } = await answerOf(model)
    expect(scores).toEqual(plain.scores)
    if (name.includes('encoder')) expect(labels).toEqual(values)
  })
})

describe('of several outputs', () => {
  const open = async (name: string, spec: ModelSpec, options: Partial<ClassifierOptions> = {}): Promise<string> => {
    const model = writeModel(join(folder, `${name}.onnx`), spec)
    const classifier = await openClassifier({ model, threads: 1, ...options })
    await classifier.close()
    return classifier.output.name
  }

  it('a telling name decides', async () => {
    expect(await open('names', twoHeads({ features: [1, 4], scores6: [1, 6] }))).toBe('scores6')
  })

  it('the labels decide', async () => {
    const labels = join(folder, 'four.labels')
    writeText(labels, 'a\nb\nc\nd\n')
    expect(await open('fit', twoHeads({ scores6: [1, 6], features: [1, 4] }), { labels })).toBe('features')
  })

  it('the manifest decides, and may name an inner value', async () => {
    writeText(join(folder, 'named.yaml'), 'output: features\n')
    expect(await open('named', twoHeads({ scores6: [1, 6] }))).toBe('features')
    writeText(join(folder, 'gone.yaml'), 'output: nothing\n')
    await expect(open('gone', twoHeads({ scores6: [1, 6] }))).rejects.toThrow(
      /no output nothing, which its manifest names/,
    )
  })

  it('an output that may have the classes as well is said', async () => {
    const two = [node('Identity', 'scores6', 'y'), node('Identity', 'features', 'z')]
    const { assumed } = await answerOf(writeModel(join(folder, 'two.onnx'), twoHeads({ y: [1, 6], z: [1, 4] }, two)))
    expect(assumed).toContain('its output y has the classes (z may have them, too; output in its manifest names one)')
    const twins = twoHeads({ y: [1, 6], logits: [1, 6] }, [...two, node('Identity', 'scores6', 'logits')])
    const same = await answerOf(writeModel(join(folder, 'same.onnx'), twins))
    expect(same.assumed.join()).not.toContain('has the classes')
  })

  it('boxes make a detector, which is refused', async () => {
    const more = [node('Identity', 'features', 'boxes')]
    await expect(open('boxes', twoHeads({ boxes: [1, 4], scores6: [1, 6] }, more))).rejects.toThrow(
      /it is not a classifier: its output boxes holds places in the picture/,
    )
  })
})

it('a half-precision model runs without the native engine', async () => {
  const answer = await answerOf(join(faults, 'all-fallback.onnx'), { engine: 'onnxruntime' })
  expect(answer.top[0]).toMatchObject({ index: 1 })
})

it('an output without a rule is judged by test pictures, and that is said', async () => {
  const spec = twoHeads({ y: [1, 6] }, [
    node('Selu', 'scores6', 'selu'),
    node('Softmax', 'selu', 'p'),
    node('Selu', 'p', 'q'),
    node('Div', 'q factor', 'y'),
  ])
  const model = writeModel(join(folder, 'selu.onnx'), {
    ...spec,
    weights: { ...spec.weights, factor: floats([], [1.0507009873554805]) },
  })
  const { scores, assumed } = await answerOf(model)
  expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 3)
  expect(assumed).toContain('outputs are probabilities that sum to 1, in the outputs of 3 test pictures')
})

it('a model behind a link opens with its labels', async () => {
  const link = join(folder, 'linked.onnx')
  symlinkSync(join(faults, 'exp-sum-div.onnx'), link)
  writeLabels(link, ['a', 'b', 'c', 'd'])
  expect((await answerOf(link)).top[0]).toMatchObject({ label: 'b' })
})
