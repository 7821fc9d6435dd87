#!/usr/bin/env node
// Times the native engine beside onnxruntime on detectors and segmenters, one thread each, and prints a table:
//
//   node scripts/bench/tasks.mjs FOLDER [--json]
//
// FOLDER has .onnx and .tflite files; scripts/networks (detectors.py, mediapipe_boxes.py, face-detector.mjs) write some. Of a model that
// runs in two parts the native part is timed: both engines compute the values at the cut. They run in turns on noise; the ratio is that
// of the least processor times.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEngine } from '../../dist/engine/select.js'
import { asModel } from '../../dist/model/in-memory.js'
import { loadModel } from '../../dist/model/load.js'
import { settleInput } from '../../dist/model/metadata/input-shape.js'
import { partitionModel } from '../../dist/model/partition.js'
import { onlyOutputs, prepareNative } from '../../dist/model/prepare.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
})
const [folder] = positionals
if (folder === undefined) throw new Error('usage: node scripts/bench/tasks.mjs FOLDER [--json]')
const turns = 9
const turnMs = 400

/** The model up to the values that the native engine computes, and the share of the multiply-adds that they stand for. */
function nativePart(model, inputSize) {
  const names = model.graph.outputs.map(({ name }) => name)
  if (prepareNative(model.graph, { inputSize }).unsupported.length === 0) return { part: model, share: 1 }
  const cut = partitionModel(model, names, { inputSize })
  if ('why' in cut) throw new Error(`${model.path}: ${cut.why}`)
  return { part: asModel(onlyOutputs(model.graph, cut.boundary), model), share: cut.share }
}

async function processorMs(engine) {
  const before = process.cpuUsage()
  let runs = 0
  for (const end = performance.now() + turnMs; performance.now() < end; runs++) await engine.run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / runs
}

async function compare(file) {
  const { model, inputSize } = settleInput(await loadModel(join(folder, file)), {}, {})
  const { part, share } = nativePart(model, inputSize)
  const engines = []
  for (const choice of ['native', 'onnxruntime'])
    engines.push(await openEngine(part, choice, { inputSize, threads: 1 }))
  let state = 1
  for (const { inputs } of engines)
    for (const { data } of inputs)
      for (let i = 0; i < data.length; i++) data[i] = (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const times = engines.map(() => [])
  for (const engine of engines) await engine.run()
  for (let turn = 0; turn < turns; turn++)
    for (const [i, engine] of engines.entries()) times[i].push(await processorMs(engine))
  const [native, onnxruntime] = times.map((each) => Math.min(...each))
  const { target } = engines[0].describe()
  for (const engine of engines) await engine.close()
  return { file, share, target, native, onnxruntime, ratio: onnxruntime / native }
}

const rows = []
for (const file of readdirSync(folder).filter((name) => /\.(onnx|tflite)$/.test(name))) {
  rows.push(await compare(file))
  const { ratio, share } = rows.at(-1)
  process.stderr.write(`${file}: ${ratio.toFixed(2)}, native part ${(100 * share).toFixed(2)} %\n`)
}
if (rows.length === 0) throw new Error(`${folder} has no networks`)
const mean = Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / rows.length)
if (values.json) console.log(JSON.stringify({ rows, mean }))
else {
  console.log(
    '| network | native part | gapcam, ms | onnxruntime, ms | times as fast |\n| --- | --- | --- | --- | --- |',
  )
  for (const { file, share, native, onnxruntime, ratio } of rows)
    console.log(
      `| ${file} | ${share === 1 ? 'all' : `${(100 * share).toFixed(2)} %`} | ${native.toFixed(2)} | ${onnxruntime.toFixed(2)} | ${ratio.toFixed(2)} |`,
    )
  console.log(`| geometric mean | | | | ${mean.toFixed(2)} |`)
}
