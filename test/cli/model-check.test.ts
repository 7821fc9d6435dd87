/**
 * `gapcam model check`: it finds by itself what a reference was made with. The references are computed here, from the colours of the
 * pictures, without the code under test.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildModel, floats } from '../onnx-builder.js'
import { endAll, gapcam, jsonLines } from '../process.js'
import { Random } from '../random.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-check-'))
const pictures = join(folder, 'pictures')
const model = join(folder, 'model.onnx')
const free = join(folder, 'free.onnx')
/** Zeros that the network with a free size puts on each side, in pixels. */
const rim = 64
const labels = ['red', 'green', 'blue', 'dark']
const random = new Random(11)

/** Twenty pictures of 64x32: a colour in the middle square, another in its rim of 2 pixels, a third on both sides. */
const colours = Array.from({ length: 20 }, () =>
  ['middle', 'sides', 'rim'].map(() => Array.from({ length: 3 }, () => Math.floor(random.next() * 256))),
)
const rows = [
  [2.1, -0.7, -1.3],
  [-1.1, 1.9, -0.6],
  [-0.4, -1.4, 2.3],
  [-0.8, -0.5, -0.9],
]
const bias = [0.1, -0.2, 0.15, 0.6]

afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeAll(async () => {
  mkdirSync(pictures)
  for (const [i, [middle, sides, rim]] of colours.entries()) {
    const pixels = Uint8Array.from({ length: 64 * 32 * 3 }, (_, at) => {
      const [x, y] = [(Math.floor(at / 3) % 64) - 16, Math.floor(at / 3 / 64)]
      const fromEdge = Math.min(x, 31 - x, y, 31 - y)
      return (x < 0 || x > 31 ? sides! : fromEdge < 2 ? rim! : middle!)[at % 3]!
    })
    await sharp(pixels, { raw: { width: 64, height: 32, channels: 3 } })
      .png()
      .toFile(join(pictures, `p${i}.png`))
  }
  writeFileSync(
    model,
    buildModel({
      inputs: { input: [1, 3, 16, 16] },
      outputs: { logits: [1, 4] },
      weights: { matrix: floats([4, 3], rows.flat()), bias: floats([4], bias) },
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['input'], outputs: ['pooled'] },
        { op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
        { op: 'Gemm', inputs: ['flat', 'matrix', 'bias'], outputs: ['logits'], attributes: { transB: 1 } },
      ],
    }),
  )
  writeFileSync(join(folder, 'model.labels.txt'), labels.join('\n'))
  writeFileSync(join(folder, 'free.labels.txt'), labels.join('\n'))
  // A rim of 64 zeros on each side: what the mean is depends on the size, which the file leaves free.
  const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1]
  writeFileSync(
    free,
    buildModel({
      inputs: { input: [1, 3, 'h', 'w'] },
      outputs: { logits: [1, 4] },
      weights: {
        identity: floats([3, 3, 1, 1], identity),
        matrix: floats([4, 3], rows.flat()),
        bias: floats([4], bias),
      },
      nodes: [
        { op: 'Conv', inputs: ['input', 'identity'], outputs: ['rimmed'], attributes: { pads: [rim, rim, rim, rim] } },
        { op: 'GlobalAveragePool', inputs: ['rimmed'], outputs: ['pooled'] },
        { op: 'Flatten', inputs: ['pooled'], outputs: ['flat'] },
        { op: 'Gemm', inputs: ['flat', 'matrix', 'bias'], outputs: ['logits'], attributes: { transB: 1 } },
      ],
    }),
  )
})

interface Recipe {
  readonly order?: 'rgb' | 'bgr'
  /** From a level to what the network gets. */
  readonly scale?: (level: number, channel: number) => number
  readonly isStretched?: boolean
  /** "Resize to 256, crop 224". */
  readonly isInner?: boolean
  readonly names?: readonly string[]
  /** The input's side, for the network with a free size. */
  readonly side?: number
}

const torchvision = (level: number, channel: number): number =>
  (level / 255 - [0.485, 0.456, 0.406][channel]!) / [0.229, 0.224, 0.225][channel]!

/** The scores of a training tool for picture i, after a softmax. */
function scoresOf(i: number, recipe: Recipe): number[] {
  const { order = 'rgb', scale = torchvision, isStretched = false, isInner = false } = recipe
  const [middle, sides, edge] = colours[i]!
  const square = middle!.map((level, c) =>
    isInner ? level : (level * 28 ** 2 + edge![c]! * (32 ** 2 - 28 ** 2)) / 32 ** 2,
  )
  const seen = square.map((level, c) => (isStretched ? (level + sides![c]!) / 2 : level))
  const share = recipe.side ? (recipe.side / (recipe.side + 2 * rim)) ** 2 : 1
  const values = (order === 'bgr' ? seen.toReversed() : seen).map((level, c) => share * scale(level, c))
  const powers = rows.map((row, o) => Math.exp(row.reduce((sum, w, c) => sum + w * values[c]!, bias[o]!)))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((value) => value / sum)
}

/** Writes a reference: all scores under their labels, or only the best label. */
function reference(name: string, recipe: Recipe, isLabelOnly = false): string {
  const { names = labels } = recipe
  const file = join(folder, `${name}.csv`)
  const lines = colours.map((_, i) => {
    const scores = scoresOf(i, recipe)
    return `p${i}.png,${isLabelOnly ? names[scores.indexOf(Math.max(...scores))] : scores.join(',')}`
  })
  writeFileSync(file, [isLabelOnly ? 'file,label' : `file,${names.join(',')}`, ...lines].join('\n'))
  return file
}

interface Result {
  readonly assumptions: readonly { readonly what: string; readonly value: string; readonly origin: string }[]
  readonly assumed: { readonly agreement: number; readonly distance: number | null }
  readonly explanation: { readonly agreement: number; readonly distance: number; readonly manifest: string } | null
  readonly pictures: unknown
  readonly tried: {
    readonly alternatives: readonly { readonly changes: readonly string[]; readonly agreement: number }[]
  }
}

async function check(...args: string[]): Promise<{ status: unknown; result: Result; stderr: string }> {
  const running = gapcam(['model', 'check', model, '--pictures', pictures, '--json', ...args])
  const status = await running.ended
  return { status, result: jsonLines<Result>(running.stdout())[0]!, stderr: running.stderr() }
}

describe('with a reference', () => {
  const nothing = ''
  it.each<[string, Recipe, string]>([
    ['the assumed way needs no explanation', {}, nothing],
    ['BGR', { order: 'bgr' }, 'colorOrder: bgr\n'],
    ['pixels from 0 to 1', { scale: (level) => level / 255 }, 'mean: [0, 0, 0]\nstd: [255, 255, 255]\n'],
    [
      'pixels from -1 to 1',
      { scale: (level) => level / 127.5 - 1 },
      'mean: [127.5, 127.5, 127.5]\nstd: [127.5, 127.5, 127.5]\n',
    ],
    ['a squeezed picture', { isStretched: true }, 'resize: stretch\n'],
    [
      'a smaller crop, for which a manifest has no line',
      { isInner: true },
      '# the middle 87.5 % of the centre square (resize 256, crop 224): no line of a manifest; use --roi 0.0625,0.0625,0.875,0.875\n',
    ],
    [
      'the mean of caffe, in BGR',
      { order: 'bgr', scale: (level, channel) => level - [103.939, 116.779, 123.68][channel]! },
      'colorOrder: bgr\nmean: [103.939, 116.779, 123.68]\nstd: [1, 1, 1]\n',
    ],
    [
      'three differences at once',
      { order: 'bgr', scale: (level) => level / 255, isStretched: true },
      'colorOrder: bgr\nmean: [0, 0, 0]\nstd: [255, 255, 255]\nresize: stretch\n',
    ],
  ])('%s', async (name, recipe, lines) => {
    const { status, result, stderr } = await check('--reference', reference(name.replaceAll(/\W+/g, '-'), recipe))
    expect(status, stderr).toBe(lines === nothing ? 0 : 4)
    expect(result.explanation?.manifest ?? nothing).toBe(lines)
    const { agreement, distance } = result.explanation ?? result.assumed
    expect(agreement).toBeGreaterThanOrEqual(0.95)
    expect(distance).toBeLessThan(0.02)
  })

  it.each<[number, Recipe, string]>([
    [224, { side: 224 }, ''],
    [96, { side: 96 }, 'inputSize: [96, 96]\n'],
    [160, { side: 160, order: 'bgr' }, 'colorOrder: bgr\ninputSize: [160, 160]\n'],
  ])('of a file that leaves the size free: %d', async (side, recipe, lines) => {
    const file = reference(`side-${side}`, recipe)
    const running = gapcam(['model', 'check', free, '--pictures', pictures, '--reference', file, '--json'])
    expect(await running.ended, running.stderr()).toBe(lines === '' ? 0 : 4)
    expect(jsonLines<Result>(running.stdout())[0]!.explanation?.manifest ?? '').toBe(lines)
  })

  it('labels alone show BGR', async () => {
    const { status, result } = await check('--reference', reference('labels', { order: 'bgr' }, true))
    expect(status).toBe(4)
    expect(result.explanation?.manifest).toBe('colorOrder: bgr\n')
  })

  it('labels in the order of the alphabet are found, and the line of the manifest has them', async () => {
    const names = labels.toSorted()
    const { result } = await check('--reference', reference('alphabet', { names }, true))
    expect(result.explanation?.manifest).toBe(`labels: ["${names.join('", "')}"]\n`)
  })

  it('an order that no tool writes is learned from the reference', async () => {
    const names = ['green', 'dark', 'red', 'blue']
    const { result } = await check('--reference', reference('learned', { names }, true))
    expect(result.explanation).toMatchObject({ agreement: 1, manifest: `labels: ["${names.join('", "')}"]\n` })
  })

  it('says that nothing explains a reference of other pictures', async () => {
    const file = join(folder, 'nonsense.csv')
    writeFileSync(file, colours.map((_, i) => `p${i}.png,${labels[(i * 7 + (i >> 2)) % 4]}`).join('\n'))
    const running = gapcam(['model', 'check', model, '--pictures', pictures, '--reference', file, '--json'])
    expect(await running.ended).toBe(4)
    const [result] = jsonLines<Result>(running.stdout())
    expect(result!.assumed.agreement).toBeLessThan(0.6)
  })

  it('lines without a picture, unknown labels and broken pictures are named, and the others are compared', async () => {
    const file = join(folder, 'partial.csv')
    writeFileSync(join(pictures, 'broken.png'), 'no picture')
    const lines = colours.map((_, i) => `p${i}.png,${labels[scoresOf(i, {}).indexOf(Math.max(...scoresOf(i, {})))]}`)
    writeFileSync(file, ['file,label', ...lines, 'elsewhere.png,red', 'broken.png,red'].join('\n'))
    const { status, result, stderr } = await check('--reference', file)
    rmSync(join(pictures, 'broken.png'))
    expect(status).toBe(3)
    expect(result).toMatchObject({ pictures: 20, explanation: null })
    expect(stderr).toContain('1 of 22 lines of the reference have no picture')
    expect(stderr).toContain('broken.png')
  })

  it.each([
    ['missing.csv', null, 'missing.csv: it does not exist'],
    ['other.csv', 'file,label\nx.png,red\n', 'names x.png and no picture of'],
    ['unicorn.csv', 'file,label\np0.png,unicorn\n', 'unicorn is not a label of the model'],
  ])('%s is refused in a sentence', async (name, text, sentence) => {
    const file = join(folder, name)
    if (text !== null) writeFileSync(file, text)
    const { status, stderr } = await check('--reference', file)
    expect(status).toBe(2)
    expect(stderr).toContain(sentence)
  })
})

describe('without a reference', () => {
  it('shows each assumption with its origin, and the label of each picture', async () => {
    writeFileSync(join(folder, 'model.yaml'), 'colorOrder: rgb\nresize: stretch\n')
    const { status, result } = await check()
    rmSync(join(folder, 'model.yaml'))
    expect(status).toBe(0)
    expect(result.pictures).toHaveLength(20)
    expect(result.assumptions).toMatchObject([
      { what: 'size', value: '16x16', origin: 'the model file' },
      { what: 'colour', value: 'RGB', origin: 'the manifest model.yaml' },
      { what: 'scale', origin: 'assumed: nothing says it' },
      { what: 'crop', value: expect.stringContaining('stretch'), origin: 'the manifest model.yaml' },
      { what: 'labels', origin: join(folder, 'model.labels.txt') },
      { what: 'scores', value: 'output logits, softmax', origin: 'logits of a linear layer, by the graph' },
    ])
  })

  it('a folder without pictures is refused', async () => {
    const running = gapcam(['model', 'check', model, '--pictures', folder.concat('/none')])
    expect(await running.ended).toBe(3)
    expect(running.stderr()).toMatch(/none: it does not exist/)
  })
})
