// Time from the start of `gapcam once` to the last PUBACK, by stage, with a picture from a file and EfficientNet-Lite0:
//   node scripts/bench/once.mjs [--runs 10] [--model FILE] [--json]
// The broker is one of this program's own, on loopback. Prints minimum and median of each stage, in milliseconds since the
// start of the process, and the processor time of a whole run. The first run, which compiles the model, is left out.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Aedes } from 'aedes'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, model: { type: 'string' }, json: { type: 'boolean' } },
})
const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'gapcam-once-'))
const broker = await Aedes.createBroker()
const server = createServer(broker.handle).listen(0, '127.0.0.1')
await once(server, 'listening')

/** One run: the end of each stage, and the processor time of the process. */
async function run() {
  const report =
    "process.on('exit',()=>{const{user,system}=process.cpuUsage();console.error(`cpu ${(user+system)/1000} ms`)})"
  const child = spawn(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(report)}`,
      at('dist/cli/main.js'),
      'once',
      at('models/photos/cat.jpg'),
      '--verbose',
      '--broker',
      `mqtt://127.0.0.1:${server.address().port}`,
      '--set',
      `stateDir=${folder}`,
      ...(values.model ? ['--model', values.model] : []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let text = ''
  child.stderr.on('data', (data) => {
    text += data
  })
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(text)
  return Object.fromEntries([...text.matchAll(/^(\w+) +([\d.]+) ms$/gm)].map(([, stage, ms]) => [stage, Number(ms)]))
}

const runs = []
for (let i = 0; i <= Number(values.runs); i++) runs.push(await run())
const stages = Object.keys(runs[0]).map((stage) => {
  const sorted = runs
    .slice(1)
    .map((each) => each[stage])
    .sort((a, b) => a - b)
  return { stage, minMs: Math.round(sorted[0]), medianMs: Math.round(sorted[Math.floor(sorted.length / 2)]) }
})
if (values.json) process.stdout.write(`${JSON.stringify(stages)}\n`)
else
  for (const { stage, minMs, medianMs } of stages) console.log(`${stage.padEnd(12)} ${minMs} ms, median ${medianMs} ms`)
server.close()
broker.close()
rmSync(folder, { recursive: true, force: true })
