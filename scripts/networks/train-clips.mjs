// Makes models/clips.onnx: which action a clip of 16 frames shows. Its filters are those of motion energy (Adelson and Bergen
// 1985: pairs of waves that move, squared), pooled over parts of time and place; only the last layer is learned, by the ridge
// regression that gapcam teach uses. A minute or two, seeded:
//
//   npm run build && node scripts/networks/train-clips.mjs [--check] [--clips 240]
//
// Learned from clips of five photographs, tested on clips of three others. --check trains nothing and prints the table of the
// model that is there.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { actions, paintAction } from '../../dist/camera/clip-scene.js'
import { openClassifier } from '../../dist/classifier.js'
import { frameOf } from '../../dist/frame.js'
import { floatConstant, int64Constant, madeNode } from '../../dist/model/graph.js'
import { serializeModel } from '../../dist/model/onnx/serialize.js'
import { loadSharp } from '../../dist/pixels/sharp.js'
import { fitRidge } from '../../dist/teach/ridge.js'

const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, clips: { type: 'string', default: '240' } },
})
const root = join(import.meta.dirname, '../..')
const model = join(root, 'models/clips.onnx')
const [frames, side, everyMs] = [16, 64, 100]
const taught = ['cat.jpg', 'cat-720p.jpg', 'dragonfly.jpg', 'hot-dog.jpg', 'hot-dog-2.jpg']
const others = ['bird.jpg', 'parrot.jpg', 'sunflower.jpg']

let state = 1
/** Uniform from `least` to `most`, the same on every machine. */
function uniform(least = 0, most = 1) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return least + ((most - least) * state) / 2 ** 32
}

// ---- the network

const ints = (value) => ({ kind: 'ints', value })

/** Speeds in pixels a frame, at half the input's resolution. */
const speeds = [0.4, 0.9, 1.8, 3]
const kernel = 7
const times = 5

/** Pairs of waves that move: left and right, up and down at each speed; and waves that stand. */
function filters() {
  const directions = [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ]
  const waves = speeds.flatMap((speed) => directions.map(([dx, dy]) => ({ dx, dy, speed })))
  waves.push({ dx: 1, dy: 0, speed: 0 }, { dx: 0, dy: 1, speed: 0 })
  const weights = []
  for (const { dx, dy, speed } of waves)
    for (const phase of [0, Math.PI / 2]) {
      // A fast thing is seen by a long wave only.
      const length = Math.max(4, 3 * speed)
      const wave = []
      for (let t = 0; t < times; t++)
        for (let y = 0; y < kernel; y++)
          for (let x = 0; x < kernel; x++) {
            const [u, v, w] = [x - (kernel - 1) / 2, y - (kernel - 1) / 2, t - (times - 1) / 2]
            const envelope = Math.exp(-(u * u + v * v) / 8 - (w * w) / 3)
            wave.push(envelope * Math.cos((2 * Math.PI * (dx * u + dy * v - speed * w)) / length + phase))
          }
      const mean = wave.reduce((a, b) => a + b, 0) / wave.length
      const norm = Math.hypot(...wave.map((each) => each - mean))
      weights.push(...wave.map((each) => (each - mean) / norm))
    }
  return { weights: Float32Array.from(weights), pairs: waves.length }
}

/** The graph; without a head it ends in the features. */
function graphWith(head) {
  const constants = new Map()
  const nodes = []
  const add = (name, shape, data) => {
    constants.set(name, floatConstant(shape, Float32Array.from(data)))
    return name
  }
  const op = (name, inputs, output, attributes = {}) => {
    nodes.push(madeNode(name, { inputs, output, attributes }))
    return output
  }
  const { weights, pairs } = filters()
  const grey = op('Conv', ['clip', add('luma', [1, 3, 1, 1, 1], [0.299, 0.587, 0.114])], 'grey')
  const half = op('AveragePool', [grey], 'half', { kernel_shape: ints([1, 2, 2]), strides: ints([1, 2, 2]) })
  const waves = op('Conv', [half, add('waves', [2 * pairs, 1, times, kernel, kernel], weights)], 'moving', {
    pads: ints([0, 3, 3, 0, 3, 3]),
  })
  const sums = Array.from({ length: pairs * 2 * pairs }, (_, i) =>
    Math.floor((i % (2 * pairs)) / 2) === Math.floor(i / (2 * pairs)) ? 1 : 0,
  )
  const squares = op('Mul', [waves, waves], 'squares')
  const energy = op(
    'Conv',
    [squares, add('sums', [pairs, 2 * pairs, 1, 1, 1], sums), add('least', [pairs], Array(pairs).fill(1e-4))],
    'energy',
  )
  const size = op('Sqrt', [energy], 'size')
  // Parts of time and place, and the mean over all of both.
  const parts = op('AveragePool', [size], 'parts', { kernel_shape: ints([4, 8, 8]), strides: ints([4, 8, 8]) })
  const mean = op('GlobalAveragePool', [size], 'mean')
  const length = pairs * 3 * 4 * 4
  constants.set('row', int64Constant([2], [1, length]))
  constants.set('short', int64Constant([2], [1, pairs]))
  const row = op(
    'Concat',
    [op('Reshape', [parts, 'row'], 'parts row'), op('Reshape', [mean, 'short'], 'mean row')],
    'row of all',
    { axis: { kind: 'int', value: 1 } },
  )
  const features = op('LpNormalization', [row], 'features', {
    axis: { kind: 'int', value: 1 },
    p: { kind: 'int', value: 2 },
  })
  const count = length + pairs
  if (head)
    op(
      'Gemm',
      [features, add('head', [count, actions.length], head.weights), add('bias', [actions.length], head.bias)],
      'scores',
    )
  const output = head
    ? { name: 'scores', type: 'float32', shape: [1, actions.length] }
    : { name: 'features', type: 'float32', shape: [1, count] }
  return {
    opset: 17,
    name: 'clips',
    inputs: [{ name: 'clip', type: 'float32', shape: [1, 3, frames, side, side] }],
    outputs: [output],
    nodes,
    constants,
    values: new Map(),
  }
}

const manifest = `# Made by scripts/networks/train-clips.mjs.
version: 1
labels: [${actions.join(', ')}]
mean: [127.5, 127.5, 127.5]
std: [127.5, 127.5, 127.5]
resize: stretch
video:
  everyMs: ${everyMs}
`

// ---- the clips

const sharp = await loadSharp()
async function photosOf(files) {
  return Promise.all(
    files.map(async (file) => {
      const photo = sharp(join(root, 'models/photos', file))
        .resize(120, 120, { fit: 'cover' })
        .removeAlpha()
        .raw()
      return { data: await photo.toBuffer(), side: 120 }
    }),
  )
}

const size = { width: 128, height: 96 }

/** The pictures of one clip. */
function* clipOf(action, photo) {
  const play = {
    action,
    x: uniform(0.35, 0.65),
    y: uniform(0.35, 0.65),
    near: uniform(0.7, 1.1),
    far: uniform(0.1, 0.25),
    side: uniform(0.35, 0.95),
  }
  const light = { phase: uniform(0, 6), speed: uniform(0, 0.08), bar: uniform(0.05, 0.12) }
  const noise = uniform(0, 6)
  const length = Math.round(uniform(20, 34))
  const start = Math.floor(uniform(0, length - frames + 0.999))
  for (let i = 0; i < frames; i++) {
    const pixels = new Uint8Array(size.width * size.height * 3)
    paintAction(pixels, size, { photo, play, light, frame: start + i, time: (start + i + 1) / length })
    for (let at = 0; at < pixels.length; at++)
      pixels[at] = Math.min(255, Math.max(0, pixels[at] + noise * (uniform() - uniform())))
    yield pixels
  }
}

let nowNs = 0n
/** What a view says of a clip: its raw numbers. */
async function answerTo(view, action, photo) {
  let outcome
  nowNs += BigInt(10 * frames * everyMs * 1e6)
  for (const data of clipOf(action, photo)) {
    nowNs += BigInt(everyMs * 1e6)
    outcome = await view.classify(frameOf({ ...size, data }, { capturedNs: nowNs }))
  }
  if (!outcome.ok) throw new Error(outcome.detail ?? outcome.reason)
  return Float32Array.from(outcome.prediction.logits)
}

// ---- learning

async function featuresOf(photos, clipsEach) {
  const file = join(root, '.cache/clip-features.onnx')
  const length = graphWith(null).outputs[0].shape[1]
  writeFileSync(file, serializeModel(graphWith(null)))
  const labels = Array.from({ length }, (_, i) => `"${i}"`).join(', ')
  writeFileSync(file.replace('.onnx', '.yaml'), manifest.replace(/labels: .*/, `labels: [${labels}]\nscores: none`))
  const classifier = await openClassifier({ model: file })
  const view = classifier.view()
  const rows = []
  for (let i = 0; i < clipsEach; i++)
    for (const [label, action] of actions.entries())
      rows.push({ label, photo: i % photos.length, features: await answerTo(view, action, photos[i % photos.length]) })
  view.close()
  await classifier.close()
  return rows
}

async function learn() {
  const rows = await featuresOf(await photosOf(taught), Number(values.clips))
  const n = rows.length
  const products = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      const [a, b] = [rows[i].features, rows[j].features]
      for (let k = 0; k < a.length; k++) sum += a[k] * b[k]
      products[i * n + j] = products[j * n + i] = sum
    }
  // A photograph is left out with all of its clips.
  const groups = taught.map((_, photo) => rows.flatMap((row, i) => (row.photo === photo ? [i] : [])))
  const fit = await fitRidge({ products, states: rows.map(({ label }) => label), stateCount: actions.length, groups })
  const count = rows[0].features.length
  const weights = new Float64Array(count * actions.length)
  rows.forEach(({ features }, i) => {
    for (let k = 0; k < count; k++)
      for (let a = 0; a < actions.length; a++)
        weights[k * actions.length + a] += features[k] * fit.alpha[i * actions.length + a]
  })
  // Scores that are as sure as they are right on photographs that were left out.
  const lossAt = (sharpness) =>
    rows.reduce((sum, { label }, i) => {
      const row = Array.from(fit.leftOut.subarray(i * actions.length, (i + 1) * actions.length), (value) =>
        Math.exp(sharpness * value),
      )
      return sum - Math.log(row[label] / row.reduce((a, b) => a + b, 0))
    }, 0)
  const sharpness = Array.from({ length: 40 }, (_, i) => i + 1).reduce((best, each) =>
    lossAt(each) < lossAt(best) ? each : best,
  )
  const head = { weights: weights.map((w) => w * sharpness), bias: Array.from(fit.intercept, (b) => b * sharpness) }
  writeFileSync(model, serializeModel(graphWith(head)))
  writeFileSync(model.replace('.onnx', '.yaml'), manifest)
  console.error(`λ ${fit.lambda}, sharpness ${sharpness}, ${n} clips, ${count} features`)
}

// ---- the table

async function table() {
  state = 99
  const classifier = await openClassifier({ model })
  const view = classifier.view()
  const each = 60
  const counts = actions.map(() => actions.map(() => 0))
  const photos = await photosOf(others)
  for (let i = 0; i < each; i++)
    for (const [label, action] of actions.entries()) {
      const logits = await answerTo(view, action, photos[i % photos.length])
      counts[label][logits.indexOf(Math.max(...logits))]++
    }
  view.close()
  await classifier.close()
  const right = counts.reduce((sum, row, i) => sum + row[i], 0)
  const lines = [
    `| shown | ${actions.map((action) => `said: ${action}`).join(' | ')} |`,
    `| --- |${' --- |'.repeat(actions.length)}`,
    ...counts.map((row, i) => `| ${actions[i]} | ${row.join(' | ')} |`),
  ]
  const sentence = `Right: ${right} of ${each * actions.length} clips, ${((100 * right) / each / actions.length).toFixed(1)} %.`
  const text = `${lines.join('\n')}\n\n${sentence}`
  console.log(text)
  const page = join(root, 'docs/video.md')
  const before = readFileSync(page, 'utf8')
  writeFileSync(page, before.replace(/(<!-- clips -->\n)[^]*?(\n<!-- end -->)/, `$1${text}$2`))
}

if (!values.check) await learn()
await table()
