/**
 * The 8-bit networks of the shared folder on photographs, in 8 bits, against onnxruntime. onnxruntime itself gives other
 * scores with and without its graph optimizations (up to 3 % of the range of the logits, up to 29 of 256 steps of the old
 * files' probabilities), so close races may end differently. On x64 it computes networks of uint8 in integers throughout:
 * on the same pixels their logits are the same bytes, and their probabilities differ by at most a step.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../../src/classifier.js'
import { frameOf } from '../../../src/frame.js'
import { openModel } from '../../../src/index.js'
import { decodeFile } from '../../../src/pixels/decode.js'
import { createPreprocessor } from '../../../src/pixels/preprocess.js'
import { sharedFolder } from '../../shared.js'

const shared = sharedFolder()

/** The outputs of a run in real numbers. */
function valuesOf({ output, reading }: Classifier): number[] {
  const { scale, zeroPoint } = output.type === 'float32' ? { scale: 1, zeroPoint: 0 } : reading.quantization!
  return Array.from(output.data as Float32Array, (value) => scale * (value - zeroPoint))
}

const best = (values: readonly number[]): number => values.indexOf(Math.max(...values))

it.skipIf(shared === null).each([
  ['efficientnet-lite0-int8.onnx', 0.03],
  ['mobilenet-v2-int8.onnx', 0.12],
  ['inat-birds-mobilenet-v2-int8.onnx', 0.12],
  ['mobilenet-v2-uint8.tflite', 0.12],
] as const)(
  '%s agrees with onnxruntime (skipped without the shared folder)',
  async (file, slack) => {
    const model = join(shared!, 'models', file)
    const own = await openClassifier({ model, engine: 'native', integers: true })
    const other = await openClassifier({ model, engine: 'onnxruntime' })
    try {
      const folder = join(shared!, 'images')
      let clear = 0
      for (const name of readdirSync(folder).filter((each) => each.endsWith('.jpg'))) {
        const frame = frameOf(await decodeFile(join(folder, name)))
        for (const classifier of [own, other]) expect((await classifier.classify(frame)).ok).toBe(true)
        const [found, right] = [valuesOf(own), valuesOf(other)]
        const sorted = right.toSorted((a, b) => b - a)
        // Logits have the range of the picture, probabilities that of all probabilities.
        const range = own.reading.activation === 'softmax' ? sorted[0]! - sorted.at(-1)! : 1
        const worst = right.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0)
        expect(worst / range, name).toBeLessThanOrEqual(slack)
        if (sorted[0]! - sorted[1]! <= slack * range) continue
        clear++
        expect(best(found), name).toBe(best(right))
      }
      expect(clear).toBeGreaterThanOrEqual(3)
    } finally {
      await own.close()
      await other.close()
    }
  },
  60_000,
)

it
  .skipIf(shared === null || process.arch !== 'x64')
  .each(['mobilenet-v2-int8.onnx', 'inat-birds-mobilenet-v2-int8.onnx'])(
  '%s has the probabilities of onnxruntime on the same pixels (skipped without the shared folder, and on other processors)',
  async (file) => {
    const path = join(shared!, 'models', file)
    const size = { height: 224, width: 224 }
    const classifier = await openClassifier({ model: path, engine: 'native', integers: true })
    const own = await openModel(path, { engine: 'native', integers: true, inputSize: size })
    const other = await openModel(path, { engine: 'onnxruntime', inputSize: size })
    const layout = own.inputs[0]!.layout === 'nchw' ? 'nchw' : 'nhwc'
    const pass = createPreprocessor({ ...classifier.preprocessing({}), layout, type: 'uint8', code: undefined })
    const pixels = new Uint8Array(3 * size.height * size.width)
    try {
      for (const name of ['dragonfly.jpg', 'cat-2.jpg', 'owl.jpg', 'hot-dog.jpg']) {
        await pass.run(frameOf(await decodeFile(join(shared!, 'images', name))), pixels)
        const [found, right] = await Promise.all(
          [own, other].map(async (model) => Object.values(await model.run(pixels))[0]!.data as Uint8Array),
        )
        expect(Math.max(...right!), name).toBeGreaterThan(0)
        expect(Math.max(...right!.map((value, i) => Math.abs(value - found![i]!))), name).toBeLessThanOrEqual(1)
      }
    } finally {
      pass.close()
      await Promise.all([classifier, own, other].map((each) => each.close()))
    }
  },
  60_000,
)
