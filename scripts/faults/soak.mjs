// A burn-in: runs gapcam for a long time as in the field, samples it every few seconds through the page's API, and
// reports at the end what has grown: memory, latency, lost frames or events, temperature.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const help = `node scripts/faults/soak.mjs [options] [-- arguments of gapcam run]

  --minutes N      how long (default 60)
  --every N        seconds between two looks (default 10)
  --growth N       MB that memory may grow after the first quarter (default 30)
  --json           one object a look and one at the end

Ends with 0 when nothing crept, 1 when something did, and gapcam's own status when it ended by itself.
Example: node scripts/faults/soak.mjs --minutes 720 -- v4l2:///dev/video0 --broker mqtt://broker.local`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '60' },
    every: { type: 'string', default: '10' },
    growth: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}
const [minutes, every, growth] = [values.minutes, values.every, values.growth].map(Number)
if (![minutes, every, growth].every((value) => value > 0)) {
  console.error(`soak: --minutes, --every and --growth are numbers above 0\n${help}`)
  process.exit(2)
}

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const args = positionals.length > 0 ? positionals : ['test://', '--broker', 'embedded']
const run = spawn(process.execPath, [cli, 'run', ...args, '--set', 'page.port=0', '--json'], {
  stdio: ['ignore', 'ignore', 'pipe'],
})
let ended = null
let stderr = ''
const over = new Promise((resolve) =>
  run.on('close', (status, signal) => {
    ended = status ?? signal
    resolve()
  }),
)
process.on('SIGINT', () => run.kill('SIGINT'))
const url = await new Promise((resolve) => {
  run.stderr.on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-20_000)
    const match = /^page {5}(\S+)$/m.exec(stderr)
    if (match) resolve(match[1])
  })
  void over.then(() => resolve(null))
})
if (url === null) {
  process.stderr.write(stderr)
  process.exit(typeof ended === 'number' && ended !== 0 ? ended : 1)
}

const looks = []
const endMs = Date.now() + minutes * 60_000
const pause = (ms) => Promise.race([new Promise((resolve) => setTimeout(resolve, ms).unref()), over])
while (Date.now() < endMs && ended === null) {
  await pause(Math.min(every * 1000, Math.max(0, endMs - Date.now())))
  if (ended !== null) break
  const state = await fetch(`${url}/api/state`).then(
    (response) => response.json(),
    () => null,
  )
  if (!state) continue
  const { uptimeS, fps, dropped, invalid, recoveries, rssMb, mqtt, soc, stages } = state
  const infer = stages.find(({ stage }) => stage === 'infer')
  const look = {
    uptimeS,
    fps,
    dropped,
    invalid,
    recoveries,
    rssMb,
    queued: mqtt.queued,
    lost: mqtt.lost,
    reconnects: mqtt.reconnects,
    temperatureC: soc.temperatureC,
    inferMs: infer.p50,
    inferP99Ms: infer.p99,
  }
  looks.push(look)
  if (values.json) console.log(JSON.stringify(look))
  else
    console.log(
      `${String(uptimeS).padStart(7)} s  ${fps.toFixed(1).padStart(6)} fps  infer ${infer.p50.toFixed(1)} ms (p99 ${infer.p99.toFixed(1)})  ${rssMb} MB  dropped ${dropped}  unusable ${invalid}  recoveries ${recoveries}  queue ${mqtt.queued}  lost ${mqtt.lost}${soc.temperatureC === null ? '' : `  ${soc.temperatureC} °C`}`,
    )
}
if (ended === null) run.kill('SIGINT')
const wasOurs = ended === null
await over

/** Without the first quarter, in which a process reaches its size. */
const settled = looks.slice(Math.floor(looks.length / 4))
const [first, last] = [settled[0], settled.at(-1)]
const findings = []
if (!wasOurs) findings.push(`gapcam ended by itself (${ended}): ${stderr.trimEnd().split('\n').at(-1)}`)
if (looks.length === 0) findings.push('there was not one look')
if (first && last.rssMb - first.rssMb > growth) findings.push(`memory grew by ${last.rssMb - first.rssMb} MB`)
if (first && last.inferMs > first.inferMs * 1.5)
  findings.push(`the median inference went from ${first.inferMs} to ${last.inferMs} ms`)
if (last?.recoveries > 0) findings.push(`the camera was lost ${last.recoveries} times`)
if (last?.lost > 0) findings.push(`${last.lost} events were lost`)
if (settled.some(({ fps }) => fps === 0)) findings.push('frames stood still')
const hottest = Math.max(...looks.map(({ temperatureC }) => temperatureC ?? -Infinity))
if (hottest >= 85) findings.push(`the processor came to ${hottest} °C`)
if (values.json) console.log(JSON.stringify({ looks: looks.length, findings }))
else console.log(findings.length === 0 ? `nothing crept in ${looks.length} looks` : findings.join('\n'))
process.exitCode = findings.length === 0 ? 0 : !wasOurs && typeof ended === 'number' && ended !== 0 ? ended : 1
