// Measures gapcam quantize on pictures of two kinds, calibrating and judging on different ones:
//
//   node scripts/bench/quantize.mjs MODEL.onnx [--calibrate 128] [--judge 400] [--json] [--write FOLDER]
//
// photographs: crops of the photographs in ../shared/images (those of every second photograph calibrate, those of the others judge);
// scenes: pictures of ../shared/teach (its `teach` pictures calibrate, its `test` pictures judge). Both kinds calibrate together.
// --write keeps the 8-bit model and the inputs as raw floats, for scripts/bench/peers/quantise.py, which does the same with
// onnxruntime's quantiser.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
import { openEngine } from '../../dist/engine/select.js'
import { frameOf } from '../../dist/frame.js'
import { asModel } from '../../dist/model/in-memory.js'
import { loadModel } from '../../dist/model/load.js'
import { serializeModel } from '../../dist/model/onnx/serialize.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'
import { graphToQuantize } from '../../dist/quantize/prepare.js'
import { compareOutputs, outputsOf } from '../../dist/quantize/quality.js'
import { quantizeModel } from '../../dist/quantize/quantize.js'

const shared = process.env.GAPCAM_SHARED ?? new URL('../../../shared', import.meta.url).pathname
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    calibrate: { type: 'string', default: '128' },
    judge: { type: 'string', default: '400' },
    write: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const [path] = positionals
if (path === undefined) throw new Error('usage: node scripts/bench/quantize.mjs MODEL.onnx [--calibrate N] [--judge N]')

/** Numbers from 0 to 1, the same in every run (mulberry32). */
let seed = 1
function random() {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/** `count` crops of 55 to 100 % of the shorter side, every second one mirrored. */
function cropsOf(files, count) {
  return Array.from({ length: count }, (_, i) => {
    const share = 0.55 + 0.45 * random()
    const [x, y] = [random() * (1 - share), random() * (1 - share)]
    return { file: files[i % files.length], view: { roi: { x, y, width: share, height: share }, flipX: i % 2 === 1 } }
  })
}

function spread(list, count) {
  return Array.from({ length: Math.min(count, list.length) }, (_, i) => list[Math.floor((i * list.length) / count)])
}

function pictures() {
  const photographs = readdirSync(join(shared, 'images'))
    .filter((name) => name.endsWith('.jpg'))
    .map((name) => join(shared, 'images', name))
  const { tasks } = JSON.parse(readFileSync(join(shared, 'teach/tasks.json'), 'utf8'))
  const scenes = (part) =>
    tasks.flatMap(({ states }) =>
      Object.values(states).flatMap((state) =>
        state[part].map(({ file }) => ({ file: join(shared, 'teach', file), view: {} })),
      ),
    )
  const [calibrate, judge] = [Number(values.calibrate) / 2, Number(values.judge) / 2]
  const half = (rest) => photographs.filter((_, i) => i % 2 === rest)
  return {
    calibrating: [...cropsOf(half(0), calibrate), ...spread(scenes('teach'), calibrate)],
    photographs: cropsOf(half(1), judge),
    scenes: spread(scenes('test'), judge),
  }
}

const classifier = await openClassifier({ model: path })
async function inputsOf(list) {
  const inputs = []
  for (const { file, view } of list) {
    const spec = { ...classifier.preprocessing(view), layout: 'nchw', type: 'float32' }
    const pass = createPreprocessor(spec)
    const input = new Float32Array(3 * spec.height * spec.width)
    await pass.run(frameOf(await decodeFile(file)), input)
    pass.close()
    inputs.push(input)
  }
  return inputs
}
const sets = {}
for (const [name, list] of Object.entries(pictures())) sets[name] = await inputsOf(list)
const { height, width } = classifier.preprocessing()
await classifier.close()

const graph = graphToQuantize(await loadModel(path), { height, width })
async function run(graphToRun, inputs) {
  const engine = await openEngine(asModel(graphToRun, { path }), 'auto', {})
  const outputs = await outputsOf(engine, inputs)
  await engine.close()
  return outputs
}
const started = performance.now()
// All layers in 8 bits: the figures are those of the quantiser, not of the layers that it leaves out.
const judging = sets.photographs.slice(0, 2)
const quantized = await quantizeModel({
  graph,
  path,
  calibrating: sets.calibrating,
  judging,
  engine: {},
  mostReverted: 0,
})
const seconds = Math.round((performance.now() - started) / 1000)
const bytes = serializeModel(quantized.graph, new Map())
const file = values.write && join(values.write, `${basename(path, '.onnx')}.gapcam.onnx`)
if (file) {
  mkdirSync(values.write, { recursive: true })
  writeFileSync(file, bytes)
}
const result = {
  model: basename(path),
  calibrated: sets.calibrating.length,
  layers: quantized.layers,
  seconds,
}
for (const kind of ['photographs', 'scenes'])
  result[kind] = {
    pictures: sets[kind].length,
    ...compareOutputs(await run(graph, sets[kind]), await run(quantized.graph, sets[kind])),
  }
if (values.write)
  for (const [name, inputs] of Object.entries(sets))
    writeFileSync(
      join(values.write, `${basename(path, '.onnx')}.${name}.f32`),
      Buffer.concat(inputs.map((input) => Buffer.from(input.buffer))),
    )
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
else {
  const { model, calibrated, layers } = result
  process.stdout.write(`${model}: ${layers} layers in 8 bits, ${calibrated} pictures calibrated, ${seconds} s\n`)
  for (const kind of ['photographs', 'scenes']) {
    const { pictures: count, agreement, sqnrDb } = result[kind]
    process.stdout.write(
      `${kind} (${count}): the same best class on ${(agreement * 100).toFixed(2)} %, ${sqnrDb.toFixed(1)} dB\n`,
    )
  }
}
process.exit(0)
