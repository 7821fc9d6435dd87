#!/usr/bin/env node
// Converts the face detector (SSD on MobileNet V1) of the npm package @vladmandic/face-api 1.7.15 (MIT) into ONNX: a picture of
// 512 × 512 in, boxes relative to 5118 anchors and their scores out. The manifest in the file has the anchors.
//   npm pack @vladmandic/face-api@1.7.15 && tar xf vladmandic-face-api-1.7.15.tgz
//   node scripts/networks/face-detector.mjs package faces.onnx
//   node scripts/networks/face-detector.mjs package faces.onnx --reference FOLDER PICTURE...
// --reference writes what the package's own code finds in pictures, and the network with a low threshold, for detectors.mjs.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { floatConstant, int64Constant } from '../../dist/model/graph.js'
import { manifestMetadata } from '../../dist/model/metadata/schema.js'
import { serializeModel } from '../../dist/model/onnx/serialize.js'
import { builder, graphOf, ints, loadPackage, readWeights } from './face-api.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { reference: { type: 'string' } } })
const [folder, output, ...pictures] = positionals
if (!output)
  throw new Error('usage: node scripts/networks/face-detector.mjs PACKAGE OUTPUT.onnx [--reference FOLDER PICTURE...]')

const side = 512
const stored = readWeights(folder, 'ssd_mobilenetv1', [
  '2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8',
  '888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955',
])
const weights = stored.tensors
const made = builder()
const { constants, add } = made

/** Filters [height, width, in, out] in ONNX's order; `pick` chooses output channels. */
function ordered(
  { shape: [height, width, inputs, outputs], data },
  pick = Array.from({ length: outputs }, (_, o) => o),
) {
  const filters = new Float32Array(height * width * inputs * pick.length)
  pick.forEach((from, to) => {
    for (let p = 0; p < height * width; p++)
      for (let i = 0; i < inputs; i++)
        filters[(to * inputs + i) * height * width + p] = data[(p * inputs + i) * outputs + from]
  })
  return floatConstant([pick.length, inputs, height, width], filters)
}

function clipped(input, name) {
  constants.set('zero', floatConstant([], Float32Array.of(0)))
  constants.set('six', floatConstant([], Float32Array.of(6)))
  return add('Clip', [input, 'zero', 'six'], name)
}

function conv(input, name, stride = 1) {
  constants.set(`${name} weights`, ordered(weights.get(`${name}/weights`)))
  constants.set(
    `${name} bias`,
    floatConstant([weights.get(`${name}/weights`).shape[3]], weights.get(`${name}/convolution_bn_offset`).data),
  )
  const sum = add('Conv', [input, `${name} weights`, `${name} bias`], `${name} sum`, {
    strides: ints([stride, stride]),
    auto_pad: { kind: 'string', value: 'SAME_UPPER' },
  })
  return clipped(sum, `${name} out`)
}

/** The package adds this to a variance, and takes the root of the sum. */
const epsilon = 0.0010000000474974513

/** A depthwise convolution with the normalization behind it. */
function depthwise(input, name, stride) {
  const { shape, data } = weights.get(`${name}/depthwise_weights`)
  const [height, width, channels] = shape
  const of = (what) => weights.get(`${name}/BatchNorm/${what}`).data
  const scale = of('gamma').map((value, c) => value / Math.sqrt(of('moving_variance')[c] + epsilon))
  const filters = new Float32Array(data.length)
  for (let p = 0; p < height * width; p++)
    for (let c = 0; c < channels; c++) filters[c * height * width + p] = data[p * channels + c] * scale[c]
  constants.set(`${name} weights`, floatConstant([channels, 1, height, width], filters))
  const bias = of('beta').map((value, c) => value - of('moving_mean')[c] * scale[c])
  constants.set(`${name} bias`, floatConstant([channels], bias))
  const sum = add('Conv', [input, `${name} weights`, `${name} bias`], `${name} sum`, {
    strides: ints([stride, stride]),
    group: { kind: 'int', value: channels },
    auto_pad: { kind: 'string', value: 'SAME_UPPER' },
  })
  return clipped(sum, `${name} out`)
}

/** Boxes [1, n, 4] or, of the three classes, the scores of faces [1, n, 1] at all places of a map. */
function predicted(input, name, { numbers, pick }) {
  const { shape } = weights.get(`${name}/weights`)
  const channels = Array.from({ length: shape[3] }, (_, c) => c).filter((c) => pick === undefined || c % 3 === pick)
  const bias = weights.get(`${name}/biases`).data
  constants.set(`${name} weights`, ordered(weights.get(`${name}/weights`), channels))
  constants.set(
    `${name} bias`,
    floatConstant(
      [channels.length],
      Float32Array.from(channels, (c) => bias[c]),
    ),
  )
  const sum = add('Conv', [input, `${name} weights`, `${name} bias`], `${name} sum`)
  const turned = add('Transpose', [sum], `${name} turned`, { perm: ints([0, 2, 3, 1]) })
  constants.set(`rows of ${numbers}`, int64Constant([3], [1, -1, numbers]))
  return add('Reshape', [turned, `rows of ${numbers}`], `${name} rows`)
}

function build() {
  let x = conv('input', 'MobilenetV1/Conv2d_0_pointwise', 2)
  let eleventh = ''
  for (let i = 1; i <= 13; i++) {
    x = depthwise(x, `MobilenetV1/Conv2d_${i}_depthwise`, [2, 4, 6, 12].includes(i) ? 2 : 1)
    x = conv(x, `MobilenetV1/Conv2d_${i}_pointwise`)
    if (i === 11) eleventh = x
  }
  const maps = [eleventh, x]
  for (let i = 0; i < 8; i++) {
    x = conv(x, `Prediction/Conv2d_${i}_pointwise`, i % 2 === 0 ? 1 : 2)
    if (i % 2 === 1) maps.push(x)
  }
  const joined = (what, form, name) =>
    add(
      'Concat',
      maps.map((map, i) => predicted(map, `Prediction/BoxPredictor_${i}/${what}`, form)),
      name,
      { axis: { kind: 'int', value: 1 } },
    )
  joined('BoxEncodingPredictor', { numbers: 4 }, 'boxes')
  joined('ClassPredictor', { numbers: 1, pick: 1 }, 'scores')
  return graphOf('face detector', made, { input: [1, 3, side, side] }, { boxes: [1, 5118, 4], scores: [1, 5118, 1] })
}

/** The stored anchors are top, left, bottom, right. */
function anchors() {
  const { data } = weights.get('Output/extra_dim')
  return Array.from({ length: data.length / 4 }, (_, i) => {
    const [top, left, bottom, right] = data.subarray(4 * i, 4 * i + 4)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
  })
}

const graph = build()
const written = (minScore) =>
  serializeModel(
    graph,
    manifestMetadata({
      labels: ['face'],
      mean: [127.5, 127.5, 127.5],
      std: [127.5, 127.5, 127.5],
      colorOrder: 'rgb',
      resize: 'contain',
      task: 'detect',
      detect: {
        format: 'ssd',
        boxes: 'boxes',
        scores: 'scores',
        coordinates: 'centre-yx',
        exponential: true,
        activation: 'sigmoid',
        scales: [10, 10, 5, 5],
        anchors: anchors(),
        minScore,
        overlap: 0.5,
      },
    }),
  )
const bytes = written(0.5)
const digest = createHash('sha256').update(bytes).digest('hex')
if (digest !== '990aee96146020e3856b4c90992af0be729faf821ab58909e0946f31f0cbcff0')
  throw new Error(`the converted network has the digest ${digest}, not the one that was compared with the package`)
writeFileSync(output, bytes)
console.log(`${output}: ${bytes.length} bytes, sha256 ${digest}`)
if (values.reference !== undefined) await refer(values.reference)

/** What the package finds from a score of 0.1 on. */
async function refer(into) {
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'face-api.onnx'), written(0.1))
  const { faceapi, tf, fill } = await loadPackage(folder)
  const net = new faceapi.SsdMobilenetv1()
  fill(net, stored)
  for (const picture of pictures) {
    const name = join(into, `face-api-${basename(picture, extname(picture))}`)
    await sharp(picture)
      .removeAlpha()
      .toColourspace('srgb')
      .resize(side, side, { fit: 'fill' })
      .png()
      .toFile(`${name}.png`)
    const pixels = await sharp(`${name}.png`).raw().toBuffer()
    const input = new faceapi.NetInput([tf.tensor3d(pixels, [side, side, 3], 'int32')])
    const found = await net.locateFaces(input, { minConfidence: 0.1, maxResults: 100 })
    const reference = {
      network: 'face-api.onnx',
      side,
      boxes: found.map(({ box: { left, top, right, bottom } }) => [left, top, right, bottom]),
      scores: found.map(({ score }) => score),
      labels: found.map(() => 'face'),
    }
    writeFileSync(`${name}.json`, JSON.stringify(reference))
    console.log(
      `${picture}: ${found.length} boxes${found.length > 0 ? `, best ${reference.scores[0].toFixed(4)}` : ''}`,
    )
  }
}
