// What zones cost beside decoding and inference, and what decoding for them saves:
//   node scripts/bench/zones.mjs [--part zones|jpeg|rtsp|anchor] [--frames 300] [--seconds 20] [--shared ../shared] [--json]
// zones: eight zones of three models on 1080p JPEGs; decodes a frame; the processor time of a zone beside decoding and inference,
//   of all threads, least and median of the frames, against the same inferences by themselves after another decode, in turns;
//   and the bytes that JavaScript allocates for a frame with one zone and with eight (with --expose-gc).
// jpeg: 1080p JPEG to the input of a 224 zone, all of it against what the zone needs, in turns; and the labels of both.
// rtsp: processor time of gapcam and its ffmpeg on a real 1080p RTSP stream at 10 frames a second, without inferences, with
//   `decode: full` and `decode: fit` in turns.
// anchor: the time of a look while the view is held, and of one that searches, in shares of an inference a second at 10 fps.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { decodeFitting } from '../../dist/camera/fitting.js'
import { openClassifier } from '../../dist/classifier.js'
import { systemClock } from '../../dist/clock.js'
import { loadConfig } from '../../dist/config/config.js'
import { frameOf } from '../../dist/frame.js'
import { createLogger } from '../../dist/log.js'
import { ViewWatch } from '../../dist/lens/view-watch.js'
import { createMetrics } from '../../dist/metrics.js'
import { createPublisher } from '../../dist/publish/publisher.js'
import { openRuntime } from '../../dist/run/runtime.js'
import { sharedFrame } from '../../dist/zone/shared-frame.js'

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    frames: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '20' },
    shared: { type: 'string', default: process.env.GAPCAM_SHARED ?? '../shared' },
    json: { type: 'boolean', default: false },
  },
})
const root = fileURLToPath(new URL('../..', import.meta.url))
const results = {}
const isAsked = (part) => values.part === undefined || values.part === part
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
const photos = readdirSync(join(root, 'models/photos')).filter((name) => name.endsWith('.jpg'))
const fullHd = (name) => sharp(join(root, 'models/photos', name)).resize(1920, 1080, { fit: 'cover' })
const lite = join(root, 'models/efficientnet-lite0.onnx')

/** Processor time of this process since it began, in milliseconds. */
function cpuMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** A runtime with so many zones, each of a quarter by a half of the picture. */
async function openZones(count, models) {
  const log = createLogger('silent')
  const zones = Array.from({ length: count }, (_, i) => ({
    id: `z${i}`,
    region: { x: (i % 4) / 4, y: i < 4 ? 0 : 0.5, w: 0.25, h: 0.5 },
    model: models[i % 3],
  }))
  const cameras = [{ id: 'yard', source: 'test://', zones }]
  const { config } = loadConfig({
    flags: {},
    environment: {},
    values: { model: models[0], threads: 1, cameras, page: { enabled: false } },
  })
  const classifier = await openClassifier({ model: models[0], threads: 1 })
  const publisher = createPublisher({ broker: null, node: 'n', cameras: ['yard'], log })
  const metrics = createMetrics(0)
  const parts = { config, cameras: config.cameras, classifier, publisher, log, clock: systemClock, metrics }
  const runtime = await openRuntime(parts)
  const close = async () => {
    await runtime.close()
    await publisher.close()
    await classifier.close()
  }
  return { zones: runtime.zones, close }
}

async function measureCount(count, models, bytes) {
  const { zones, close } = await openZones(count, models)
  const needs = zones.map((zone) => zone.view.current.spec)
  const sizes = new Set()
  const spent = { decodes: 0, decodeMs: 0 }
  // A zone's pixels and inference are one job of the engine, so a frame's inferences are timed by themselves, in turns with it.
  const infer = async () => {
    await decode()
    const start = cpuMs()
    for (const { classifier } of zones) await classifier.engine.run()
    return cpuMs() - start
  }
  const decode = async () => {
    const start = cpuMs()
    const frame = await decodeFitting({ bytes, name: 'x', facts: {} }, needs)
    spent.decodes++
    spent.decodeMs += cpuMs() - start
    return frame
  }
  // As a camera does: one decode a frame, for all zones.
  const show = async () => {
    const frame = await decode()
    sizes.add(`${frame.width} x ${frame.height}`)
    const shared = sharedFrame(frame, count)
    await Promise.all(zones.map((zone) => zone.take(shared)))
  }
  for (let i = 0; i < 60; i++) await show()
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  for (let i = 0; i < 20; i++) await show()
  const bytesPerFrame = Math.round((process.memoryUsage().heapUsed - heap) / 20)
  const frames = []
  for (let i = 0; i < Number(values.frames); i++) {
    Object.assign(spent, { decodes: 0, decodeMs: 0 })
    const start = cpuMs()
    await show()
    const shown = { ...spent, zonesMs: cpuMs() - start - spent.decodeMs }
    frames.push({ ...shown, inferMs: await infer() })
  }
  await close()
  const of = (pick, part, by = 1) => pick(frames.map((frame) => frame[part])) / by
  const least = (numbers) => Math.min(...numbers)
  const beside = (pick) => of(pick, 'zonesMs', count) - of(pick, 'inferMs', count)
  return {
    decodesPerFrame: Math.max(...frames.map(({ decodes }) => decodes)),
    decodedAt: [...sizes],
    decodeMs: of(median, 'decodeMs'),
    inferMsPerZone: of(median, 'inferMs', count),
    besideMsPerZone: { least: beside(least), median: beside(median) },
    bytesPerFrame,
  }
}

async function measureZones() {
  const models = ['convnet-gap', 'efficientnet-lite0', 'convnet-gap'].map((name) => join(root, `models/${name}.onnx`))
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-zones-'))
  // The third model is another file, so that it is opened for itself.
  writeFileSync(join(folder, 'third.onnx'), readFileSync(models[2]))
  models[2] = join(folder, 'third.onnx')
  const bytes = await fullHd('cat.jpg').jpeg({ quality: 80 }).toBuffer()
  const [one, eight] = [await measureCount(1, models, bytes), await measureCount(8, models, bytes)]
  rmSync(folder, { recursive: true })
  return { one, eight, bytesPerZone: Math.round(eight.bytesPerFrame / 8) }
}

async function measureJpeg() {
  const classifier = await openClassifier({ model: lite, threads: 1 })
  const rows = []
  for (const [name, region] of [
    ['whole picture', undefined],
    ['half of it', { x: 0.25, y: 0.25, width: 0.5, height: 0.5 }],
  ]) {
    const view = classifier.view({ resize: 'contain', ...(region ? { roi: region } : {}) })
    const times = { full: [], fit: [] }
    // A zone keeps its pass, so that opening one is no part of a frame.
    const passes = { full: classifier.preprocessor(view.spec), fit: classifier.preprocessor(view.spec) }
    let same = 0
    const differing = []
    for (const photo of photos) {
      const bytes = await fullHd(photo).jpeg({ quality: 80 }).toBuffer()
      const [labels, scores] = [{}, {}]
      for (let round = 0; round < 15; round++) {
        for (const way of ['full', 'fit']) {
          const start = process.cpuUsage()
          const wall = performance.now()
          const frame = await decodeFitting({ bytes, name: photo, facts: {} }, way === 'full' ? [] : [view.spec])
          await passes[way].run(frame, classifier.input.data)
          const { user, system } = process.cpuUsage(start)
          if (round > 2) times[way].push({ cpu: (user + system) / 1000, wall: performance.now() - wall })
          if (round === 0) {
            const outcome = await view.classify(frame)
            const [{ label, score }] = outcome.prediction.top
            labels[way] = label
            scores[way] = score
          }
        }
      }
      if (labels.full === labels.fit) same++
      else differing.push({ photo, labels, scores })
    }
    view.close()
    for (const pass of Object.values(passes)) pass.close()
    const [full, fit] = ['full', 'fit'].map((way) => ({
      leastCpuMs: Math.min(...times[way].map(({ cpu }) => cpu)),
      cpuMs: median(times[way].map(({ cpu }) => cpu)),
      ms: median(times[way].map(({ wall }) => wall)),
    }))
    const [ratio, leastRatio] = [fit.cpuMs / full.cpuMs, fit.leastCpuMs / full.leastCpuMs]
    rows.push({ name, full, fit, ratio, leastRatio, same, photos: photos.length, differing })
  }
  await classifier.close()
  return rows
}

/** Ticks of a process and its children now, in milliseconds. */
function cpuOf(pid) {
  const fields = (id) =>
    readFileSync(`/proc/${id}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
  const children = readdirSync('/proc').filter((id) => {
    try {
      return /^\d+$/.test(id) && fields(id)[1] === String(pid)
    } catch {
      return false
    }
  })
  return [pid, ...children].reduce((sum, id) => sum + 10 * (Number(fields(id)[11]) + Number(fields(id)[12])), 0)
}

async function measureRtsp() {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-rtsp-'))
  const still = join(folder, 'cat.jpg')
  await fullHd('cat.jpg').jpeg().toFile(still)
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address()
      server.close(() => resolve(free))
    })
  })
  const server = spawn('/usr/bin/python3', [join(root, 'test/camera/rtsp-server.py'), String(port), still], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise((resolve) => server.stdout.once('data', resolve))
  const use = async (decode) => {
    const file = join(folder, 'gapcam.yaml')
    writeFileSync(
      file,
      `model: ${join(root, 'models/convnet-gap.onnx')}\nstateDir: ${folder}\nmqtt: { broker: none }\npage: { enabled: false }\n` +
        `cameras: [{ id: yard, source: "rtsp://127.0.0.1:${port}/bird", decode: ${decode}, zones: [{ id: gate, region: { x: 0.1, y: 0.1, w: 0.8, h: 0.8 }, trigger: command }] }]\n`,
    )
    const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'run', '--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await new Promise((resolve) => child.stderr.on('data', (text) => /camera {3}yard/.test(text) && resolve()))
    await sleep(3000)
    const before = cpuOf(child.pid)
    await sleep(Number(values.seconds) * 1000)
    const ms = (cpuOf(child.pid) - before) / Number(values.seconds)
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('close', resolve))
    return ms
  }
  try {
    const rounds = []
    for (let i = 0; i < 2; i++) rounds.push({ full: await use('full'), fit: await use('fit') })
    const [full, fit] = ['full', 'fit'].map((way) => Math.min(...rounds.map((round) => round[way])))
    return { fullMsPerSecond: full, fitMsPerSecond: fit, ratio: fit / full }
  } finally {
    server.kill()
    rmSync(folder, { recursive: true })
  }
}

async function measureAnchor() {
  const grey = async (left) => {
    const data = await fullHd('cat.jpg').extract({ left, top: 0, width: 1800, height: 1000 }).raw().toBuffer()
    return frameOf({ data, width: 1800, height: 1000 })
  }
  const frames = [await grey(0), await grey(6)]
  const watch = new ViewWatch({ views: [], onViews: () => undefined, wall: Date.now })
  let nowMs = 0
  const [look, glance] = [[], []]
  watch.observe(frames[0], nowMs)
  for (let i = 0; i < 60; i++) {
    const start = performance.now()
    watch.opened()
    watch.observe(frames[i % 2], (nowMs += 1000))
    look.push(performance.now() - start)
    const middle = performance.now()
    watch.observe(frames[i % 2], (nowMs += 1))
    glance.push(performance.now() - middle)
  }
  const classifier = await openClassifier({ model: lite, threads: 1 })
  const infer = []
  for (let i = 0; i < 12; i++) {
    const outcome = await classifier.classify(frames[0])
    infer.push(outcome.prediction.timings.infer)
  }
  await classifier.close()
  const inferMs = median(infer)
  const [lookMs, glanceMs] = [median(look), median(glance)]
  return { lookMs, glanceMs, inferMs, share: (lookMs + 10 * glanceMs) / (10 * inferMs) }
}

if (isAsked('zones')) results.zones = await measureZones()
if (isAsked('jpeg')) results.jpeg = await measureJpeg()
if (isAsked('anchor')) results.anchor = await measureAnchor()
if (isAsked('rtsp')) results.rtsp = await measureRtsp()
if (values.json) console.log(JSON.stringify(results))
else console.dir(results, { depth: 5 })
