// Runs in the virtual machine: gapcam on a real V4L2 driver, scene by scene. Prints one JSON line for each scene; the tests
// check them.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const device = '/dev/video0'
const run = [
  'run',
  `v4l2://${device}`,
  '--model',
  `${root}models/convnet-gap.onnx`,
  '--input-size',
  '32',
  '--broker',
  'none',
  '--json',
  '--threads',
  '1',
  '--set',
  'page.enabled=false',
]
const control = (...args) => execFileSync('v4l2-ctl', ['-d', device, ...args], { encoding: 'utf8' })
const tell = (scene, facts) => console.log(JSON.stringify({ scene, ...facts }))

/** Starts gapcam, as `user` where one is given. */
function gapcam(args, user) {
  const program = spawn(process.execPath, [`${root}dist/cli/main.js`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user ? { uid: user, gid: user } : {}),
  })
  const state = { stdout: '', stderr: '' }
  program.stdout.on('data', (data) => {
    state.stdout += data
  })
  program.stderr.on('data', (data) => {
    state.stderr += data
  })
  state.kill = (signal) => program.kill(signal)
  state.ended = new Promise((resolve) => program.on('close', (status, signal) => resolve(status ?? signal)))
  state.until = async (pattern) => {
    for (let i = 0; i < 2400 && !pattern.test(state.stderr); i++)
      await new Promise((resolve) => setTimeout(resolve, 100))
    if (!pattern.test(state.stderr)) throw new Error(`no ${pattern} within four minutes: ${state.stderr}`)
  }
  return state
}

async function toTheEnd(scene, args, user) {
  const program = gapcam(args, user)
  const status = await program.ended
  tell(scene, { status, stdout: program.stdout, stderr: program.stderr })
}

/** A GPIO chip, and what its lines did. The kernel's driver asks this program, as it would ask the chip on its bus. */
function gpioChip() {
  const program = spawn(process.execPath, [`${root}test/camera-vm/gpio-chip.mjs`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const said = []
  const isReady = new Promise((resolve) =>
    createInterface({ input: program.stdout }).on('line', (line) => (line === 'ready' ? resolve() : said.push(line))),
  )
  return { said, isReady, set: (line, level) => program.stdin.write(`${line}=${level}\n`), kill: () => program.kill() }
}

chmodSync(device, 0o660)
chownSync(device, 0, 44) // video

await toTheEnd('list', ['cameras', '--json'])
for (const [name, fourcc] of [
  ['yuyv', 'YUYV'],
  ['nv12', 'NV12'],
  ['rgb24', 'RGB3'],
]) {
  control(`--set-fmt-video=width=640,height=480,pixelformat=${fourcc}`)
  await toTheEnd(name, [...run, '--frames', '5'])
}

// Three zones of one camera, and one look of each.
const zones = [
  { id: 'gate', region: { x: 0, y: 0, w: 0.5, h: 1 } },
  { id: 'bin', region: { x: 0.5, y: 0, w: 0.5, h: 0.5 }, trigger: 'motion' },
  {
    id: 'spot',
    region: [
      [0.5, 0.5],
      [1, 0.5],
      [0.75, 1],
    ],
    trigger: { every: '200ms' },
  },
]
const file = '/tmp/zones.json'
writeFileSync(
  file,
  JSON.stringify({
    model: `${root}models/convnet-gap.onnx`,
    threads: 1,
    hungAfterMs: 120_000,
    stateDir: '/tmp/zones',
    page: { enabled: false },
    mqtt: { broker: 'none' },
    policy: { threshold: 0, hysteresis: 0, margin: 0, consecutive: 1 },
    cameras: [{ id: 'cam0', source: `v4l2://${device}`, zones }],
  }),
)
await toTheEnd('zones', ['run', '--config', file, '--json', '--frames', '12'])
// One GPIO line is a lamp; another rises three times.
const chip = gpioChip()
await chip.isReady
const [button, lamp] = [3, 5]
await toTheEnd('once', ['once', '--config', file, '--verbose', '--deadline', '10m', '--light', `gpiochip0/${lamp}`])
tell('lamp', { said: chip.said })
const { watchGpio } = await import(`${root}dist/run/zones/gpio.js`)
let edges = 0
const faults = []
const onFault = (sentence) => faults.push(sentence)
const stopWatching = watchGpio({ chip: 'gpiochip0', line: button, onEdge: () => edges++, onFault })
const rises = []
// A rise that comes before the line is watched is repeated.
for (let i = 0; i < 100 && rises.length < 3; i++) {
  const before = edges
  for (const level of [1, 0]) {
    chip.set(button, level)
    await new Promise((resolve) => setTimeout(resolve, 700))
  }
  if (edges > before) rises.push(edges)
}
stopWatching()
chip.kill()
tell('gpio', { rises, faults })

// The controls, through the page's API, while the camera streams.
// An emulated processor loads the page's server, and computes, for longer than a real one may take.
const slow = ['--set', 'hungAfterMs=120000']
const page = gapcam([...run, ...slow, '--set', 'page.enabled=true', '--set', 'page.port=0'])
await page.until(/^page {5}(\S+)$/m)
const url = /^page {5}(\S+)$/m.exec(page.stderr)?.[1]
const controlsUrl = `${url}/api/cameras/cam0/controls`
const before = await (await fetch(controlsUrl)).json()
const put = (id, value) =>
  fetch(`${controlsUrl}/${id}`, {
    method: 'PUT',
    headers: { 'x-gapcam': '1', 'content-type': 'application/json' },
    body: JSON.stringify({ value }),
  })
const brightness = before.find(({ name }) => name === 'Brightness')
const answer = await put(brightness.id, brightness.max - 1)
const set = { status: answer.status, controls: await answer.json(), driver: control('--get-ctrl=brightness') }
const refused = await Promise.all(
  [put(brightness.id, brightness.max + 1), put(12345, 1)].map(async (response) => ({
    status: (await response).status,
    ...(await (await response).json()),
  })),
)
const frames = (await (await fetch(`${url}/api/state`)).json()).cameras[0].frames
await put(brightness.id, brightness.default)
page.kill('SIGINT')
tell('controls', { before, set, refused, frames, status: await page.ended })

const lost = gapcam(run)
await lost.until(/^camera {3}/m)
control('-c', 'disconnect=1')
await lost.until(/trying again/)
await lost.until(/the camera is back/)
await new Promise((resolve) => setTimeout(resolve, 1500))
lost.kill('SIGINT')
tell('disconnect', { status: await lost.ended, stderr: lost.stderr })

const holder = spawn('v4l2-ctl', ['-d', device, '--stream-mmap', '--stream-count=100000'], { stdio: 'ignore' })
await new Promise((resolve) => setTimeout(resolve, 3000))
await toTheEnd('busy', run)
await toTheEnd('busy list', ['cameras'])
holder.kill('SIGKILL')
await new Promise((resolve) => holder.on('close', resolve))

await toTheEnd('no permission', run, 65534)
await toTheEnd('no permission list', ['cameras'], 65534)

// Frames that are not released are taken back, so that the camera goes on. Reading one of them is then refused.
const { openV4l2 } = await import(`${root}dist/camera/v4l2.js`)
const camera = openV4l2(device, {})
let warning = ''
camera.onWarning = (error) => {
  warning = error.message
}
const signal = new AbortController().signal
await camera.open(signal)
const held = []
for (let i = 0; i < 8; i++) held.push(await camera.next(signal))
let refusal = 'none'
try {
  held[0].copyTo(new Uint8Array(640 * 480 * 3))
} catch (error) {
  refusal = error.message
}
const seqs = held.map(({ seq }) => seq)
for (const frame of held) frame.release()
const after = await camera.next(signal)
after.release()
tell('held', { warning, refusal, seqs, next: after.seq, dropped: camera.dropped })
await camera.close()

// A zone that needs less than the size that is wanted.
const small = openV4l2(device, {
  width: 1280,
  height: 720,
  needs: () => [{ width: 224, height: 224, resize: 'contain', roi: { x: 0, y: 0, width: 0.5, height: 0.5 } }],
})
tell('smallest', await small.open(signal))
await small.close()
