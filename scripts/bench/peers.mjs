// Times gapcam and other runtimes on the same networks: batch 1, one process each. They take turns within one run, so a
// machine that slows down slows all of them.
//
//   node scripts/bench/peers.mjs [MODEL...] [--bits 8] [--peers a,b] [--threads 1,2] [--rounds 8] [--beside-load] [--offline] [--json]
//
// --bits 8 quantises float32 files first. gapcam, onnxruntime and OpenVINO get the same file of onnxruntime's quantiser; LiteRT
// and MNN get what their own make. A MODEL that has 8 bits already, .onnx or .tflite, goes as it is to those that read it.
// The first run installs the runtimes from PyPI into .cache/peers; --offline uses those already there. --beside-load keeps
// one core busy with another program. Every result is compared with onnxruntime's.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadModel } from '../../dist/model/load.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { macsOf } from '../../dist/model/report.js'
import { nameOf, sizeFor, zoo } from './performance/models.mjs'
import { installPeers, peerVersions } from './peers/install.mjs'
import { startPeer } from './peers/process.mjs'

const allPeers = ['gapcam', 'onnxruntime-node', 'onnxruntime', 'ncnn', 'mnn', 'litert', 'openvino']
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string', default: allPeers.join(',') },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '8' },
    bits: { type: 'string', default: '32' },
    'beside-load': { type: 'boolean', default: false },
    offline: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const peers = options.peers.split(',')
const unknown = peers.find((peer) => !allPeers.includes(peer))
if (unknown) throw new Error(`--peers: ${unknown} is none of ${allPeers.join(', ')}`)
const isPython = (peer) => peer !== 'gapcam' && peer !== 'onnxruntime-node'
// onnxruntime's quantiser is a Python program, too.
const needsPython = peers.some(isPython) || options.bits === '8'
const environments = needsPython
  ? installPeers({ isOffline: options.offline })
  : { python: null, converter: null, missing: {} }
const folder = mkdtempSync(join(tmpdir(), 'gapcam-peers-'))

/** Processor time of other programs, in cores, measured while the peers wait. */
async function busyCores() {
  const ticks = () =>
    cpus().reduce(
      ([busy, idle], { times }) => [busy + times.user + times.sys + times.irq + times.nice, idle + times.idle],
      [0, 0],
    )
  const before = ticks()
  await sleep(50)
  const [busy, idle] = ticks().map((now, i) => now - before[i])
  return (busy / Math.max(1, busy + idle)) * cpus().length
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
const round = (value) => Math.round(value * 1e4) / 1e4

/** Opens every peer. A peer that cannot be opened becomes a result with the reason. */
async function openAll(request) {
  const open = []
  const results = {}
  for (const peer of peers) {
    try {
      if (environments.missing[peer]) throw new Error(environments.missing[peer])
      open.push(await startPeer(peer, { ...request, environments }))
    } catch (error) {
      results[peer] = { error: error.message.slice(0, 200) }
      console.error(`${peer}: ${results[peer].error}`)
    }
  }
  return { open, results }
}

/** In each round every open peer has a turn of at least ten runs and 60 ms. Each round starts with another peer. */
async function takeTurns(open) {
  const gapcam = open.find(({ peer }) => peer === 'gapcam')
  const turns = new Map(open.map(({ peer }) => [peer, []]))
  const others = []
  let peakGflops = null
  for (let i = 0; i < Number(options.rounds); i++) {
    if (gapcam) peakGflops = Math.max(peakGflops ?? 0, (await gapcam.ask({ peak: true })).peak)
    others.push(round(await busyCores()))
    for (let k = 0; k < open.length; k++) {
      const one = open[(i + k) % open.length]
      const last = turns.get(one.peer).at(-1)
      const runs = Math.min(500, Math.max(10, last ? Math.ceil(60 / median(last.ms)) : 10))
      turns.get(one.peer).push(await one.ask({ warm: 3, runs }))
    }
  }
  return { turns, others, peakGflops }
}

/**
 * The largest difference from the reference output, as a share of its range. Of `isScaled` outputs each is taken as shares
 * of its own range: some runtimes give bytes, others the numbers that they stand for.
 */
function errorOf(output, judge, isScaled) {
  if (judge.length !== output.length) return Infinity
  const [own, reference] = isScaled ? [shares(output), shares(judge)] : [output, judge]
  const range = Math.max(...reference) - Math.min(...reference)
  return reference.reduce((most, value, i) => Math.max(most, Math.abs(value - own[i])), 0) / range
}

function shares(values) {
  const least = Math.min(...values)
  const range = Math.max(...values) - least
  return values.map((value) => (value - least) / range)
}

/** What becomes of a file before it is timed: nothing ('float' or 'quantized'), or its quantisation ('quantize'). */
function kindOf(file, { nodes }) {
  const isQuantized = file.endsWith('.tflite') || nodes.some(({ op }) => /Quantize|QLinear/.test(op))
  if (isQuantized) return 'quantized'
  return options.bits === '8' ? 'quantize' : 'float'
}

/**
 * The accepted error: rounding in float32. In 8 bits, a runtime that has the judge's file may round some results by a step,
 * and one with a file of its own has other ranges of values.
 */
const tolerances = { float: 1e-3, quantized: 0.1, quantize: 0.5 }

async function measure(file, threads) {
  const model = await loadModel(file)
  const size = sizeFor(model.graph)
  const { graph } = prepareGraph(model.graph, size)
  const { shape, type } = graph.inputs[0]
  const kind = kindOf(file, model.graph)
  const pixel = type === 'uint8' ? (wave) => Math.round((wave + 1) * 127.5) : (wave) => wave * 2
  const input = join(folder, 'input.f32')
  writeFileSync(
    input,
    new Uint8Array(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => pixel(Math.sin(i * 12.9898))).buffer,
    ),
  )
  const { open, results } = await openAll({ model: file, kind, threads, input, shape: shape.join(','), type })
  try {
    const judge = open.find(({ peer }) => peer.startsWith('onnxruntime')) ?? open[0]
    const { turns, others, peakGflops } = await takeTurns(open)
    for (const { peer, output, target } of open) {
      const of = turns.get(peer)
      const error = errorOf(output, judge.output, kind !== 'float')
      results[peer] = {
        minMs: round(Math.min(...of.flatMap(({ ms }) => ms))),
        medianMs: round(median(of.map(({ ms }) => median(ms)))),
        cpuMs: round(Math.min(...of.flatMap(({ cpuMs }) => cpuMs))),
        error: error <= tolerances[kind] ? null : `its output is off by ${error.toPrecision(2)} of the range`,
        ...(target ? { target } : {}),
      }
    }
    return {
      model: nameOf(file),
      kind,
      threads,
      macs: macsOf(model, size.inputSize),
      shape,
      peakGflops: peakGflops && round(peakGflops),
      othersCores: others,
      peers: results,
    }
  } finally {
    for (const one of open) await one.stop()
  }
}

function print({ model, threads, macs, peakGflops, peers: results }) {
  console.error(`${model}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`)
  for (const [peer, { minMs, medianMs, error }] of Object.entries(results)) {
    const share =
      peakGflops && minMs ? ` ${((2 * macs) / 1e4 / minMs / peakGflops / threads).toFixed(0).padStart(4)} %` : ''
    console.error(
      `  ${peer.padEnd(18)}${minMs === undefined ? '' : ` min ${minMs.toFixed(3).padStart(8)} ms  median ${medianMs.toFixed(3).padStart(8)} ms${share}`}${error ? `  ${error}` : ''}`,
    )
  }
}

const files = positionals.length > 0 ? positionals : zoo()
const load = options['beside-load'] ? spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }) : null
const models = []
try {
  for (const file of files) {
    for (const threads of options.threads.split(',').map(Number)) {
      models.push(await measure(file, threads))
      print(models.at(-1))
    }
  }
} finally {
  load?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
const { version } = JSON.parse(
  readFileSync(new URL('../../node_modules/onnxruntime-node/package.json', import.meta.url), 'utf8'),
)
const versions = { node: process.versions.node, 'onnxruntime-node': version, ...peerVersions(environments.python) }
if (options.json)
  console.log(JSON.stringify({ isBesideLoad: options['beside-load'], missing: environments.missing, versions, models }))
