/** A size that only damage in a file can ask for is refused before its table is made. */
import { expect, it } from 'vitest'
import { compilePlan } from '../../../src/model/compile.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareGraph } from '../../../src/model/prepare.js'
import { buildModel, floats } from '../../onnx-builder.js'

const resized = (scale: number): ReturnType<typeof compilePlan> => {
  const bytes = buildModel({
    inputs: { x: [1, 1, 2, 2] },
    outputs: { y: [1, 1, 2 * scale, 2] },
    weights: { scales: floats([4], [1, 1, scale, 1]) },
    nodes: [{ op: 'Resize', inputs: ['x', '', 'scales'], outputs: ['y'] }],
  })
  return compilePlan(prepareGraph(parseModel(bytes).graph, {}), {})
}

it('an axis of 65536 samples is resized, a longer one is not covered', () => {
  expect(resized(32768)).toHaveProperty('plan')
  expect(resized(32769)).toMatchObject({
    unsupported: [{ op: 'Resize', reason: expect.stringContaining('65538 samples') }],
  })
})
