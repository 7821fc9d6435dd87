/** Sizes that a model file leaves open. */
import { expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { prepareGraph, type PrepareOptions } from '../../src/model/prepare.js'
import { buildModel, floats, int64, type ModelSpec } from '../onnx-builder.js'

const model = (input: readonly (number | string)[]): ModelSpec => ({
  nodes: [
    { op: 'Conv', inputs: ['input', 'kernel'], outputs: ['map'] },
    { op: 'GlobalAveragePool', inputs: ['map'], outputs: ['y'] },
  ],
  weights: { kernel: floats([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]) },
  inputs: { input },
  outputs: { y: null },
})
const inputOf = (input: readonly (number | string)[], options: PrepareOptions = {}): unknown =>
  prepareGraph(parseModel(buildModel(model(input))).graph, options).graph.inputs[0]?.shape
const inputSize = { height: 20, width: 16 }

it('an open batch becomes 1, open channels become 3, open height and width take the given size', () => {
  expect(inputOf(['batch_size', 'num_channels', 'height', 'width'], { inputSize })).toEqual([1, 3, 20, 16])
  expect(inputOf(['batch', 3, 'height', 'width'], { inputSize })).toEqual([1, 3, 20, 16])
  expect(inputOf(['batch', 3, 12, 10])).toEqual([1, 3, 12, 10])
})

it('an open height without a given size is an error that names the flag', () => {
  expect(() => inputOf(['batch', 3, 'height', 'width'])).toThrow(
    expect.objectContaining({
      code: 'MODEL_INPUT_SIZE',
      message: 'its input input leaves height open',
      hint: expect.stringContaining('--input-size'),
    }),
  )
})

it('a slice of a constant by a bound that is not a number is a reason against the native engine', () => {
  const spec: ModelSpec = {
    nodes: [
      { op: 'Slice', inputs: ['table', 'starts', 'ends'], outputs: ['part'] },
      { op: 'Add', inputs: ['input', 'part'], outputs: ['y'] },
    ],
    weights: { table: floats([4], [1, 2, 3, 4]), starts: floats([1], [NaN]), ends: int64(2) },
    inputs: { input: [1, 2] },
    outputs: { y: null },
  }
  expect(compilePlan(prepareGraph(parseModel(buildModel(spec)).graph, {}), {})).toMatchObject({
    unsupported: [{ reason: 'a size of its result is not a number' }],
  })
})
