// Tests and measures the CUDA engine on a Jetson, or on another machine with an NVIDIA GPU, and writes one report file:
// the machine, whether the results are right, times of all engines and from a camera's frame, and power, clocks and
// temperatures (tegrastats). It takes about five minutes.
//
//   node scripts/board/cuda.mjs                      the models in models/
//   node scripts/board/cuda.mjs MODEL.onnx …         these models
//   --seconds N   for each measurement (default 10)   --steady N   seconds without a pause (default 60)
//   --input-size SIDE (default 224)   --photos N   at most N photographs (default all)   --out FILE
//
// Set the clocks of normal use first (sudo nvpmodel -m …; sudo jetson_clocks). The report contains both.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { timeFrames } from './frames.mjs'
import { startTegrastats } from './tegrastats.mjs'
import { openModel } from '../../dist/index.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const cli = join(root, 'dist/cli/main.js')
const limits = { fp16: 2e-2, fp32: 1e-4 }

const text = (file) => (existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', '').trim() : null)

/** The output of a program; null if it is missing or fails. */
function outputOf(command, ...args) {
  const { status, stdout, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 })
  return error || status !== 0 ? null : stdout.trim()
}

function machine() {
  return {
    model: text('/proc/device-tree/model'),
    release: text('/etc/nv_tegra_release'),
    jetpack: outputOf('dpkg-query', '-W', '-f', '${Version}', 'nvidia-jetpack'),
    kernel: outputOf('uname', '-a'),
    powerMode: outputOf('nvpmodel', '-q'),
    clocks: outputOf('jetson_clocks', '--show'),
    gpu: outputOf('nvidia-smi', '--query-gpu=name,driver_version,clocks.sm,power.limit', '--format=csv'),
    memory: text('/proc/meminfo')?.split('\n')[0] ?? null,
    node: process.version,
    commit: outputOf('git', '-C', root, 'rev-parse', 'HEAD'),
  }
}

/** Runs gapcam with these arguments. Resolves with exit status, the JSON lines of stdout, and stderr. */
function gapcam(...args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'])
      child[name].on('data', (chunk) => {
        out[name] += chunk
      })
    child.on('close', (status, signal) =>
      resolve({
        status: status ?? signal,
        results: out.stdout
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
        stderr: out.stderr,
      }),
    )
  })
}

/** The labels of the photographs on CUDA and on the CPU. */
async function photographs(count) {
  const folder = join(root, 'models/photos')
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.jpg'))
    .slice(0, count)
    .map((name) => join(folder, name))
  const byName = (results) =>
    Object.fromEntries(
      results.map(({ file, top, target }) => [basename(file), { label: top[0].label, score: top[0].score, target }]),
    )
  const native = byName((await gapcam('classify', '--json', '--engine', 'native', ...files)).results)
  const lists = {}
  for (const precision of Object.keys(limits)) {
    const { status, results, stderr } = await gapcam(
      'classify',
      '--json',
      '--engine',
      'cuda',
      '--cuda-precision',
      precision,
      ...files,
    )
    const cuda = byName(results)
    lists[precision] = {
      status,
      stderr,
      isRight:
        status === 0 &&
        Object.keys(native).every(
          (file) => cuda[file]?.label === native[file].label && cuda[file].target.endsWith(precision),
        ),
      cuda,
    }
  }
  return { native, ...lists }
}

const wave = (length, seed) =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * 0.37 + seed) + Math.sin(i * 0.0113 * (seed + 1)) * 0.8)

/** Waves for every input of a model, by name. */
function feedsOf(model, seed) {
  const elements = (shape) => shape.reduce((a, b) => a * b, 1)
  return Object.fromEntries(model.inputs.map(({ name, shape }) => [name, wave(elements(shape), seed)]))
}

async function outputsOf(path, options, inputs) {
  const model = await openModel(path, options)
  try {
    const all = []
    for (let seed = 0; seed < inputs; seed++) {
      all.push(Object.values(await model.run(feedsOf(model, seed))).map(({ data }) => Array.from(data)))
    }
    return { all, described: model.describe() }
  } finally {
    await model.close()
  }
}

/** The largest difference of any output from the CPU's over a few inputs, as a share of its range. */
async function parity(path, inputSize) {
  const size = inputSize ? { inputSize } : {}
  const right = await outputsOf(path, { engine: 'native', ...size }, 4)
  const results = {}
  for (const precision of Object.keys(limits)) {
    try {
      const computed = await outputsOf(path, { engine: 'cuda', cudaPrecision: precision, ...size }, 4)
      const worst = Math.max(
        ...right.all.flatMap((outputs, i) => outputs.map((values, j) => difference(values, computed.all[i][j]))),
      )
      results[precision] = { worst, isRight: worst <= limits[precision], cuda: computed.described.cuda }
    } catch (error) {
      results[precision] = { isRight: false, error: `${error.code ?? ''} ${error.message}` }
    }
  }
  return results
}

function difference(right, computed) {
  let [least, most, worst] = [Infinity, -Infinity, 0]
  right.forEach((value, i) => {
    least = Math.min(least, value)
    most = Math.max(most, value)
    worst = Math.max(worst, Math.abs(value - computed[i]))
  })
  return worst / (most > least ? most - least : 1)
}

/** Runs one input without a pause: the speed of the warm board, and whether a run fails or differs. */
async function steady(path, inputSize, seconds) {
  const model = await openModel(path, { engine: 'cuda', ...(inputSize ? { inputSize } : {}) })
  const feeds = feedsOf(model, 1)
  const tenths = Array.from({ length: 10 }, () => [])
  const outputs = new Set()
  const began = performance.now()
  for (let now = began; now < began + seconds * 1000; ) {
    const result = await model.run(feeds)
    const end = performance.now()
    tenths[Math.min(9, Math.floor((now - began) / (seconds * 100)))].push(end - now)
    outputs.add(
      createHash('sha256')
        .update(Buffer.from(Object.values(result)[0].data.buffer))
        .digest('hex'),
    )
    now = end
  }
  const described = model.describe()
  await model.close()
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? null
  return {
    runs: tenths.flat().length,
    medianMsByTenth: tenths.map(median),
    differentOutputs: outputs.size,
    cuda: described.cuda,
  }
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '10' },
      steady: { type: 'string', default: '60' },
      photos: { type: 'string', default: '100' },
      out: { type: 'string' },
      'input-size': { type: 'string', default: '224' },
    },
  })
  const shipped = readdirSync(join(root, 'models'))
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(root, 'models', name))
  const side = Number(values['input-size'])
  return {
    models: positionals.length > 0 ? positionals : shipped,
    inputSize: { height: side, width: side },
    seconds: Number(values.seconds),
    steadySeconds: Number(values.steady),
    photos: Number(values.photos),
    out: values.out,
  }
}

const note = (what) => process.stderr.write(`${what}\n`)

/** Runs `work` beside tegrastats. Resolves with its result and the board's numbers. */
async function withBoard(work) {
  const board = startTegrastats()
  const result = await work()
  return { ...result, board: await board.stop() }
}

/** The entry of one model. It ends after the parity check if no precision is right. */
async function testModel(path, { inputSize, seconds, steadySeconds }) {
  const name = basename(path)
  const entry = { name, sha256: createHash('sha256').update(readFileSync(path)).digest('hex') }
  note(`${name}: parity`)
  entry.parity = await parity(path, inputSize)
  if (!Object.values(entry.parity).some(({ isRight }) => isRight)) return entry
  const auto = await openModel(path, { engine: 'auto', inputSize })
  entry.auto = auto.describe()
  await auto.close()
  note(`${name}: benchmark`)
  const benchmark = ['--engine', 'cuda,native,onnxruntime', '--seconds', String(seconds)]
  const size = ['--input-size', String(inputSize.height)]
  entry.benchmark = await withBoard(() => gapcam('bench', '--json', ...benchmark, ...size, path))
  note(`${name}: frames`)
  entry.frames = await timeFrames(path, inputSize, seconds / 2)
  note(`${name}: ${steadySeconds} s without a pause`)
  entry.steady = await withBoard(() => steady(path, inputSize, steadySeconds))
  return entry
}

function isRight({ photographs, models }) {
  return (
    photographs.fp16.isRight &&
    models.every(
      ({ parity: p, frames = [] }) =>
        Object.values(p).every((precision) => precision.isRight) && frames.every(({ isSame }) => isSame),
    )
  )
}

async function main() {
  const options = readArguments()
  const report = { format: 1, when: new Date().toISOString(), machine: machine(), models: [] }
  note('photographs')
  report.photographs = await photographs(options.photos)
  for (const path of options.models) report.models.push(await testModel(path, options))
  report.isEmulated = report.models.some(({ parity: p }) =>
    /emulated/i.test(p?.fp16?.cuda?.device ?? p?.fp32?.cuda?.device ?? ''),
  )
  report.isRight = isRight(report)
  const file = options.out ?? `gapcam-cuda-${report.when.slice(0, 19).replaceAll(':', '')}.json`
  writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`)
  note(
    report.isEmulated
      ? 'The device is emulated on the processor: the times in the report mean nothing.'
      : 'Please send this file back.',
  )
  console.log(file)
  process.exitCode = report.isRight ? 0 : 1
}

await main()
