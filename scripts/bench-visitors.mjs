// What visitors of the page cost: frames a second of a camera without a bound, without visitors and with twenty who
// watch the live picture, in turns. Run it on a quiet machine. The visitors are in this process, on the same processors.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import WebSocket from 'ws'

const { values } = parseArgs({ options: { visitors: { type: 'string', default: '20' }, seconds: { type: 'string', default: '8' }, rounds: { type: 'string', default: '3' }, side: { type: 'string', default: '640' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
if (values.help) {
  console.log('node scripts/bench-visitors.mjs [--visitors 20] [--seconds 8] [--rounds 3] [--side 320|640|1280] [--json]')
  process.exit(0)
}
const [visitors, seconds, rounds, side] = ['visitors', 'seconds', 'rounds', 'side'].map((name) => Number(values[name]))
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const photo = fileURLToPath(new URL('../models/photos/bird.jpg', import.meta.url))
const camera = JSON.stringify([{ id: 'cam0', source: photo, loop: true, holdMs: 0, fps: 1000 }])
const run = spawn(process.execPath, [cli, 'run', '--set', `cameras=${camera}`, '--set', 'page.port=0', '--broker', 'none', '--json'], { stdio: ['ignore', 'ignore', 'pipe'] })
const url = await new Promise((resolve, reject) => {
  let text = ''
  run.stderr.on('data', (chunk) => {
    text += chunk
    const match = /^page {5}(\S+)$/m.exec(text)
    if (match) resolve(match[1])
  })
  run.on('close', () => reject(new Error(text)))
})
const frames = async () => (await (await fetch(`${url}/api/state`)).json()).cameras[0].frames
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function rate() {
  const [start, before] = [performance.now(), await frames()]
  await pause(seconds * 1000)
  return ((await frames()) - before) / ((performance.now() - start) / 1000)
}

function visit() {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/live`, ['gapcam.v1'])
  const visitor = { pictures: 0, close: () => socket.terminate() }
  const ask = (after) => socket.send(JSON.stringify({ type: 'picture', camera: 'cam0', after, side }))
  socket.on('open', () => ask(0))
  socket.on('message', (data, isBinary) => {
    if (!isBinary) return
    visitor.pictures++
    ask(JSON.parse(data.subarray(4, 4 + data.readUInt32BE(0)).toString()).seq)
  })
  return visitor
}

const turns = []
await pause(2000)
for (let i = 0; i < rounds; i++) {
  const alone = await rate()
  const all = Array.from({ length: visitors }, visit)
  await pause(1000)
  const seen = all.reduce((sum, { pictures }) => sum + pictures, 0)
  const watched = await rate()
  const pictures = (all.reduce((sum, visitor) => sum + visitor.pictures, 0) - seen) / visitors / seconds
  for (const visitor of all) visitor.close()
  await pause(500)
  turns.push({ alone, watched, pictures })
}
run.kill('SIGINT')
await new Promise((resolve) => run.once('close', resolve))
const median = (of) => turns.map(of).sort((a, b) => a - b)[Math.floor(turns.length / 2)]
const result = { visitors, alone: median(({ alone }) => alone), watched: median(({ watched }) => watched), picturesEach: median(({ pictures }) => pictures) }
const cost = 1 - result.watched / result.alone
if (values.json) console.log(JSON.stringify({ ...result, cost, turns }))
else console.log(`alone ${result.alone.toFixed(1)} frames a second, with ${visitors} visitors ${result.watched.toFixed(1)}: ${(cost * 100).toFixed(1)} % less; each saw ${result.picturesEach.toFixed(1)} pictures a second`)
