// Measures the time from opening a model to its first result, and the peak memory. Each run is a fresh process, and the
// engines take turns.
//
//   node scripts/bench/open.mjs [MODEL...] [--engines a,b] [--rounds 9] [--threads 1] [--json]
//
// openToResultMs runs from the call that opens the model to the first scores. It does not include importing the package.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { loadModel } from '../../dist/model/load.js'
import { nameOf, sizeFor, zoo } from './performance/models.mjs'

const child = fileURLToPath(new URL('peers/first-result.mjs', import.meta.url))
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: 'gapcam,gapcam-kept,gapcam-onnxruntime,onnxruntime-node' },
    rounds: { type: 'string', default: '9' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})

/** Plans of gapcam-kept. */
const plans = mkdtempSync(join(tmpdir(), 'gapcam-bench-plans-'))
process.on('exit', () => rmSync(plans, { recursive: true, force: true }))

function once(engine, file, side) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [child, engine, file, options.threads, plans, ...side],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`${engine} with ${file}:\n${stderr}`)
  return JSON.parse(stdout)
}

/** The memory of a bare Node process. */
function bareNode() {
  const code =
    'process.stdout.write(/VmHWM:\\s+(\\d+)/.exec(require("fs").readFileSync("/proc/self/status", "utf8"))[1])'
  return Number(spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout)
}

const least = (runs, key) => Math.round(Math.min(...runs.map((run) => run[key])) * 10) / 10
const median = (numbers) => Math.round(numbers.toSorted((a, b) => a - b)[numbers.length >> 1] * 10) / 10

async function measure(file) {
  const { inputSize } = sizeFor((await loadModel(file)).graph)
  const side = inputSize ? [String(inputSize.height)] : []
  const runs = new Map(options.engines.split(',').map((engine) => [engine, []]))
  if (runs.has('gapcam-kept')) once('gapcam-kept', file, side) // keeps the plan
  for (let i = 0; i < Number(options.rounds); i++)
    for (const [engine, results] of runs) results.push(once(engine, file, side))
  const engines = Object.fromEntries(
    [...runs].map(([engine, results]) => {
      const whole = results.map(({ openMs, firstRunMs }) => openMs + firstRunMs)
      return [
        engine,
        {
          openToResultMs: Math.round(Math.min(...whole) * 10) / 10,
          openToResultMedianMs: median(whole),
          importMs: least(results, 'importMs'),
          peakRssMb: median(results.map(({ peakRssKb }) => peakRssKb / 1024)),
        },
      ]
    }),
  )
  return { model: nameOf(file), engines }
}

const models = []
for (const file of positionals.length > 0 ? positionals : zoo()) {
  models.push(await measure(file))
  const { model, engines } = models.at(-1)
  for (const [engine, r] of Object.entries(engines)) {
    console.error(
      `${model.padEnd(20)} ${engine.padEnd(18)} open to result ${r.openToResultMs.toFixed(0).padStart(4)} ms (median ${r.openToResultMedianMs.toFixed(0)})  import ${r.importMs.toFixed(0)} ms  peak resident ${r.peakRssMb.toFixed(0)} MB`,
    )
  }
}
if (options.json)
  console.log(
    JSON.stringify({
      threads: Number(options.threads),
      rounds: Number(options.rounds),
      bareNodeMb: Math.round(bareNode() / 102.4) / 10,
      models,
    }),
  )
