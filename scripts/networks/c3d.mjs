// Writes the C3D network (Tran et al. 2015: eight 3×3×3 convolutions, five pools, 16 frames of 112×112) with seeded random
// weights, to compare engines:
//
//   node scripts/networks/c3d.mjs c3d.onnx [--pooled]
//   gapcam bench c3d.onnx
//
// --pooled ends in a mean over time and place with one layer of 101 classes, instead of the three layers of the paper.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { floatConstant, int64Constant, madeNode } from '../../dist/model/graph.js'
import { serializeModel } from '../../dist/model/onnx/serialize.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pooled: { type: 'boolean', default: false } },
})
const [file = 'c3d.onnx'] = positionals
const classes = 101
/** Channels of the convolutions between the pools. */
const stages = [[64], [128], [256, 256], [512, 512], [512, 512]]

let state = 1
/** Uniform in [-1, 1), the same on every machine. */
function uniform() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 31 - 1
}

const constants = new Map()
const nodes = []
const add = (name, shape, fanIn) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => uniform() * Math.sqrt(6 / fanIn))
  constants.set(name, floatConstant(shape, data))
  return name
}
const ints = (value) => ({ kind: 'ints', value })
const op = (name, inputs, output, attributes = {}) => {
  nodes.push(madeNode(name, { inputs, output, attributes }))
  return output
}

let x = 'clip'
let channels = 3
stages.forEach((widths, stage) => {
  widths.forEach((width, i) => {
    const name = `conv${stage + 1}${widths.length > 1 ? 'ab'[i] : 'a'}`
    const weights = add(`${name}.weight`, [width, channels, 3, 3, 3], channels * 27)
    const bias = add(`${name}.bias`, [width], 1e4)
    const attributes = { kernel_shape: ints([3, 3, 3]), pads: ints([1, 1, 1, 1, 1, 1]) }
    x = op('Relu', [op('Conv', [x, weights, bias], name, attributes)], `${name}.relu`)
    channels = width
  })
  const size = stage === 0 ? [1, 2, 2] : [2, 2, 2]
  const pads = stage === 4 ? [0, 0, 0, 0, 1, 1] : [0, 0, 0, 0, 0, 0]
  x = op('MaxPool', [x], `pool${stage + 1}`, { kernel_shape: ints(size), strides: ints(size), pads: ints(pads) })
})
const layers = values.pooled
  ? [[512, classes]]
  : [
      [8192, 4096],
      [4096, 4096],
      [4096, classes],
    ] // prettier-ignore
if (values.pooled) x = op('GlobalAveragePool', [x], 'mean')
constants.set('row', int64Constant([2], [1, layers[0][0]]))
x = op('Reshape', [x, 'row'], 'flat')
layers.forEach(([from, to], i) => {
  const isLast = i === layers.length - 1
  const name = isLast ? 'scores' : `fc${i + 6}`
  x = op('Gemm', [x, add(`${name}.weight`, [from, to], from), add(`${name}.bias`, [to], 1e4)], name)
  if (!isLast) x = op('Relu', [x], `${name}.relu`)
})
const graph = {
  opset: 17,
  name: 'c3d',
  inputs: [{ name: 'clip', type: 'float32', shape: [1, 3, 16, 112, 112] }],
  outputs: [{ name: 'scores', type: 'float32', shape: [1, classes] }],
  nodes,
  constants,
  values: new Map(),
}
writeFileSync(file, serializeModel(graph))
