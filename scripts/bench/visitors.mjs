// Measures what visitors of the page cost: frames a second of an unlimited camera, without visitors and with twenty that
// watch the live picture. Each short turn with visitors lies between two without, so that changes of the machine's speed
// affect both. The result is the median ratio of the turns, with quartiles. The visitors run in this process on the same
// processors: a part of the cost is their own.
//
// On a machine that is never quiet, --fps N holds the camera at a rate that it can keep. Then the processor time of gapcam
// (all threads, from /proc) is compared. What visitors add to it, as a share of all processors, bounds the lost throughput.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import WebSocket from 'ws'
import { startPage } from './loopback.mjs'

const { values } = parseArgs({
  options: {
    visitors: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '15' },
    side: { type: 'string', default: '640' },
    fps: { type: 'string', default: '1000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(
    'node scripts/bench/visitors.mjs [--visitors 20] [--seconds 2] [--rounds 15] [--side 320|640|1280] [--fps N] [--json]',
  )
  process.exit(0)
}
const [visitors, seconds, rounds, side, fps] = ['visitors', 'seconds', 'rounds', 'side', 'fps'].map((name) =>
  Number(values[name]),
)
const photo = fileURLToPath(new URL('../../models/photos/bird.jpg', import.meta.url))
const camera = JSON.stringify([{ id: 'cam0', source: photo, loop: true, holdMs: 0, fps }])
const { run, url } = await startPage([
  '--set',
  `cameras=${camera}`,
  '--set',
  'page.port=0',
  '--broker',
  'none',
  '--json',
])
const frames = async () => (await (await fetch(`${url}/api/state`)).json()).cameras[0].frames
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** User and system time in seconds. proc(5): fields 14 and 15 of stat, in hundredths, after a name that may hold spaces. */
function processorSeconds() {
  const fields = readFileSync(`/proc/${run.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function rate() {
  const [start, before, cpu] = [performance.now(), await frames(), processorSeconds()]
  await pause(seconds * 1000)
  const elapsed = (performance.now() - start) / 1000
  return { fps: ((await frames()) - before) / elapsed, cores: (processorSeconds() - cpu) / elapsed }
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
let before = await rate()
for (let i = 0; i < rounds; i++) {
  const all = Array.from({ length: visitors }, visit)
  await pause(500)
  const seen = all.reduce((sum, { pictures }) => sum + pictures, 0)
  const watched = await rate()
  const pictures = (all.reduce((sum, visitor) => sum + visitor.pictures, 0) - seen) / visitors / seconds
  for (const visitor of all) visitor.close()
  await pause(300)
  const after = await rate()
  const alone = (before.fps + after.fps) / 2
  turns.push({
    alone,
    watched: watched.fps,
    pictures,
    cost: 1 - watched.fps / alone,
    cores: watched.cores - (before.cores + after.cores) / 2,
  })
  before = after
}
run.kill('SIGINT')
await new Promise((resolve) => run.once('close', resolve))
const quantile = (share, of) =>
  turns.map(of).sort((a, b) => a - b)[Math.min(turns.length - 1, Math.floor(share * turns.length))]
const median = (of) => quantile(0.5, of)
const result = {
  visitors,
  alone: median(({ alone }) => alone),
  watched: median(({ watched }) => watched),
  picturesEach: median(({ pictures }) => pictures),
}
const processors = availableParallelism()
const added = [0.25, 0.5, 0.75].map((share) => quantile(share, (turn) => turn.cores / processors))
const [low, cost, high] = [0.25, 0.5, 0.75].map((share) => quantile(share, (turn) => turn.cost))
if (values.json)
  console.log(
    JSON.stringify({
      ...result,
      cost,
      quartiles: [low, high],
      processors,
      addedShare: added[1],
      addedQuartiles: [added[0], added[2]],
      turns,
    }),
  )
else
  console.log(
    `alone ${result.alone.toFixed(1)} frames a second, with ${visitors} visitors ${result.watched.toFixed(1)}: ${(cost * 100).toFixed(1)} % less (quartiles ${(low * 100).toFixed(1)} to ${(high * 100).toFixed(1)} %); each saw ${result.picturesEach.toFixed(1)} pictures a second; gapcam took ${(added[1] * 100).toFixed(1)} % more of ${processors} processors (quartiles ${(added[0] * 100).toFixed(1)} to ${(added[2] * 100).toFixed(1)} %)`,
  )
