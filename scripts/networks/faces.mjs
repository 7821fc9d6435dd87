// Converts the face recognition network of the npm package @vladmandic/face-api 1.7.15 (MIT) into ONNX:
// a picture of 150 × 150 in, a vector of 128 values out, ready for gapcam gallery.
//   npm pack @vladmandic/face-api@1.7.15 && tar xf vladmandic-face-api-1.7.15.tgz
//   node scripts/networks/faces.mjs package faces.onnx [--check]
// --check compares the vectors with those of the package's own code on crops of the photographs that come with gapcam.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { floatConstant, int64Constant } from '../../dist/model/graph.js'
import { manifestMetadata } from '../../dist/model/metadata/schema.js'
import { serializeModel } from '../../dist/model/onnx/serialize.js'
import { builder, graphOf, ints, loadPackage, readWeights } from './face-api.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean', default: false } },
})
const [folder, output] = positionals
if (!output) throw new Error('usage: node scripts/networks/faces.mjs PACKAGE OUTPUT.onnx [--check]')

const stored = readWeights(folder, 'face_recognition', [
  'b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589',
  'cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b',
])
const weights = stored.tensors
const network = builder()
const { constants, add } = network

/** A convolution with the scale layer behind it; filters are stored as height, width, in, out. */
function conv(input, name, { stride = 1, pad, relu }) {
  const { shape, data } = weights.get(`${name}/conv/filters`)
  const [height, width, inputs, outputs] = shape
  const scale = weights.get(`${name}/scale/weights`).data
  const filters = new Float32Array(data.length)
  for (let p = 0; p < height * width; p++)
    for (let i = 0; i < inputs; i++)
      for (let o = 0; o < outputs; o++)
        filters[(o * inputs + i) * height * width + p] = data[(p * inputs + i) * outputs + o] * scale[o]
  const bias = weights.get(`${name}/conv/bias`).data
  const offset = weights.get(`${name}/scale/biases`).data
  constants.set(`${name} weights`, floatConstant([outputs, inputs, height, width], filters))
  constants.set(
    `${name} bias`,
    floatConstant(
      [outputs],
      bias.map((value, o) => value * scale[o] + offset[o]),
    ),
  )
  const sum = add('Conv', [input, `${name} weights`, `${name} bias`], `${name} sum`, {
    kernel_shape: ints([height, width]),
    strides: ints([stride, stride]),
    pads: ints([pad, pad, pad, pad]),
  })
  return relu ? add('Relu', [sum], `${name} out`) : sum
}

function residual(input, name) {
  const inner = conv(input, `${name}/conv1`, { pad: 1, relu: true })
  const outer = conv(inner, `${name}/conv2`, { pad: 1, relu: false })
  return add('Relu', [add('Add', [outer, input], `${name} sum`)], `${name} out`)
}

/** Halves the resolution. The package fills up with zeros at the right and below, and behind the last channel. */
function residualDown(input, name, { channels, size, fill }) {
  const inner = conv(input, `${name}/conv1`, { stride: 2, pad: 0, relu: true })
  let outer = conv(inner, `${name}/conv2`, { pad: 1, relu: false })
  if (fill) outer = padded(outer, `${name} filled`, [0, 0, 0, 0, 0, 0, 1, 1])
  const halved = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }
  let pooled = add('AveragePool', [input], `${name} pooled`, halved)
  if (channels > 0) {
    constants.set(`${name} zeros`, floatConstant([1, channels, size, size], new Float32Array(channels * size * size)))
    pooled = add('Concat', [pooled, `${name} zeros`], `${name} widened`, { axis: { kind: 'int', value: 1 } })
  }
  return add('Relu', [add('Add', [pooled, outer], `${name} sum`)], `${name} out`)
}

function padded(input, name, pads) {
  constants.set(`${name} pads`, int64Constant([8], pads))
  return add('Pad', [input, `${name} pads`], name)
}

function build() {
  let x = conv('input', 'conv32_down', { stride: 2, pad: 0, relu: true })
  x = add('MaxPool', [x], 'pooled', { kernel_shape: ints([3, 3]), strides: ints([2, 2]) })
  for (const i of [1, 2, 3]) x = residual(x, `conv32_${i}`)
  x = residualDown(x, 'conv64_down', { channels: 32, size: 17 })
  for (const i of [1, 2, 3]) x = residual(x, `conv64_${i}`)
  x = residualDown(x, 'conv128_down', { channels: 64, size: 8 })
  for (const i of [1, 2]) x = residual(x, `conv128_${i}`)
  x = residualDown(x, 'conv256_down', { channels: 128, size: 4, fill: true })
  for (const i of [1, 2]) x = residual(x, `conv256_${i}`)
  x = residualDown(x, 'conv256_down_out', { channels: 0, size: 2, fill: true })
  x = add('Flatten', [add('GlobalAveragePool', [x], 'mean')], 'flat')
  const { shape, data } = weights.get('fc')
  constants.set('fc', floatConstant(shape, data))
  add('MatMul', [x, 'fc'], 'embedding')
  return graphOf('face recognition', network, { input: [1, 3, 150, 150] }, { embedding: [1, 128] })
}

const manifest = {
  mean: [122.782, 117.001, 104.298],
  std: [255, 255, 255],
  colorOrder: 'rgb',
  resize: 'contain',
  scores: 'none',
  output: 'embedding',
  // The package takes a Euclidean distance of 0.6 between vectors of about length 1 for the same person.
  embedding: { output: 'embedding', distance: 0.18 },
}
const bytes = serializeModel(build(), manifestMetadata(manifest))
const digest = createHash('sha256').update(bytes).digest('hex')
if (digest !== '87e4e3c4ad26972c2c719d789306bf4818cc5b5870f1d567a64249811af8ff3a')
  throw new Error(`the converted network has the digest ${digest}, not the one that was compared with the package`)
writeFileSync(output, bytes)
console.log(`${output}: ${bytes.length} bytes, sha256 ${digest}`)
if (values.check) await check()

/** The least cosine between our vectors and the package's own. */
async function check() {
  const { openClassifier } = await import('../../dist/classifier.js')
  const { frameOf } = await import('../../dist/frame.js')
  const { decodeFile } = await import('../../dist/pixels/decode.js')
  const { faceapi, tf, fill } = await loadPackage(folder)
  const net = new faceapi.FaceRecognitionNet()
  fill(net, stored)
  const classifier = await openClassifier({ model: output, engine: 'auto', threads: 2 })
  console.log(JSON.stringify(classifier.engine.describe()))
  for (const name of ['cat', 'bird', 'parrot']) {
    const { data } = await sized(await decodeFile(new URL(`../../models/photos/${name}.jpg`, import.meta.url).pathname))
    const outcome = await classifier.classify(frameOf({ data, width: 150, height: 150 }))
    if (!outcome.ok) throw new Error(outcome.reason)
    const theirs = await net.forwardInput(new faceapi.NetInput([tf.tensor3d(data, [150, 150, 3], 'int32')])).data()
    const same = cosine(classifier.output.data, theirs)
    console.log(`${name}: cosine ${same}`)
    if (!(same >= 0.9999)) process.exitCode = 1
  }
  await classifier.close()
}

/** The middle of a picture, every pixel as it is: both get the same bytes. */
function sized({ data, width, height }) {
  const [left, top] = [Math.floor((width - 150) / 2), Math.floor((height - 150) / 2)]
  const crop = new Uint8Array(150 * 150 * 3)
  for (let y = 0; y < 150; y++)
    crop.set(data.subarray(((top + y) * width + left) * 3, ((top + y) * width + left + 150) * 3), y * 150 * 3)
  return { data: crop }
}

function cosine(a, b) {
  const product = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0)
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b))
}
