/** `gapcam classify`: labels of pictures, the engine that computed them, and pictures and models that cannot be used. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { floats, writeModel } from '../onnx-builder.js'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot, sharedFolder } from '../shared.js'

interface Classified {
  file: string
  top: { index: number; label: string; score: number }[]
  ms: number
  engine: string
  target: string
  error?: string
}

const photos = join(projectRoot, 'models/photos')
const known = JSON.parse(readFileSync(join(photos, 'photos.json'), 'utf8')) as {
  file: string
  label: string
  index: number
}[]
const folder = mkdtempSync(join(tmpdir(), 'gapcam-classify-'))
const shared = sharedFolder()
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function classify(...args: string[]): Promise<{ results: Classified[]; status: unknown; stderr: string }> {
  const run = gapcam(['classify', '--json', ...args])
  const status = await run.ended
  return { results: jsonLines<Classified>(run.stdout()), status, stderr: run.stderr() }
}

describe('a result that is no number', () => {
  const pictures = join(folder, 'lights')
  /** The mean of each channel over the mean of all: of a black picture 0 / 0. */
  const model = writeModel(join(folder, 'ratio.onnx'), {
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['input'], outputs: ['pooled'] },
      { op: 'ReduceMean', inputs: ['pooled'], outputs: ['mean'], attributes: { axes: [1, 2, 3], keepdims: 1 } },
      { op: 'Div', inputs: ['pooled', 'mean'], outputs: ['ratio'] },
      { op: 'Flatten', inputs: ['ratio'], outputs: ['y'] },
    ],
    inputs: { input: [1, 3, 8, 8] },
    outputs: { y: [1, 3] },
  })
  writeFileSync(join(folder, 'ratio.yaml'), 'mean: [0]\nstd: [255]\nscores: softmax\n')

  it.each(['--json', '--no-json'])('of one picture is reported, and the others are answered (%s)', async (form) => {
    mkdirSync(pictures, { recursive: true })
    for (const [name, r] of [
      ['a', 200],
      ['b', 0],
      ['c', 90],
    ] as const)
      await sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g: r / 2, b: r / 3 } } })
        .png()
        .toFile(join(pictures, `${name}.png`))
    const run = gapcam(['classify', ...(form === '--json' ? [form] : []), '--model', model, pictures])
    expect(await run.ended).toBe(4)
    expect(run.stdout()).toMatch(/a\.png[^]*c\.png/)
    expect(run.stderr()).toMatch(/b\.png: the model's outputs are not finite/)
  })
})

describe('the eight photographs get their labels', () => {
  it.each(['native', 'onnxruntime'])('from the float model on %s', async (engine) => {
    const { results, status } = await classify('--engine', engine, photos)
    expect(status).toBe(0)
    expect(results.map(({ file, top }) => [file.split('/').at(-1), top[0]?.label, top[0]?.index])).toEqual(
      known.map(({ file, label, index }) => [file, label, index]),
    )
    for (const result of results) {
      expect(result).toMatchObject({ engine, ms: expect.any(Number) })
      expect(result.top).toHaveLength(5)
    }
  })

  it.skipIf(shared === null).each(['efficientnet-lite0-int8.onnx', 'mobilenet-v2-int8.onnx'])(
    'from %s, which the native engine runs in 8 bits (skipped without the shared folder)',
    async (name) => {
      const model = join(shared!, 'models', name)
      const isUint8 = name.startsWith('mobilenet')
      const { results, status, stderr } = await classify(
        '--model',
        model,
        '--labels',
        join(shared!, 'models', isUint8 ? 'imagenet-1001.txt' : 'imagenet-1000.txt'),
        photos,
      )
      expect(status, stderr).toBe(0)
      expect(results.map(({ top }) => top[0]?.label)).toEqual(known.map(({ label }) => label))
      for (const { engine, top } of results) {
        expect(engine).toBe('native')
        expect(top[0]!.score).toBeGreaterThan(0.2)
        expect(top.reduce((sum, { score }) => sum + score, 0)).toBeLessThanOrEqual(1.001)
      }
    },
  )
})

it('a folder or pipe that is named like a picture is skipped', async () => {
  const mixed = join(folder, 'mixed')
  mkdirSync(join(mixed, 'folder.jpg'), { recursive: true })
  copyFileSync(join(photos, 'bird.jpg'), join(mixed, 'bird.jpg'))
  execFileSync('mkfifo', [join(mixed, 'a.jpg')])
  symlinkSync(join(mixed, 'a.jpg'), join(mixed, 'link-to-pipe.jpg'))
  symlinkSync(join(mixed, 'bird.jpg'), join(mixed, 'link.jpg'))
  symlinkSync(join(mixed, 'gone.jpg'), join(mixed, 'dangling.jpg'))
  const { results, status, stderr } = await classify(mixed)
  expect(results.map(({ file }) => basename(file))).toEqual(['bird.jpg', 'link.jpg'])
  expect(stderr).toMatch(/^picture .*dangling\.jpg: it does not exist\n$/)
  expect(status).toBe(3)
})

it('a picture or model whose name is not valid UTF-8 is refused with that reason, and the others are classified', async () => {
  const odd = mkdtempSync(join(folder, 'odd-'))
  copyFileSync(join(photos, 'bird.jpg'), join(odd, 'b.jpg'))
  writeFileSync(Buffer.concat([Buffer.from(`${odd}/a`), Buffer.from([0xff]), Buffer.from('.jpg')]), 'x')
  const { results, status, stderr } = await classify(odd)
  expect(results.map(({ file }) => basename(file))).toEqual(['b.jpg'])
  expect([status, stderr]).toEqual([
    3,
    expect.stringMatching(/a\ufffd\.jpg: it cannot be opened under this name, which is not valid UTF-8; rename it/),
  ])
  // A command line reaches the program as text, so that such a byte has become U+FFFD there too.
  const model = await classify('--model', join(odd, 'm\ufffd.onnx'), join(photos, 'bird.jpg'))
  expect([model.status, model.stderr]).toEqual([
    4,
    expect.stringMatching(/m\ufffd\.onnx: .*not valid UTF-8; rename it/),
  ])
})

it('files and folders keep their order; --top-k, --input-size and --roi take effect', async () => {
  const { results, status } = await classify(
    '--top-k',
    '2',
    '--input-size',
    '192',
    '--roi',
    '0.1,0.1,0.8,0.8',
    join(photos, 'parrot.jpg'),
    join(photos, 'bird.jpg'),
  )
  expect(status).toBe(0)
  expect(results.map(({ top }) => top.map(({ label }) => label)[0])).toEqual(['macaw', 'chickadee'])
  expect(results.every(({ top }) => top.length === 2)).toBe(true)
})

it('rotated, CMYK, grey, transparent and 16 bit photographs get their label', async () => {
  const bird = join(photos, 'bird.jpg')
  const turned = await sharp(bird).rotate(90).jpeg().toBuffer()
  const files: Record<string, Buffer> = {
    'turned.jpg': await sharp(turned).withMetadata({ orientation: 8 }).jpeg().toBuffer(), // shown upright only with its tag
    'cmyk.jpg': await sharp(bird).toColourspace('cmyk').jpeg().toBuffer(),
    'grey.png': await sharp(bird).greyscale().png().toBuffer(),
    'alpha.png': await sharp(bird).ensureAlpha(1).png().toBuffer(),
    'deep.png': await sharp(bird).toColourspace('rgb16').png().toBuffer(),
    'progressive.jpg': await sharp(bird).jpeg({ progressive: true }).toBuffer(),
  }
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  const { results, status } = await classify(...Object.keys(files).map((name) => join(folder, name)))
  expect(status).toBe(0)
  for (const { file, top } of results)
    expect([file.split('/').at(-1), top[0]?.label]).toEqual([file.split('/').at(-1), 'chickadee'])
})

it('corrupt, truncated and empty pictures are reported, the others are classified, and the status is 3', async () => {
  const mixed = mkdtempSync(join(folder, 'mixed-'))
  copyFileSync(join(photos, 'bird.jpg'), join(mixed, 'a.jpg'))
  writeFileSync(join(mixed, 'b.jpg'), 'this is no picture')
  writeFileSync(join(mixed, 'c.jpg'), readFileSync(join(photos, 'cat.jpg')).subarray(0, 3000))
  writeFileSync(join(mixed, 'd.png'), '')
  copyFileSync(join(photos, 'parrot.jpg'), join(mixed, 'e.jpg'))
  const { results, status, stderr } = await classify(mixed)
  expect(results.filter(({ top }) => top).map(({ top }) => top[0]?.label)).toEqual(['chickadee', 'macaw'])
  expect(status).toBe(3)
  for (const name of ['b.jpg', 'c.jpg', 'd.png']) expect(stderr).toContain(name)
})

describe('one sentence with the right status says that', () => {
  const cases: [string, string[], number, RegExp][] = [
    ['the picture does not exist', [join(folder, 'none.jpg')], 3, /none\.jpg: it does not exist/],
    ['the model does not exist', ['--model', join(folder, 'none.onnx'), photos], 4, /none\.onnx: it does not exist/],
    [
      'a label file has another number of lines than the model has outputs',
      ['--labels', join(projectRoot, 'package.json'), photos],
      4,
      /label/,
    ],
    ['a flag does not exist, and which one is meant', ['--treads', '2', photos], 2, /--threads/],
    ['a key does not exist, and which one is meant', ['--set', 'policy.treshold=0.5', photos], 2, /policy\.threshold/],
    ['a value is wrong', ['--threads', 'many', photos], 2, /threads/],
    [
      'a size does not fit a flattened head',
      ['--model', join(projectRoot, 'models/convnet-flatten.onnx'), '--input-size', '48x40', photos],
      4,
      /does not work with input size 48x40/,
    ],
    [
      'a target is not of this machine',
      ['--engine', 'native', '--set', 'threads=1', photos],
      4,
      /target vax cannot be used/,
    ],
  ]
  it.each(cases)('%s', async (title, args, expected, sentence) => {
    const run = gapcam(['classify', ...args], title.startsWith('a target') ? { env: { GAPCAM_TARGET: 'vax' } } : {})
    expect(await run.ended, run.stderr()).toBe(expected)
    expect(run.stderr()).toMatch(sentence)
    expect(run.stderr()).not.toMatch(/ {4}at /) // no stack
    expect(run.stdout()).toBe('')
  })
})

it('outputs that are not numbers give no label', async () => {
  const model = writeModel(join(folder, 'nan.onnx'), {
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['input'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
      { op: 'Mul', inputs: ['f', 'nan'], outputs: ['y'] },
    ],
    weights: { nan: floats([3], [NaN, 1, Infinity]) },
    inputs: { input: [1, 3, 32, 32] },
    outputs: { y: [1, 3] },
  })
  const { results, status } = await classify('--model', model, join(photos, 'bird.jpg'))
  expect(results.filter(({ top }) => top && top.length > 0)).toEqual([])
  expect(status).not.toBe(0)
})

describe('the result names the engine that computed it', () => {
  const bird = join(photos, 'bird.jpg')
  const none = join(folder, 'none.node')

  it('onnxruntime, with the reason, if the addon cannot be loaded', async () => {
    const run = gapcam(['classify', '--json', bird], { env: { GAPCAM_ADDON: none } })
    expect(await run.ended).toBe(0)
    expect(jsonLines(run.stdout())).toMatchObject([
      {
        engine: 'onnxruntime',
        engineReason: expect.stringMatching(/native addon cannot be loaded/),
        top: [{ label: 'chickadee' }, {}, {}, {}, {}],
      },
    ])
  })

  it('native if onnxruntime cannot be loaded', async () => {
    const run = gapcam(['classify', '--json', bird], { env: { GAPCAM_ONNXRUNTIME: none } })
    expect(await run.ended).toBe(0)
    expect(jsonLines(run.stdout())).toMatchObject([{ engine: 'native' }])
  })

  it('an error that names both if neither can be loaded', async () => {
    const run = gapcam(['classify', '--json', bird], { env: { GAPCAM_ADDON: none, GAPCAM_ONNXRUNTIME: none } })
    expect(await run.ended).toBe(4)
    expect(run.stderr()).toMatch(/onnxruntime/)
    expect(run.stderr()).toMatch(/native/)
  })
})
