// Counts the allocations and system calls of an inference, and measures how late timers of the event loop are while a
// program infers without a pause.
//
//   node scripts/bench/frame-loop.mjs [MODEL...] [--seconds 5] [--json]
//
// Allocations and system calls are counted by native/bench (built with CMake on first use), futex calls
// by strace where it is installed, as the difference between a short and a long run.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openEngine } from '../../dist/engine/select.js'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { serializePlan } from '../../dist/model/plan.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { buildPrograms, programFolder } from '../build/native-programs.mjs'
import { nameOf, sizeFor, zoo } from './performance/models.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const folder = mkdtempSync(join(tmpdir(), 'gapcam-frame-loop-'))
const program = `${programFolder}/frame_loop`

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: ${stderr.trim().split('\n').pop()}`)
  return stdout
}

/** futex calls of one inference, or null without strace. */
function futexCalls(plan, threads) {
  if (spawnSync('strace', ['-V'], { stdio: 'ignore' }).status !== 0) return null
  const count = (frames) => {
    const summary = join(folder, 'strace')
    run('strace', [
      '-f',
      '-qq',
      '-c',
      '-e',
      'trace=futex',
      '-o',
      summary,
      program,
      plan,
      threads,
      String(frames),
      'plain',
    ])
    return Number(/(\d+)(?:\s+\d+)?\s+futex$/m.exec(readFileSync(summary, 'utf8'))?.[1] ?? 0)
  }
  const frames = 100
  return Math.max(0, (count(2 * frames) - count(frames)) / frames)
}

async function countCalls(file) {
  const { graph } = await loadModel(file)
  const compiled = compilePlan(prepareGraph(graph, sizeFor(graph)))
  if (!('plan' in compiled)) return []
  const plan = join(folder, 'network.plan')
  writeFileSync(plan, serializePlan(compiled.plan))
  return ['1', '2'].map((threads) => ({
    model: nameOf(file),
    ...JSON.parse(run(program, [plan, threads, '50'])),
    futexCalls: futexCalls(plan, threads),
  }))
}

/** How late a one-millisecond timer fires while `work` runs. */
async function lateness(work) {
  const resolution = 1
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  await work()
  delay.disable()
  const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution)
  return { p50Ms: late(delay.percentile(50)), p99Ms: late(delay.percentile(99)), maxMs: late(delay.max) }
}

/** Timer delays during continuous native inference, and on an idle process: the difference is ours. */
async function eventLoop(file, seconds) {
  const { graph } = await loadModel(file)
  const engine = await openEngine(file, 'native', { threads: 1, ...sizeFor(graph) })
  for (let i = 0; i < 5; i++) await engine.run()
  const idle = await lateness(() => sleep(seconds * 1000))
  let inferences = 0
  const busy = await lateness(async () => {
    for (const end = performance.now() + seconds * 1000; performance.now() < end; inferences++) await engine.run()
  })
  await engine.close()
  return { model: nameOf(file), inferencesPerSecond: inferences / seconds, ...busy, idleP99Ms: idle.p99Ms }
}

const files = positionals.length > 0 ? positionals : zoo()
try {
  buildPrograms('frame_loop')
  const models = []
  for (const file of files) models.push(...(await countCalls(file)))
  for (const { model, threads, allocations, otherCalls, futexCalls: futex } of models) {
    console.error(
      `${model.padEnd(20)} ${threads} threads: ${allocations} allocations, ${otherCalls} system calls but futex in 50 inferences; ${futex === null ? 'futex calls not counted (strace is missing)' : `${futex} futex calls an inference`}`,
    )
  }
  const loop = await eventLoop(files.find((file) => file.includes('mobilenet_v2')) ?? files[0], Number(options.seconds))
  console.error(
    `event loop beside ${loop.model} at ${loop.inferencesPerSecond.toFixed(0)} a second: late by p50 ${loop.p50Ms.toFixed(2)} ms, p99 ${loop.p99Ms.toFixed(2)} ms, at most ${loop.maxMs.toFixed(2)} ms; p99 of an idle program ${loop.idleP99Ms.toFixed(2)} ms`,
  )
  if (options.json) console.log(JSON.stringify({ models, eventLoop: loop }))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
