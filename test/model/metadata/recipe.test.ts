/** What is known of a model's pixels and labels without a manifest, from what trainers and exporters leave in it and beside it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openClassifier } from '../../../src/classifier.js'
import { findManifest } from '../../../src/model/metadata/manifest.js'
import { loadModel } from '../../../src/model/load.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { inputRange } from '../../../src/model/metadata/input-range.js'
import { recipeOf } from '../../../src/model/metadata/recipe.js'
import type { Recipe } from '../../../src/model/metadata/schema.js'
import {
  buildModel,
  floats,
  int64,
  writeModel,
  type ModelSpec,
  type NodeSpec,
  type Weight,
} from '../../onnx-builder.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-recipe-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bytes = { mean: [0, 0, 0], std: [1, 1, 1] } satisfies Recipe
const shares = { mean: [0, 0, 0], std: [255, 255, 255] } satisfies Recipe
const weights: Record<string, Weight> = {
  byte: floats([], [1 / 255]),
  half: floats([], [127.5]),
  one: floats([], [1]),
  two: floats([], [2]),
  large: floats([], [1000]),
  swap: int64(2, 1, 0),
  mean: floats([1, 3, 1, 1], [0.485, 0.456, 0.406]),
  deviation: floats([1, 3, 1, 1], [0.229, 0.224, 0.225]),
  caffe: floats([3, 1, 1], [103.9, 116.8, 123.7]),
  kernel: floats([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]),
}
const node = (
  op: string,
  inputs: string,
  output: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: [output], attributes })

/** Nodes from `input` to `x`, then a convolution and the mean over its places. */
function model(front: readonly NodeSpec[], metadata: Readonly<Record<string, string>> = {}): ModelSpec {
  const nodes = [
    ...front,
    node('Conv', `${front.length > 0 ? 'x' : 'input'} kernel`, 'map'),
    node('GlobalAveragePool', 'map', 'pooled'),
    node('Flatten', 'pooled', 'y'),
  ]
  return { nodes, weights, metadata, inputs: { input: [1, 3, 8, 8] }, outputs: { y: [1, 2] } }
}

function recipe(front: readonly NodeSpec[], names: Readonly<Record<string, string>> = {}): Recipe {
  const { graph, metadata } = parseModel(buildModel(model(front, names)))
  return recipeOf(graph, metadata)
}

describe('the scaling before the first layer', () => {
  it.each<[string, NodeSpec[], Recipe]>([
    ['bytes divided by 255', [node('Mul', 'input byte', 'x')], bytes],
    [
      'bytes, as Keras brings them to between -1 and 1',
      [node('Div', 'input half', 'a'), node('Sub', 'a one', 'x')],
      bytes,
    ],
    [
      'bytes, divided and normalized',
      [node('Mul', 'input byte', 'a'), node('Sub', 'a mean', 'b'), node('Div', 'b deviation', 'x')],
      bytes,
    ],
    ['bytes less the mean of each channel', [node('Sub', 'input caffe', 'x')], bytes],
    ['shares of one, normalized', [node('Sub', 'input mean', 'a'), node('Div', 'a deviation', 'x')], shares],
    [
      'shares of one in another order of the channels',
      [node('Gather', 'input swap', 'a', { axis: 1 }), node('Mul', 'two a', 'b'), node('Sub', 'b one', 'x')],
      shares,
    ],
    ['nothing where a layer comes first', [], {}],
    ['nothing of a factor that no network is trained with', [node('Mul', 'input large', 'x')], {}],
    ['nothing where the picture goes two ways', [node('Mul', 'input byte', 'a'), node('Add', 'a input', 'x')], {}],
    ['nothing of a picture that divides', [node('Div', 'two input', 'x')], {}],
  ])('%s', (_, front, expected) => expect(recipe(front)).toEqual(expected))
})

describe('the range that the first layer shows', () => {
  const signed = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] }
  const range = (spec: ModelSpec): Recipe | undefined => inputRange(parseModel(buildModel(spec)).graph)?.recipe
  const behind = (scale: number, zero: number): Recipe | undefined => {
    const spec = model([node('QuantizeLinear', 'input scale zero', 'q'), node('DequantizeLinear', 'q scale zero', 'x')])
    return range({
      ...spec,
      weights: { ...weights, scale: floats([], [scale]), zero: { shape: [], data: Uint8Array.of(zero) } },
    })
  }

  it('of the first QuantizeLinear', () => {
    expect(behind(1 / 255, 0)).toEqual(shares)
    expect(behind(1 / 127.5, 127)).toEqual(signed)
    expect(behind(1, 0)).toEqual(bytes)
    expect(behind(0.0186, 114)).toBeUndefined() // pixels normalized by torchvision
    expect(behind(1, 123)).toBeUndefined() // less caffe's mean
  })

  it('of weights into which 1/255 was folded, unless what follows scales their output', () => {
    const [pixel, scale] = [(i: number): number => Math.sin(i) / 255, floats([1], [2])]
    const small = floats(
      [2, 3, 1, 1],
      Array.from({ length: 6 }, (_, i) => pixel(i)),
    )
    const spec = model([])
    expect(range(spec)).toBeUndefined()
    expect(range({ ...spec, weights: { ...weights, kernel: small } })).toEqual(bytes)
    const [conv, pool, ...rest] = spec.nodes
    const scaled = [conv!, node('Mul', 'map scale', 'scaled'), { ...pool!, inputs: ['scaled'] }, ...rest]
    expect(range({ ...spec, nodes: scaled, weights: { kernel: small, scale } })).toBeUndefined()
  })

  it('is said where it is a guess, and a manifest has precedence', async () => {
    const file = join(folder, 'small.onnx')
    const kernel = floats(
      [2, 3, 1, 1],
      [1, 2, 3, 4, 5, 6].map((value) => value / 1000),
    )
    writeFileSync(file, buildModel({ ...model([]), weights: { kernel } }))
    expect(await findManifest(await loadModel(file))).toMatchObject({
      manifest: bytes,
      notices: [expect.stringMatching(/^pixels from 0 to 255 \(the weights/)],
    })
    writeFileSync(join(folder, 'small.yaml'), 'mean: [1, 1, 1]\nstd: [2, 2, 2]\n')
    expect(await findManifest(await loadModel(file))).toMatchObject({ manifest: { mean: [1, 1, 1] }, notices: [] })
  })
})

const ultralytics = { author: 'Ultralytics', task: 'classify', imgsz: '[96, 64]' }

describe('the metadata of Ultralytics', () => {
  it.each<[string, Record<string, string>, Recipe]>([
    [
      'says names, size and that pixels are shares of one',
      { ...ultralytics, names: `{0: 'tench', 1: "chef's \\"hat\\""}` },
      { ...shares, inputSize: [96, 64], labels: ['tench', 'chef\'s "hat"'] },
    ],
    [
      'says no labels where its names do not count from 0',
      { ...ultralytics, names: "{1: 'tench', 2: 'shark'}" },
      { ...shares, inputSize: [96, 64] },
    ],
    [
      "writes Python's escapes",
      { ...ultralytics, names: String.raw`{0: 'cr\xe8me\xa0br\u00fbl\u00e9e', 1: 'it\'s \U0001f408'}` },
      { ...shares, inputSize: [96, 64], labels: ['crème\u00a0brûlée', "it's 🐈"] },
    ],
    [
      'names what a detector finds, and the size of its input',
      { ...ultralytics, task: 'detect', names: "{0: 'person'}" },
      { labels: ['person'], inputSize: [96, 64] },
    ],
    ['says names only in YOLOv5', { stride: '32', names: "{0: 'cat', 1: 'dog'}" }, { labels: ['cat', 'dog'] }],
    ['may be a list', { stride: '32', names: "['cat', 'dog']" }, { labels: ['cat', 'dog'] }],
    ['may be JSON', { id2label: '{"0": "cat", "1": "dog"}' }, { labels: ['cat', 'dog'] }],
  ])('%s', (_, metadata, expected) => expect(recipe([], metadata)).toEqual(expected))

  it('gives a classifier its labels and assumes nothing; a label file beside the model comes first', async () => {
    const path = writeModel(join(folder, 'mine.onnx'), model([], { ...ultralytics, names: "{0: 'cat', 1: 'dog'}" }))
    const opened = async (): Promise<readonly string[]> => {
      const classifier = await openClassifier({ model: path, engine: 'native' })
      await classifier.close()
      expect(classifier.assumed).toEqual([])
      expect(classifier.preprocessing()).toMatchObject(shares)
      return classifier.labels
    }
    expect(await opened()).toEqual(['cat', 'dog'])
    writeFileSync(join(folder, 'mine.txt'), 'left\nright\n')
    expect(await opened()).toEqual(['left', 'right'])
  })

  it('leaves its names where the model has another number of outputs', async () => {
    const path = writeModel(
      join(folder, 'three.onnx'),
      model([], { ...ultralytics, names: "{0: 'cat', 1: 'dog', 2: 'bird'}" }),
    )
    const classifier = await openClassifier({ model: path, engine: 'native' })
    await classifier.close()
    expect(classifier.labels).toEqual(['class 0', 'class 1'])
  })
})

describe('the image metadata of Custom Vision and Windows ML', () => {
  it.each<[string, string | undefined, Recipe]>([
    ['Bgr8', 'NominalRange_0_255', { ...bytes, colorOrder: 'bgr' }],
    ['Rgb8', 'Normalized_0_1', { ...shares, colorOrder: 'rgb' }],
    ['Bgra8', 'Normalized_1_1', { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5], colorOrder: 'bgr' }],
    ['Bgr8', undefined, { ...bytes, colorOrder: 'bgr' }],
    ['Bgr8', 'Unheard_Of', { colorOrder: 'bgr' }],
  ])('%s, %s', (format, range, expected) => {
    const names = { 'Image.BitmapPixelFormat': format, ...(range ? { 'Image.NominalPixelRange': range } : {}) }
    expect(recipe([], names)).toEqual(expected)
  })
})

describe('the files of Hugging Face beside a model', () => {
  const write = (name: string, preprocessor: unknown, config: unknown = {}): string => {
    const place = join(folder, name)
    mkdirSync(place)
    writeFileSync(join(place, 'preprocessor_config.json'), JSON.stringify(preprocessor))
    writeFileSync(join(place, 'config.json'), JSON.stringify(config))
    return writeModel(join(place, 'model.onnx'), {
      ...model([]),
      inputs: { input: ['batch_size', 'num_channels', 'height', 'width'] },
    })
  }
  const vit = {
    do_normalize: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.25],
    size: { height: 24, width: 20 },
  }

  it('give size, scaling and labels', async () => {
    const classifier = await openClassifier({
      model: write('vit', vit, { id2label: { 0: 'cat', 1: 'dog' } }),
      engine: 'native',
    })
    await classifier.close()
    expect(classifier.assumed).toEqual([])
    expect(classifier.labels).toEqual(['cat', 'dog'])
    expect(classifier.preprocessing()).toMatchObject({
      height: 24,
      width: 20,
      mean: [127.5, 127.5, 127.5],
      std: [127.5, 127.5, 63.75],
      resize: 'stretch',
    })
  })

  it('say where a picture is cropped, and where it is not normalized', async () => {
    const path = write(
      'mobilenet',
      {
        ...vit,
        do_normalize: false,
        do_center_crop: true,
        size: { shortest_edge: 28 },
        crop_size: { height: 24, width: 24 },
      },
      { id2label: { 1: 'dog' } },
    )
    expect(await findManifest(await loadModel(path))).toMatchObject({
      manifest: { ...shares, inputSize: [24, 24] },
      ownLabels: null,
    })
  })

  it('are found above the folder onnx/, and config.json serves alone', async () => {
    const place = join(folder, 'repository')
    mkdirSync(join(place, 'onnx'), { recursive: true })
    writeFileSync(
      join(place, 'config.json'),
      JSON.stringify({
        problem_type: 'multi_label_classification',
        image_size: 32,
        id2label: { 0: 'rust', 1: 'dent' },
      }),
    )
    const path = writeModel(join(place, 'onnx', 'model.onnx'), model([]))
    expect(await findManifest(await loadModel(path))).toMatchObject({
      manifest: { inputSize: [32, 32] },
      ownLabels: ['rust', 'dent'],
      isMultiLabel: true,
    })
  })

  it('may be of timm', async () => {
    const place = join(folder, 'timm')
    mkdirSync(place)
    const pretrained_cfg = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.25], input_size: [3, 48, 40] }
    writeFileSync(join(place, 'config.json'), JSON.stringify({ pretrained_cfg, label_names: ['cat', 'dog'] }))
    expect(await findManifest(await loadModel(writeModel(join(place, 'model.onnx'), model([]))))).toMatchObject({
      manifest: { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 63.75], inputSize: [48, 40] },
      ownLabels: ['cat', 'dog'],
    })
  })

  it('are ignored where they are of something else', async () => {
    expect(await findManifest(await loadModel(write('text', { image_mean: 'none' })))).toMatchObject({
      manifest: {},
      ownLabels: null,
    })
  })
})
