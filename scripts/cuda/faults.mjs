// The fault matrix of the CUDA engine, through the command line on the test driver. Opening, two pictures and closing
// make a number of driver calls. For each of them, `gapcam classify` runs with that call failing: with a temporary
// error (out of memory) and with one that loses the context (illegal address), each with `--engine cuda` and with auto.
//
// Required: no crash; the labels of the CPU; `--engine cuda` ends with 0, or with 4 and one sentence if it could not
// open; auto always ends with 0; the driver reports no violation.
//
//   node scripts/cuda/faults.mjs              every call: a few minutes
//   node scripts/cuda/faults.mjs --sample 24  this many calls, evenly spread
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { prepareFakeCuda } from './fake.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'gapcam-cuda-faults-'))
const pictures = ['bird.jpg', 'parrot.jpg'].map((name) => join(root, 'models/photos', name))
const errors = { 'out of memory': 2, 'illegal address': 700 }

/**
 * One `gapcam classify` with the small network. memo makes the emulated device the faster one, so that auto uses it.
 */
function classify(env, engine, settings) {
  const report = join(folder, `${Math.random()}.json`)
  const args = [
    'classify',
    '--json',
    '--engine',
    engine,
    '--threads',
    '1',
    '--model',
    join(root, 'models/convnet-gap.onnx'),
    '--input-size',
    engine === 'auto' ? '128' : '32',
    ...pictures,
  ]
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    env: { ...env, FAKE_CUDA: `memo=1 report=${report} ${settings}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'])
    child[name].on('data', (chunk) => {
      out[name] += chunk
    })
  return new Promise((resolve) =>
    child.on('close', (status, signal) => {
      const results = out.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
      let counted = null
      try {
        counted = JSON.parse(readFileSync(report, 'utf8'))
      } catch {
        // Without a report the program has crashed. The status shows it.
      }
      resolve({ status: status ?? signal, results, stderr: out.stderr, counted })
    }),
  )
}

const labelsOf = (results) => results.map(({ top }) => top[0].label).join()

/** The violated requirement of a run, or null. */
function fault({ status, results, stderr, counted }, engine, labels) {
  if (status !== 0 && !(status === 4 && engine === 'cuda')) return `ended with ${status}: ${stderr}`
  if (status === 4 && (results.length > 0 || !/^gapcam: cuda engine: .*\n.*\n$/.test(stderr)))
    return `status 4 with: ${stderr}`
  if (status === 0 && labelsOf(results) !== labels) return `labels ${labelsOf(results)} instead of ${labels}`
  if (counted === null) return 'the driver wrote no report'
  if (counted.violations.length > 0) return counted.violations.join('; ')
  // The measurement of auto depends on time, and so does the number of calls.
  return counted.injected > 0 || engine === 'auto' ? null : 'the fault was not injected'
}

/** A run on CUDA without a fault. It is repeated, because on a busy machine the CPU may be faster in a measurement. */
async function cleanRun(env, engine) {
  let run
  for (let turn = 0; turn < 5; turn++) {
    run = await classify(env, engine, '')
    if (run.status === 0 && run.results.every((result) => result.engine === 'cuda')) return run
  }
  throw new Error(
    `without a fault it is ${run.status}: ${run.stderr}${JSON.stringify(run.results.map((result) => result.engineReason))}`,
  )
}

async function matrix(sample) {
  const { GAPCAM_CONFIG, GAPCAM_ENGINE, ...environment } = process.env
  const env = { ...environment, ...prepareFakeCuda() }
  const summary = { cases: 0, onGpuAfterAll: 0, finishedOnCpu: 0, refused: 0, notReached: 0, wrong: [] }
  for (const engine of ['cuda', 'auto']) {
    const { results: right } = await classify(env, engine === 'auto' ? 'auto' : 'native', 'devices=0')
    const clean = await cleanRun(env, engine)
    const calls = clean.counted.calls
    const every = sample === null ? 1 : calls / Math.max(1, sample / 4)
    for (const [name, error] of Object.entries(errors)) {
      for (let place = 1; place <= calls; place += every) {
        const n = Math.floor(place)
        const run = await classify(env, engine, `fail=${n}:${error}`)
        const wrong = fault(run, engine, labelsOf(right))
        summary.cases++
        if (wrong !== null) summary.wrong.push(`${engine}, call ${n} of ${calls} failing with ${name}: ${wrong}`)
        else if (run.counted.injected === 0) summary.notReached++
        else if (run.status === 4) summary.refused++
        else if (run.results.every((result) => result.engine === 'cuda')) summary.onGpuAfterAll++
        else summary.finishedOnCpu++
        if (process.stderr.isTTY) process.stderr.write(`\r${engine}, ${name}: call ${n} of ${calls} `)
      }
    }
  }
  return summary
}

const at = process.argv.indexOf('--sample')
try {
  const summary = await matrix(at < 0 ? null : Number(process.argv[at + 1]))
  console.log(JSON.stringify(summary, null, 2))
  process.exitCode = summary.wrong.length > 0 ? 1 : 0
} finally {
  rmSync(folder, { recursive: true, force: true })
}
