// Measures the memory of a running node: the resident set of `gapcam run test:// --broker none` some seconds after its
// first results, without the page, with it, and with an embedded broker too; once with a fresh plan and once with a kept one.
//
//   node scripts/bench/resident.mjs [MODEL...] [--seconds 10] [--json]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const shared = process.env.GAPCAM_SHARED ?? join(root, '../shared')
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const models =
  positionals.length > 0
    ? positionals
    : [`${root}models/efficientnet-lite0.onnx`, `${shared}/models/efficientnet-lite0-int8.onnx`]

/** Flags by what runs beside the classifier. Port 0 takes a free one. */
const kinds = {
  'no page': ['--broker', 'none', '--set', 'page.enabled=false'],
  page: ['--broker', 'none', '--set', 'page.port=0'],
  'page and broker': ['--broker', 'embedded', '--set', 'mqtt.port=0', '--set', 'page.port=0'],
}

/** Megabytes of a node's resident set, and how much of it is files that are mapped (the program's own and the model's). */
async function measure(model, flags, stateDir) {
  const common = ['--model', model, '--fps', '10', '--json', '--threshold', '0', '--set', `stateDir=${stateDir}`]
  const node = spawn(process.execPath, [`${root}dist/cli/main.js`, 'run', 'test://', ...common, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  node.stderr.on('data', (chunk) => (errors += chunk))
  const ended = new Promise((resolve) => node.once('close', resolve))
  const started = new Promise((resolve) => {
    node.stdout.on('data', (chunk) => {
      output = (output + chunk).slice(-100_000)
      if (/"label":[^]*"label":/.test(output)) resolve(true)
    })
  })
  if (!(await Promise.race([started, ended.then(() => false)]))) throw new Error(`${flags.join(' ')}:\n${errors}`)
  await new Promise((resolve) => setTimeout(resolve, Number(options.seconds) * 1000))
  const status = readFileSync(`/proc/${node.pid}/status`, 'utf8')
  node.kill('SIGTERM')
  await ended
  const megabytes = (field) => Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]) / 1024)
  return { resident: megabytes('VmRSS'), files: megabytes('RssFile'), peak: megabytes('VmHWM') }
}

for (const model of models)
  for (const [kind, flags] of Object.entries(kinds)) {
    const stateDir = mkdtempSync(join(tmpdir(), 'gapcam-resident-'))
    for (const plan of ['compiled', 'kept']) {
      const row = { model: basename(model), kind, plan, ...(await measure(model, flags, stateDir)) }
      const { resident, files, peak } = row
      process.stdout.write(
        options.json
          ? `${JSON.stringify(row)}\n`
          : `${row.model}, ${kind}, plan ${plan}: ${resident} MB (${files} MB of it files, peak ${peak} MB)\n`,
      )
    }
    rmSync(stateDir, { recursive: true, force: true })
  }
