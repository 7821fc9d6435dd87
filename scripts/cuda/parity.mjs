// Compares whole networks on the emulated CUDA kernels of every generation with the scalar executor: float32 within
// 1e-4 of the logits' range, float16 within 2e-2, and the same top label. The only exception, which is reported, is a
// tie: two scores within 0.1 % of the range that change places in the scalar executor too if only the picture is
// rounded to half precision.
//   node scripts/cuda/parity.mjs                       every model of models/ and of the shared folder (about half an hour)
//   node scripts/cuda/parity.mjs MODEL.onnx[@SIDE] …   these models, with the given input size
//   --json   one JSON object for each model and generation on stdout
// The inputs are the photographs of models/photos if the model takes a picture of at least 64 × 64, otherwise seeded
// noise.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeFile } from '../../dist/pixels/decode.js'
import { frameOf } from '../../dist/frame.js'
import { compilePlan } from '../../dist/model/compile.js'
import { findManifest } from '../../dist/model/metadata/manifest.js'
import { loadModel } from '../../dist/model/load.js'
import { serializePlan } from '../../dist/model/plan.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'
import { buildPrograms, programFolder } from '../build/native-programs.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const limits = { f32: 1e-4, f16: 2e-2 }
/** The largest difference between the two scores of a tie, as a share of the range. */
const tie = 1e-3

export function buildParity() {
  buildPrograms('cuda_parity')
  return `${programFolder}/cuda_parity`
}

async function planOf(file, side) {
  const model = await loadModel(file)
  const manifest = (await findManifest(model)).manifest
  const isFree = model.graph.inputs.some(({ shape }) => shape?.some((size, i) => i > 0 && typeof size !== 'number'))
  const [height, width] = side ? [side, side] : (manifest.inputSize ?? [224, 224])
  const compiled = compilePlan(prepareGraph(model.graph, side || isFree ? { inputSize: { height, width } } : {}))
  if ('unsupported' in compiled) throw new Error(`${file}: ${compiled.unsupported[0]?.reason}`)
  return { plan: compiled.plan, manifest }
}

/** Numbers in [-1, 1) from a seed: mulberry32. */
function noise(length) {
  let state = 7
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2147483648 - 1
  })
}

async function picturesFor({ plan, manifest }, count) {
  const shapes = plan.inputs.map(({ tensor }) => plan.tensors[tensor].shape)
  const [n, height, width, channels] = shapes[0]
  if (shapes.length > 1 || n !== 1 || channels !== 3 || height < 64)
    return shapes.map((shape) => noise(shape.reduce((a, b) => a * b, 1)))
  const spec = {
    height,
    width,
    layout: 'nhwc',
    type: 'float32',
    order: manifest.colorOrder ?? 'rgb',
    mean: manifest.mean ?? [123.675, 116.28, 103.53],
    std: manifest.std ?? [58.395, 57.12, 57.375],
    resize: 'cover',
  }
  const pass = createPreprocessor(spec)
  const files = readdirSync(`${root}models/photos`)
    .filter((name) => name.endsWith('.jpg'))
    .slice(0, count)
  const pictures = []
  for (const file of files) {
    const target = new Float32Array(height * width * 3)
    await pass.run(frameOf(await decodeFile(`${root}models/photos/${file}`)), target)
    pictures.push(target)
  }
  pass.close()
  return pictures
}

/** Checks one model. Resolves with a row for each generation. */
async function checkModel(program, folder, request, count) {
  const [file, side] = request.split('@')
  const model = await planOf(file, side ? Number(side) : undefined)
  writeFileSync(join(folder, 'x.plan'), serializePlan(model.plan))
  writeFileSync(
    join(folder, 'inputs'),
    Buffer.concat((await picturesFor(model, count)).map(({ buffer }) => new Uint8Array(buffer))),
  )
  const { status, stdout, stderr } = spawnSync(program, [join(folder, 'x.plan'), join(folder, 'inputs')], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${file}: ${stderr.trim()}`)
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const row = JSON.parse(line)
      return {
        model: basename(file),
        ...row,
        passed:
          row.share <= limits[row.generation.slice(-3)] && row.otherLabels === row.roundedLabels && row.lead < tie,
      }
    })
}

function everyModel() {
  const shared = process.env.GAPCAM_SHARED ?? join(root, '../shared')
  const folders = [`${root}models`, ...(existsSync(shared) ? [`${shared}/zoo`, `${shared}/models`] : [])]
  return folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.onnx') && !name.includes('int8'))
      .map((name) => join(folder, name)),
  )
}

async function main() {
  const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
  const isJson = process.argv.includes('--json')
  const program = buildParity()
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-cuda-'))
  let failed = 0
  try {
    for (const request of asked.length > 0 ? asked : everyModel()) {
      for (const row of await checkModel(program, folder, request, asked.length > 0 ? 1 : 2)) {
        failed += row.passed ? 0 : 1
        console.log(
          isJson
            ? JSON.stringify(row)
            : `${row.passed ? 'ok    ' : 'FAILED'} ${row.model.padEnd(28)} ${row.generation.padEnd(11)} ${row.share.toExponential(1)} of the range, ${row.otherLabels} other labels of ${row.pictures}${row.otherLabels > 0 ? ` (${row.roundedLabels} ${row.roundedLabels === 1 ? 'is' : 'are'} the rounded picture's; led by ${row.lead.toExponential(1)})` : ''}, ${row.launches} launches, ${row.seconds} s emulated`,
        )
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exitCode = failed > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
