/** The native engine, on every target of this machine, gives what onnxruntime gives. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { openModel, type Model } from '../../src/index.js'
import type { OpenModelOptions } from '../../src/library/model.js'
import { clipNetworks } from '../networks-clips.js'
import { modernNetworks } from '../networks-modern.js'
import { networks } from '../networks.js'
import { writeModel } from '../onnx-builder.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-parity-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const small = [
  ...Object.entries({ ...networks, ...modernNetworks, ...clipNetworks }).map(([name, build]) =>
    writeModel(join(folder, `${name}.onnx`), build()),
  ),
  join(projectRoot, 'models/clips.onnx'),
]
const shared = sharedFolder()
const zoo =
  shared === null
    ? []
    : readdirSync(join(shared, 'zoo'))
        .filter((name) => name.endsWith('.onnx'))
        .map((name) => join(shared, 'zoo', name))
const trained =
  shared === null ? [] : [join(shared, 'models/mobilenet-v2.onnx'), join(shared, 'models/efficientnet-lite0.onnx')]

function targets(): string[] {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new Error(`the native addon is needed: ${loaded.reason}`)
  return loaded.addon
    .describeTargets()
    .filter(({ supported }) => supported)
    .map(({ name }) => name)
}

const feeds = (model: Model): Record<string, Float32Array> =>
  Object.fromEntries(
    model.inputs.map(({ name, shape }, i) => [name, new Random(i + 7).normals(shape.reduce((a, b) => a * b, 1))]),
  )

/** Outputs of one run, one array after the other. */
async function run(path: string, options: OpenModelOptions): Promise<{ values: number[]; model: Model }> {
  const model = await openModel(path, options)
  try {
    const outputs = await model.run(feeds(model))
    return { values: Object.values(outputs).flatMap(({ data }) => Array.from(data as Float32Array)), model }
  } finally {
    await model.close()
  }
}

const expected = new Map<string, Promise<number[]>>()
function onnxruntime(path: string, options: OpenModelOptions): Promise<number[]> {
  const key = `${path} ${options.inputSize?.height}`
  const known =
    expected.get(key) ?? run(path, { ...options, engine: 'onnxruntime', threads: 1 }).then(({ values }) => values)
  expected.set(key, known)
  return known
}

async function compare(path: string, options: OpenModelOptions): Promise<void> {
  const right = await onnxruntime(path, options.inputSize ? { inputSize: options.inputSize } : {})
  const { values, model } = await run(path, { ...options, engine: 'native' })
  expect(model.describe()).toMatchObject({ engine: 'native', target: options.target })
  const range = Math.max(...right) - Math.min(...right)
  expect(range).toBeGreaterThan(0)
  const worst = values.reduce(
    (most, value, i) => (Math.abs(value - right[i]!) <= most ? most : Math.abs(value - right[i]!)),
    0,
  )
  expect(values.length).toBe(right.length)
  expect(worst / range).toBeLessThanOrEqual(1e-4)
}

describe.each(targets())('on target %s, within 1e-4 of the range of the outputs', (target) => {
  it.each(small.map((path) => [basename(path), path]))('%s, by one thread and by two', async (_, path) => {
    await compare(path, { target, threads: 1 })
    await compare(path, { target, threads: 2 })
  })

  it.each([
    [32, 32],
    [48, 40],
  ])('the digits ConvNet at %i by %i', async (height, width) => {
    await compare(join(projectRoot, 'models/convnet-gap.onnx'), { target, inputSize: { height, width } })
  })

  it.each([224, 160])('EfficientNet-Lite0 at %i pixels', async (size) => {
    await compare(join(projectRoot, 'models/efficientnet-lite0.onnx'), {
      target,
      threads: 2,
      inputSize: { height: size, width: size },
    })
  })

  it.skipIf(shared === null)(
    'every network of the shared folder (skipped where that is not at hand)',
    async () => {
      for (const path of zoo) await compare(path, { target, threads: 2 })
      for (const path of trained) await compare(path, { target, threads: 2, inputSize: { height: 224, width: 224 } })
    },
    240_000,
  )
})

it('any number of threads gives the same bits', async () => {
  for (const path of small) {
    const [one, ...others] = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map(async (threads) => (await run(path, { engine: 'native', threads })).values),
    )
    for (const other of others) expect(other).toEqual(one)
  }
})
