import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GapcamError } from '../../../src/errors.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { serializeModel } from '../../../src/model/onnx/serialize.js'
import { graphOfTflite } from '../../../src/model/tflite/convert.js'
import { metadataOf } from '../../../src/model/tflite/metadata.js'
import { isTflite, readTflite } from '../../../src/model/tflite/model.js'
import { mediapipeModels } from './mediapipe-models.js'
import { flatbuffer, tfliteModel, type ModelSpec } from './tflite-builder.js'

const weights = Float32Array.from({ length: 2 * 3 * 3 * 3 }, (_, i) => Math.sin(i))

/** A convolution 3×3, SAME, stride 2 with ReLU6, and a mean over the places. */
const small: ModelSpec = {
  tensors: [
    { name: 'picture', shape: [1, 8, 8, 3], signature: [-1, 8, 8, 3] },
    { name: 'weights', shape: [2, 3, 3, 3], data: weights },
    { name: 'bias', shape: [2], data: Float32Array.of(1, 2) },
    { name: 'map', shape: [1, 4, 4, 2] },
    { name: 'axes', type: 'int32', shape: [2], data: Int32Array.of(1, 2) },
    { name: 'scores', shape: [1, 2] },
  ],
  operators: [
    {
      op: 'CONV_2D',
      inputs: [0, 1, 2],
      outputs: [3],
      options: { 0: { byte: 0 }, 1: { int: 2 }, 2: { int: 2 }, 3: { byte: 3 } },
    },
    { op: 'MEAN', inputs: [3, 4], outputs: [5], options: {} },
  ],
  inputs: [0],
  outputs: [5],
}

describe('readTflite', () => {
  it('reads tensors, operators and buffers as the file has them', () => {
    const bytes = tfliteModel({ ...small, metadata: { note: Uint8Array.of(1, 2, 3) } })
    const model = readTflite(bytes)
    expect(isTflite(bytes)).toBe(true)
    expect(model.operators.map(({ op, inputs, outputs }) => [op, inputs, outputs])).toEqual([
      ['CONV_2D', [0, 1, 2], [3]],
      ['MEAN', [3, 4], [5]],
    ])
    expect(model.tensors[0]).toMatchObject({ name: 'picture', type: 'float32', signature: [-1, 8, 8, 3], data: null })
    expect(model.tensors[1]!.data).toHaveLength(weights.byteLength)
    expect(model.metadata.get('note')).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('reads scales and zero points, one for the tensor or one for each channel', () => {
    const model = readTflite(
      tfliteModel({
        tensors: [
          { name: 'a', type: 'uint8', shape: [1, 2], scale: [0.5], zeroPoint: [128] },
          { name: 'b', type: 'int8', shape: [2, 2], data: Int8Array.of(1, 2, 3, 4), scale: [0.5, 0.25] },
        ],
        operators: [],
        inputs: [0],
        outputs: [1],
      }),
    )
    expect(model.tensors.map(({ quantization }) => quantization)).toEqual([
      { scale: [0.5], zeroPoint: [128], axis: 0 },
      { scale: [0.5, 0.25], zeroPoint: [0, 0], axis: 0 },
    ])
  })

  it.each([
    [8, 'tensor a holds complex numbers'],
    [99, 'tensor a holds elements of TFLite type 99'],
  ])('refuses tensors of the type %i in a sentence', (type, sentence) => {
    const bytes = tfliteModel({ tensors: [{ name: 'a', type, shape: [1] }], operators: [], inputs: [0], outputs: [0] })
    expect(() => readTflite(bytes)).toThrow(sentence)
  })

  it('refuses a tensor whose data does not fit its shape', () => {
    const [picture, first, ...rest] = small.tensors
    const tensors = [picture!, { ...first!, shape: [2, 3, 3, 4] }, ...rest]
    expect(() => readTflite(tfliteModel({ ...small, tensors }))).toThrow(
      'tensor weights holds 216 bytes, but its shape [2, 3, 3, 4] needs 288',
    )
  })

  it.each([
    ['dense', small, 2000],
    ['sparse', mediapipeModels['sparse']!, 1000],
  ])('refuses every cut and every changed byte of a model with %s weights, or reads it', (_, spec, numRuns) => {
    const whole = tfliteModel(spec)
    const check = (bytes: Uint8Array): void => {
      try {
        serializeModel(graphOfTflite(readTflite(bytes)))
      } catch (error) {
        expect(error).toBeInstanceOf(GapcamError)
      }
    }
    for (let length = 0; length < whole.length; length++) check(whole.subarray(0, length))
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length - 1), fc.nat(255), (a, x, b, y) => {
        const changed = whole.slice()
        changed[a] = x
        changed[b] = y
        check(changed)
      }),
      { numRuns },
    )
  })
})

describe('graphOfTflite', () => {
  it('writes a convolution with its weights in the order of ONNX and its activation as a Clip', () => {
    const graph = graphOfTflite(readTflite(tfliteModel(small)))
    expect(graph.nodes.map(({ op }) => op)).toEqual([
      'Transpose',
      'Conv',
      'Transpose',
      'Clip',
      'ReduceMean',
      'Identity',
    ])
    expect(graph.nodes[1]!.attributes).toMatchObject({
      auto_pad: { value: 'SAME_UPPER' },
      strides: { value: [2, 2] },
      group: { value: 1 },
    })
    const packed = graph.constants.get(graph.nodes[1]!.inputs[1]!)!
    expect(packed.shape).toEqual([2, 3, 3, 3])
    // Element [o, i, y, x] of ONNX is element [o, y, x, i] of TFLite.
    const values = new Float32Array(packed.bytes.buffer, packed.bytes.byteOffset)
    expect(values[1 * 27 + 2 * 9 + 0 * 3 + 1]).toBe(weights[1 * 27 + 0 * 9 + 1 * 3 + 2])
    expect(graph.inputs).toEqual([{ name: 'picture', type: 'float32', shape: [1, 8, 8, 3] }])
  })

  it('survives being written as ONNX and read again', () => {
    const graph = graphOfTflite(readTflite(tfliteModel(small)))
    const again = parseModel(serializeModel(graph, new Map([['key', 'value']])))
    expect(again.metadata).toEqual(new Map([['key', 'value']]))
    expect(again.graph.nodes).toEqual(graph.nodes)
    expect([...again.graph.constants.keys()].sort()).toEqual([...graph.constants.keys()].sort())
    expect(again.graph.inputs).toEqual(graph.inputs)
  })

  it('names the operators that it cannot convert', () => {
    const operators = [
      { op: 'LSTM', inputs: [0], outputs: [3] },
      { op: 'TFLite_Detection_PostProcess', inputs: [3], outputs: [5] },
    ]
    expect(() => graphOfTflite(readTflite(tfliteModel({ ...small, operators })))).toThrow(
      'gapcam has no rule for the TFLite operators LSTM, CUSTOM TFLite_Detection_PostProcess',
    )
  })

  it('takes a model that lost the archive with its labels as one without labels', () => {
    const associated = { 0: { text: 'labels.txt' }, 2: { byte: 2 } }
    const output = { 6: { tables: [associated] } }
    const metadata = { TFLITE_METADATA: flatbuffer({ 3: { tables: [{ 3: { tables: [output] } }] } }, 'M001') }
    const bytes = tfliteModel({ ...small, metadata })
    expect(metadataOf(readTflite(bytes), bytes)).toEqual({})
  })

  it('tells a file that is compiled for a Coral Edge TPU from others', () => {
    const operators = [{ op: 'edgetpu-custom-op', inputs: [0], outputs: [5] }]
    expect(() => graphOfTflite(readTflite(tfliteModel({ ...small, operators })))).toThrow(
      'it is compiled for a Coral Edge TPU',
    )
  })

  it('takes numbers of 16 bits and more with a scale as real numbers', () => {
    const [, , , map] = small.tensors
    const graph = graphOfTflite(
      readTflite(
        tfliteModel({
          tensors: [
            { name: 'picture', type: 'int16', shape: [1, 4, 4, 2], scale: [2 ** -15] },
            { name: 'weights', type: 'int8', shape: [2, 1, 1, 2], data: new Int8Array(4).fill(3), scale: [0.5, 0.25] },
            { name: 'bias', type: 'int64', shape: [2], data: BigInt64Array.of(3n, -8n), scale: [0.5, 0.25] },
            { ...map!, type: 'int16', shape: [1, 4, 4, 2], scale: [0.01] },
          ],
          operators: [
            {
              op: 'CONV_2D',
              inputs: [0, 1, 2],
              outputs: [3],
              options: { 0: { byte: 0 }, 1: { int: 1 }, 2: { int: 1 }, 3: { byte: 0 } },
            },
          ],
          inputs: [0],
          outputs: [3],
        }),
      ),
    )
    expect([...graph.inputs, ...graph.outputs].map(({ type }) => type)).toEqual(['float32', 'float32'])
    expect(graph.nodes.map(({ op }) => op)).toEqual(['DequantizeLinear', 'Transpose', 'Conv', 'Transpose', 'Identity'])
    const conv = graph.nodes.find(({ op }) => op === 'Conv')!
    const { bytes } = graph.constants.get(conv.inputs[2]!)!
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([1.5, -2])
  })

  it('writes quantized tensors as QuantizeLinear and DequantizeLinear around each operator', () => {
    const graph = graphOfTflite(
      readTflite(
        tfliteModel({
          tensors: [
            { name: 'picture', type: 'uint8', shape: [1, 4, 4, 2], scale: [0.5], zeroPoint: [128] },
            {
              name: 'weights',
              type: 'int8',
              shape: [1, 3, 3, 2],
              data: new Int8Array(18).fill(3),
              scale: [0.1, 0.2],
              axis: 3,
            },
            { name: 'bias', type: 'int32', shape: [2], data: Int32Array.of(1, 2), scale: [0.05, 0.1] },
            { name: 'map', type: 'uint8', shape: [1, 4, 4, 2], scale: [0.25], zeroPoint: [3] },
          ],
          operators: [
            {
              op: 'DEPTHWISE_CONV_2D',
              inputs: [0, 1, 2],
              outputs: [3],
              options: { 0: { byte: 0 }, 1: { int: 1 }, 2: { int: 1 }, 3: { int: 1 } },
            },
          ],
          inputs: [0],
          outputs: [3],
        }),
      ),
    )
    const ops = graph.nodes.map(({ op }) => op)
    expect(ops.filter((op) => op === 'DequantizeLinear')).toHaveLength(4) // picture, weights, bias, and the map for its readers
    expect(graph.nodes.find(({ op }) => op === 'QuantizeLinear')!.outputs).toEqual(['map'])
    const weightsNode = graph.nodes.find(({ op, attributes }) => op === 'DequantizeLinear' && attributes['axis'])!
    expect(graph.constants.get(weightsNode.inputs[0]!)!.shape).toEqual([2, 1, 3, 3])
    expect(weightsNode.attributes['axis']).toMatchObject({ value: 0 })
  })
})
