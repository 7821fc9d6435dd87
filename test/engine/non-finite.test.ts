/**
 * A number that is none, anywhere in a picture, reaches the outputs of every network on every target, so that the
 * prediction is a fault and no label. (An infinity may end in a bounded activation, here as in onnxruntime; no camera makes one.)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { openModel } from '../../src/index.js'
import { createPredictor } from '../../src/decision/prediction.js'
import { modernNetworks } from '../networks-modern.js'
import { networks } from '../networks.js'
import { writeModel } from '../onnx-builder.js'
import { Random } from '../random.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-non-finite-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const loaded = loadAddon()
const targets =
  'addon' in loaded
    ? loaded.addon
        .describeTargets()
        .filter(({ supported }) => supported)
        .map(({ name }) => name)
    : []
const files = Object.entries({ ...networks, ...modernNetworks }).map(
  ([name, build]) => [name, writeModel(join(folder, `${name}.onnx`), build())] as const,
)

it.each(files)('one NaN in the input of %s makes no label', async (name, path) => {
  expect(targets.length).toBeGreaterThan(0)
  for (const target of targets) {
    const model = await openModel(path, { engine: 'native', target, threads: 2 })
    const random = new Random(11)
    for (let place = 0; place < 6; place++) {
      const feeds = Object.fromEntries(
        model.inputs.map((input) => [input.name, random.normals(input.shape.reduce((a, b) => a * b, 1))]),
      )
      const picture = feeds[model.inputs[0]!.name]!
      const at = random.between(0, picture.length - 1)
      picture[at] = NaN
      for (const [output, { data }] of Object.entries(await model.run(feeds))) {
        const values = data as Float32Array
        expect(values.some(Number.isNaN), `${name} on ${target}: NaN at ${at} does not show in ${output}`).toBe(true)
        const predict = createPredictor({
          labels: Array.from(values, (_, i) => `label ${i}`),
          modelId: name,
          scoreActivation: 'softmax',
        })
        expect(predict(values, { frame: 1 } as never)).toEqual({ ok: false, reason: 'nan' })
      }
    }
    await model.close()
  }
})
