// Clips: what a frame costs with a mean over time, and networks over clips beside onnxruntime-node. Writes the tables of
// docs/video.md.
//
//   npm run build && node --expose-gc scripts/bench/clips.mjs [--rounds 7] [--threads 1] [--only pooled|networks]
//
// Both sides are measured in turn, in one process; each figure is the shortest of its runs.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
import { openEngine } from '../../dist/engine/select.js'
import { frameOf } from '../../dist/frame.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { ClipWindow } from '../../dist/task/video/window.js'
import { ClipVectors } from '../../dist/task/video/pooled.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const [rounds, threads] = [Number(values.rounds), Number(values.threads)]
const root = join(import.meta.dirname, '../..')
const page = join(root, 'docs/video.md')

/** Puts a table between its marks in the page. */
function write(name, text) {
  console.log(text)
  const before = readFileSync(page, 'utf8')
  const marks = new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- end -->)`)
  writeFileSync(
    page,
    before.replace(marks, (_, from, to) => `${from}${text}\n${to}`),
  )
}

/** The shortest time of each of two works, in turn, milliseconds. */
async function shortest(one, other, runs) {
  const best = [Infinity, Infinity]
  for (let i = 0; i < runs + 1; i++)
    for (const [k, work] of [one, other].entries()) {
      const start = performance.now()
      await work()
      if (i > 0) best[k] = Math.min(best[k], performance.now() - start)
    }
  return best
}

async function pooled() {
  const lines = ['| network | a picture, ms | a frame of a clip of 16, ms | ratio |', '| --- | --- | --- | --- |']
  const picture = await decodeFile(join(root, 'models/photos/cat-720p.jpg'))
  for (const name of ['efficientnet-lite0', 'convnet-gap']) {
    const model = join(root, `models/${name}.onnx`)
    const single = await openClassifier({ model, threads })
    const video = await openClassifier({ model, threads, task: 'video' })
    const [one, clip] = [single.view(), video.view()]
    let [ms, isWhole] = [0, false]
    const show = async () => {
      ms += 100
      isWhole = (await clip.classify(frameOf(picture, { capturedNs: BigInt(ms * 1e6) }))).ok
    }
    for (let i = 0; i < 20; i++) await show()
    if (!isWhole) throw new Error('the clip is not whole')
    const [pictureMs, frameMs] = await shortest(() => one.classify(frameOf(picture)), show, 60 * rounds)
    lines.push(`| ${name} | ${pictureMs.toFixed(2)} | ${frameMs.toFixed(2)} | ${(frameMs / pictureMs).toFixed(3)} |`)
    for (const each of [one, clip, single, video]) await each.close()
  }
  write('pooled', `${lines.join('\n')}\n\n${allocations()}`)
}

/** Memory that the window and the vectors take for a frame. */
function allocations() {
  if (!globalThis.gc) throw new Error('run it with node --expose-gc')
  const pair = { now: new Float32Array(1280), rest: new Float32Array(1280) }
  const clip = new ClipVectors({ pixels: null, feed: null }, [pair], new ClipWindow(16, 100))
  const frame = { capturedNs: 0n }
  const times = Array.from({ length: 20_000 }, (_, i) => BigInt(i) * 100_000_000n)
  const show = () => {
    for (const capturedNs of times) {
      frame.capturedNs = capturedNs
      if (!clip.isDue(frame)) continue
      clip.slot()
      clip.add(frame)
      clip.ran()
    }
  }
  let bytes = Infinity
  for (let round = 0; round < 12; round++) {
    globalThis.gc()
    const before = process.memoryUsage().heapUsed
    show()
    bytes = Math.min(bytes, Math.max(0, process.memoryUsage().heapUsed - before) / times.length)
  }
  return `The window and the vectors take ${bytes.toFixed(1)} bytes of new memory a frame.`
}

async function networks() {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-clips-'))
  const lines = [
    '| network | input | times as fast as onnxruntime-node | largest difference |',
    '| --- | --- | --- | --- |',
  ]
  const made = (name, ...args) => {
    const file = join(folder, `${name}.onnx`)
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/networks/c3d.mjs'), file, ...args])
    if (status !== 0) throw new Error(String(stderr))
    return file
  }
  const all = [
    ['C3D', made('c3d')],
    ['C3D, mean at the end', made('c3d-mean', '--pooled')],
    ['clips.onnx', join(root, 'models/clips.onnx')],
  ]
  for (const [name, file] of all) {
    const own = await openEngine(file, 'native', { threads })
    const other = await openEngine(file, 'onnxruntime', { threads })
    const input = own.inputs[0].data
    for (let i = 0; i < input.length; i++) input[i] = Math.sin(i * 0.37) + 0.3 * Math.sin(i * 0.0011)
    other.inputs[0].data.set(input)
    const runs = name === 'clips.onnx' ? 30 * rounds : rounds
    const [ownMs, otherMs] = await shortest(
      () => own.run(),
      () => other.run(),
      runs,
    )
    const [a, b] = [own.outputs[0].data, other.outputs[0].data]
    const range = Math.max(...b) - Math.min(...b)
    const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / range
    const shape = own.inputs[0].shape.slice(1).join(' × ')
    console.error(`${name}: ${ownMs.toFixed(1)} ms, onnxruntime-node ${otherMs.toFixed(1)} ms`)
    lines.push(`| ${name} | ${shape} | ${(otherMs / ownMs).toFixed(2)} | ${worst.toExponential(1)} |`)
    await own.close()
    await other.close()
  }
  rmSync(folder, { recursive: true })
  write('networks', lines.join('\n'))
}

if (values.only !== 'networks') await pooled()
if (values.only !== 'pooled') await networks()
