/**
 * The 8-bit networks of the shared folder on photographs, in 8 bits, against onnxruntime. onnxruntime itself gives other
 * scores with and without its graph optimizations (up to 3 % of the range of the logits, up to 29 of 256 steps of the old
 * files' probabilities), so close races may end differently.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../../src/classifier.js'
import { frameOf } from '../../../src/frame.js'
import { decodeFile } from '../../../src/pixels/decode.js'
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
