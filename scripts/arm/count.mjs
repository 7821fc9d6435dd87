// Counts what the arm64 addon, and onnxruntime, execute for one inference on one thread, under QEMU:
//
//   node scripts/arm/count.mjs [MODEL...] [--cpu cortex-a76,cortex-a72] [--precision fp32|fp16]
//     [--engines gapcam,onnxruntime] [--addon FILE]
//
// MODEL: default the zoo. --cpu: one or more processors, default cortex-a76. gapcam computes 8-bit files in 8 bits, from bytes. --precision fp16 is for gapcam alone.
// Prints a list of { model, engine, cpu, instructions, vector, fmla, bytesLoaded, bytesStored } as JSON. Counts do not
// depend on the machine's load and do not predict milliseconds. Vector instructions are those that compute in the vector
// registers; a few of them take a core two micro-operations. FMLA are those on vectors of single precision. Bytes are those
// that instructions access, in any cache or in memory. The counts of one inference are subtracted from those of five
// and the difference is divided by four, which removes start and opening; what Node does meanwhile adds about one
// percent. The default addon is that of `node scripts/build-native.mjs --arch arm64`. Needs qemu-user, gcc and
// g++-aarch64-linux-gnu, and the tools of scripts/fetch/test-tools.mjs.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { serializePlan } from '../../dist/model/plan.js'
import { prepareNative } from '../../dist/model/prepare.js'
import { Board } from './qemu.mjs'
import { nameOf, sizeFor, zoo } from '../bench/performance/models.mjs'

const inRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cpu: { type: 'string', default: 'cortex-a76' },
    precision: { type: 'string', default: 'fp32' },
    engines: { type: 'string', default: 'gapcam,onnxruntime' },
    addon: { type: 'string', default: inRoot('prebuilds/linux-arm64/gapcam.node') },
  },
})
const node = inRoot('.cache/tools/node_modules/node-arm64/bin/node')
const inferencesCounted = 4
const inferences = inRoot('scripts/arm/inferences.mjs')

/** Arguments of inferences.mjs for each engine. */
const programs = {
  gapcam: ({ plan }) => [options.addon, plan],
  onnxruntime: ({ file }) => [createRequire(import.meta.url).resolve('onnxruntime-node'), file],
}

/** Compiles a model to a plan file, and finds the shape of its input in the model's own order. */
async function prepared(file, folder) {
  const { graph } = await loadModel(file)
  const result = prepareNative(graph, sizeFor(graph))
  const compiled = compilePlan(result, { bytes: 'int8', byteInputs: true, precision: options.precision })
  if (!('plan' in compiled)) throw new Error(`${nameOf(file)}: ${compiled.unsupported[0].reason}`)
  const plan = join(folder, `${nameOf(file)}.plan`)
  writeFileSync(plan, serializePlan(compiled.plan))
  const input = compiled.plan.tensors[compiled.plan.inputs[0].tensor]
  const [n, h, w, c] = input.shape
  return { file, plan, shape: compiled.plan.inputs[0].layout === 'nhwc' ? [n, c, h, w] : input.shape }
}

/** The counts of one inference. */
function countOne(board, engine, network) {
  const target = engine === 'gapcam' && options.precision === 'fp16' ? 'neonhalf' : ''
  const run = (times) =>
    board.count([inferences, ...programs[engine](network), String(times), JSON.stringify(network.shape), target])
  const once = run(1)
  const more = run(1 + inferencesCounted)
  return Object.fromEntries(
    Object.entries(more).map(([key, value]) => [key, Math.round((value - once[key]) / inferencesCounted)]),
  )
}

function requireFile(file, how) {
  if (!existsSync(file)) throw new Error(`${file} is missing: run ${how}`)
}

/** A row for people, on stderr. */
function print({ model, engine, cpu, instructions, vector, fmla, bytesLoaded, bytesStored }) {
  const millions = (count) => (count / 1e6).toFixed(1).padStart(8)
  const counts = `instructions${millions(instructions)} M  vector${millions(vector)} M  FMLA${millions(fmla)} M`
  const bytes = `loaded${millions(bytesLoaded)} MB  stored${millions(bytesStored)} MB`
  console.error(`${model.padEnd(20)} ${engine.padEnd(12)} ${cpu}  ${counts}  ${bytes}`)
}

async function main() {
  const engines = options.engines.split(',')
  const unknown = engines.find((engine) => !(engine in programs))
  if (unknown) throw new Error(`--engines: ${unknown} is unknown; known are ${Object.keys(programs).join(', ')}`)
  requireFile(node, 'node scripts/fetch/test-tools.mjs')
  requireFile(options.addon, 'node scripts/build-native.mjs --arch arm64')
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-plans-'))
  const boards = new Map()
  try {
    for (const cpu of options.cpu.split(',')) boards.set(cpu, new Board(node, cpu))
    const rows = []
    for (const file of positionals.length > 0 ? positionals : zoo()) {
      const network = await prepared(file, folder)
      for (const [cpu, board] of boards) {
        for (const engine of engines) {
          rows.push({ model: nameOf(file), engine, cpu, ...countOne(board, engine, network) })
          print(rows.at(-1))
        }
      }
    }
    console.log(JSON.stringify(rows))
  } finally {
    for (const board of boards.values()) board.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(`arm-count: ${error.message}`)
  process.exitCode = 1
})
