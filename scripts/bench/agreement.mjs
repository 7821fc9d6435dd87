// How often gapcam names the same best class as other runtimes on the same 8-bit files:
//
//   node scripts/bench/agreement.mjs [MODEL...] [--pictures 1040] [--python PYTHON] [--json]
//
// MODEL: default the 8-bit files of ../shared/models. Pictures: crops of the photographs of ../shared/images and the pictures of
// ../shared/teach. Each goes as one tensor of pixels through the native engine, through onnxruntime (for .onnx its own file) and, for
// .tflite where PYTHON has ai-edge-litert, through LiteRT. A tie counts for both classes.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
import { frameOf } from '../../dist/frame.js'
import { openModel } from '../../dist/index.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'

const shared = process.env.GAPCAM_SHARED ?? fileURLToPath(new URL('../../../shared', import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pictures: { type: 'string', default: '1040' },
    python: { type: 'string', default: process.env.GAPCAM_PYTHON ?? 'python3' },
    json: { type: 'boolean', default: false },
  },
})
const own = [
  'efficientnet-lite0-int8.onnx',
  'mobilenet-v2-int8.onnx',
  'inat-birds-mobilenet-v2-int8.onnx',
  'mobilenet-v2-uint8.tflite',
]
const models = positionals.length > 0 ? positionals : own.map((name) => join(shared, 'models', name))

/** Half of the pictures are crops of photographs on a grid of places and sizes, half are pictures for teaching. */
function pictures(count) {
  const photographs = readdirSync(join(shared, 'images')).filter((name) => name.endsWith('.jpg'))
  const crops = Array.from({ length: Math.ceil(count / 2) }, (_, i) => {
    const turn = Math.floor(i / photographs.length)
    const share = 1 - 0.08 * (turn % 7)
    const [x, y] = [((turn * 0.618) % 1) * (1 - share), ((turn * 0.414) % 1) * (1 - share)]
    const view = { roi: { x, y, width: share, height: share }, flipX: turn % 2 === 1 }
    return { file: join(shared, 'images', photographs[i % photographs.length]), view }
  })
  const taught = readdirSync(join(shared, 'teach'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jpg'))
    .sort()
  const wanted = Math.min(count - crops.length, taught.length)
  const scenes = Array.from({ length: wanted }, (_, i) => ({
    file: join(shared, 'teach', taught[Math.floor((i * taught.length) / wanted)]),
    view: {},
  }))
  return [...crops, ...scenes]
}

/** A code of unsigned bytes as one of signed bytes. */
const signed = ({ scale, zeroPoint }) => ({ type: 'int8', scale, zeroPoint: zeroPoint - 128 })

/** The pictures as the model's own input, in the order of its file; each file is decoded once. */
async function* inputsOf(path, input, list) {
  const classifier = await openClassifier({ model: path })
  const decoded = new Map()
  for (const { file, view } of list) {
    if (!decoded.has(file)) decoded.set(file, frameOf(await decodeFile(file)))
    // Other runtimes take the pixels as the file has them: real numbers, levels, or the bytes of an int8 input.
    const { code, ...real } = classifier.preprocessing(view)
    const spec = {
      ...real,
      layout: input.layout,
      ...(input.type === 'int8' ? { code: signed(code) } : { type: input.type }),
    }
    const pass = createPreprocessor(spec)
    const kinds = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }
    const data = new kinds[input.type](3 * spec.height * spec.width)
    await pass.run(decoded.get(file), data)
    pass.close()
    if (file.includes('teach')) decoded.delete(file)
    yield data
  }
  await classifier.close()
}

const bestOf = (scores) => {
  const most = scores.reduce((best, value) => Math.max(best, value), -Infinity)
  return new Set([...scores.keys()].filter((i) => scores[i] === most))
}
const areSame = (one, other) => [...one].some((index) => other.has(index))

/** The best classes of LiteRT for inputs in a file; null where no Python has it. */
function litert(path, inputsFile, count) {
  const program = `
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1]); model.allocate_tensors()
given, result = model.get_input_details()[0], model.get_output_details()[0]
pictures = numpy.fromfile(sys.argv[2], given["dtype"]).reshape(int(sys.argv[3]), *given["shape"])
for picture in pictures:
    model.set_tensor(given["index"], picture); model.invoke()
    scores = model.get_tensor(result["index"]).ravel()
    print("BEST", *numpy.flatnonzero(scores == scores.max()))
`
  const run = spawnSync(values.python, ['-c', program, path, inputsFile, String(count)], { encoding: 'utf8' })
  if (run.status !== 0 && /No module named/.test(run.stderr)) return null
  if (run.status !== 0) throw new Error(run.stderr.trimEnd().split('\n').pop())
  return run.stdout
    .split('\n')
    .filter((line) => line.startsWith('BEST'))
    .map((line) => new Set(line.split(' ').slice(1).map(Number)))
}

/** How many pictures get the same best class from the native engine and from each of the others. */
async function agreement(path, list) {
  const isTflite = path.endsWith('.tflite')
  const options = { integers: true, inputSize: { height: 224, width: 224 }, planCache: false }
  const native = await openModel(path, { ...options, engine: 'native' })
  const other = await openModel(path, { ...options, engine: 'onnxruntime' })
  const best = { native: [], onnxruntime: [] }
  const kept = []
  for await (const data of inputsOf(path, native.inputs[0], list)) {
    best.native.push(bestOf(Object.values(await native.run(data))[0].data))
    best.onnxruntime.push(bestOf(Object.values(await other.run(data))[0].data))
    if (isTflite) kept.push(Buffer.from(data.buffer))
  }
  await native.close()
  await other.close()
  if (isTflite) {
    const folder = mkdtempSync(join(tmpdir(), 'gapcam-agreement-'))
    writeFileSync(join(folder, 'inputs'), Buffer.concat(kept))
    const found = litert(path, join(folder, 'inputs'), kept.length)
    rmSync(folder, { recursive: true })
    if (found) best.litert = found
  }
  const { native: ours, ...others } = best
  const same = Object.entries(others).map(([name, theirs]) => [
    name,
    ours.filter((a, i) => areSame(a, theirs[i])).length,
  ])
  return { model: basename(path), pictures: ours.length, same: Object.fromEntries(same) }
}

const list = pictures(Number(values.pictures))
for (const path of models) {
  const result = await agreement(path, list)
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else
    for (const [name, same] of Object.entries(result.same))
      process.stdout.write(
        `${result.model}: the best class of ${name} on ${same} of ${result.pictures} (${((same / result.pictures) * 100).toFixed(2)} %)\n`,
      )
}
process.exit(0)
