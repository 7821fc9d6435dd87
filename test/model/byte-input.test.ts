/** Pictures as the bytes of the first quantised tensor: the same results, bit for bit, as real numbers that a step rounds. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { openEngine } from '../../src/engine/select.js'
import { frameOf } from '../../src/frame.js'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { prepareNative } from '../../src/model/prepare.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import type { PreprocessSpec } from '../../src/pixels/spec.js'
import { storedOf } from '../../src/tensor.js'
import { buildModel, type ModelSpec, type NodeSpec } from '../onnx-builder.js'
import { sharedFolder } from '../shared.js'
import { code, dequantize, integers, node, quantize } from './quantized/graphs.js'

const shared = sharedFolder()

/** A convolution on bytes of the input; `y` is its result. */
const network = (more: readonly NodeSpec[] = [], outputs: ModelSpec['outputs'] = { y: null }): ModelSpec => ({
  nodes: [
    quantize('input', 'x', 'x'),
    dequantize('x', 'x.real', 'x'),
    dequantize('w', 'w.real', 'w'),
    node('Conv', 'x.real w.real', 'c', { pads: [1, 1, 1, 1] }),
    quantize('c', 'q', 'y'),
    dequantize('q', 'y', 'y'),
    ...more,
  ],
  weights: {
    ...code('x', 0.02, 120),
    ...code('y', 0.05, 110),
    ...code('w', 0.01, 0, 'int8'),
    w: integers([4, 3, 3, 3], -127, 127, 3),
  },
  inputs: { input: [1, 3, 6, 6] },
  outputs,
})

function inputOf(spec: ModelSpec): { readonly type: string; readonly steps: readonly string[] } {
  const prepared = prepareNative(parseModel(buildModel(spec)).graph)
  const compiled = compilePlan(prepared, { bytes: 'uint8', byteInputs: true })
  if (!('plan' in compiled)) throw new Error(compiled.unsupported[0]?.reason)
  const { tensors, inputs, steps } = compiled.plan
  return { type: tensors[inputs[0]!.tensor]!.type, steps: steps.map(({ kind }) => kind) }
}

it('an input that is only rounded to bytes is bytes, and no step reads floats', () => {
  const { type, steps } = inputOf(network())
  expect(type).toBe('uint8')
  expect(steps).not.toContain('quantize')
})

it('an input whose real numbers are needed too stays as it is', () => {
  const both = network([node('Relu', 'input', 'z')], { y: null, z: null })
  expect(inputOf(both)).toMatchObject({ type: 'float32', steps: expect.arrayContaining(['quantize']) as string[] })
  expect(inputOf(network([], { y: null, input: null })).type).toBe('float32')
})

/** A part of the frame in a letterbox, with a mask, turned: every way in which a pixel gets its byte. */
const region: Partial<PreprocessSpec> = {
  roi: { x: 0.1, y: 0.2, width: 0.7, height: 0.5 },
  resize: 'contain',
  rotate: 90,
  fill: [120, 115, 100],
  mask: {
    polygon: [
      [0.2, 0.2],
      [0.7, 0.3],
      [0.4, 0.7],
    ],
    fill: [123.6, 116.2, 103.5],
  },
}

it
  .skipIf(shared === null)
  .each([
    'efficientnet-lite0-int8.onnx',
    'mobilenet-v2-int8.onnx',
    'inat-birds-mobilenet-v2-int8.onnx',
    'mobilenet-v2-uint8.tflite',
  ])(
  '%s gives the same bits of photographs from bytes as from floats (skipped without the shared folder)',
  async (file) => {
    const model = join(shared!, 'models', file)
    const classifier = await openClassifier({ model, engine: 'native', integers: true })
    const floats = await openEngine(model, 'native', { integers: true, outputs: [classifier.output.name] })
    try {
      const { input } = classifier
      const [port] = floats.inputs
      expect(input.code).toBeDefined()
      expect(port!.type).toBe('float32')
      const folder = join(shared!, 'images')
      for (const name of readdirSync(folder)
        .filter((each) => each.endsWith('.jpg'))
        .slice(0, 4)) {
        const frame = frameOf(await decodeFile(join(folder, name)))
        for (const wanted of [{}, region]) {
          const view = classifier.view(wanted)
          const pass = createPreprocessor({ ...view.spec, code: undefined })
          expect((await view.classify(frame)).ok).toBe(true)
          await pass.run(frame, port!.data as Float32Array)
          await floats.run()
          const rounded = Array.from(port!.data as Float32Array, (value) => storedOf(input.code!, value))
          expect(Array.from(input.data as Uint8Array), name).toEqual(rounded)
          expect(new Set(rounded).size).toBeGreaterThan(30)
          expect(Buffer.compare(bytesOf(classifier.output.data), bytesOf(floats.outputs[0]!.data)), name).toBe(0)
          view.close()
          pass.close()
        }
      }
    } finally {
      await classifier.close()
      await floats.close()
    }
  },
)

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
