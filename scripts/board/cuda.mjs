// Everything that a Jetson (or another machine with an NVIDIA GPU) can tell about the CUDA engine, in one file to send back:
// what the machine is, whether results are right, how long they take beside the other engines and from a camera's frame,
// power, clocks and temperatures meanwhile (tegrastats). About five minutes.
//
//   node scripts/board/cuda.mjs                      the models that come with gapcam
//   node scripts/board/cuda.mjs MODEL.onnx …         these
//   --seconds N   of each measurement (default 10)   --steady N   of running without a pause (default 60)
//   --input-size SIDE (default 224)   --photos N   so many photographs (default all)   --out FILE
//
// Run it with the clocks that you mean to have (sudo nvpmodel -m …; sudo jetson_clocks): both are noted.
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

/** What a program prints, or null where it is not there. */
function says(command, ...args) {
  const { status, stdout, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 })
  return error || status !== 0 ? null : stdout.trim()
}

function machine() {
  return {
    model: text('/proc/device-tree/model'),
    release: text('/etc/nv_tegra_release'),
    jetpack: says('dpkg-query', '-W', '-f', '${Version}', 'nvidia-jetpack'),
    kernel: says('uname', '-a'),
    powerMode: says('nvpmodel', '-q'),
    clocks: says('jetson_clocks', '--show'),
    gpu: says('nvidia-smi', '--query-gpu=name,driver_version,clocks.sm,power.limit', '--format=csv'),
    memory: text('/proc/meminfo')?.split('\n')[0] ?? null,
    node: process.version,
    commit: says('git', '-C', root, 'rev-parse', 'HEAD'),
  }
}

/** gapcam with these arguments: exit status, objects on stdout, stderr. */
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

/** The photographs' labels by CUDA and by the CPU. */
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

async function outputsOf(path, options, inputs) {
  const model = await openModel(path, options)
  try {
    const all = []
    for (let seed = 0; seed < inputs; seed++) {
      const feeds = Object.fromEntries(
        model.inputs.map(({ name, shape }) => [
          name,
          wave(
            shape.reduce((a, b) => a * b, 1),
            seed,
          ),
        ]),
      )
      all.push(Object.values(await model.run(feeds)).map(({ data }) => Array.from(data)))
    }
    return { all, described: model.describe() }
  } finally {
    await model.close()
  }
}

/** The largest difference of any output from the CPU's, as a share of its range, over a few inputs. */
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

/** The same frame again and again: what stays of the speed when the board is warm, and whether it ever fails. */
async function steady(path, inputSize, seconds) {
  const model = await openModel(path, { engine: 'cuda', ...(inputSize ? { inputSize } : {}) })
  const feeds = Object.fromEntries(
    model.inputs.map(({ name, shape }) => [
      name,
      wave(
        shape.reduce((a, b) => a * b, 1),
        1,
      ),
    ]),
  )
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

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '10' },
      steady: { type: 'string', default: '60' },
      photos: { type: 'string', default: '100' },
      out: { type: 'string' },
      'input-size': { type: 'string' },
    },
  })
  const models =
    positionals.length > 0
      ? positionals
      : readdirSync(join(root, 'models'))
          .filter((name) => name.endsWith('.onnx'))
          .map((name) => join(root, 'models', name))
  const side = values['input-size'] === undefined ? undefined : Number(values['input-size'])
  const inputSize = side === undefined ? { height: 224, width: 224 } : { height: side, width: side }
  const sizeFlag = ['--input-size', String(inputSize.height)]
  const report = { format: 1, when: new Date().toISOString(), machine: machine(), models: [] }
  const note = (what) => process.stderr.write(`${what}\n`)
  note('photographs')
  report.photographs = await photographs(Number(values.photos))
  for (const path of models) {
    const name = basename(path)
    const entry = { name, sha256: createHash('sha256').update(readFileSync(path)).digest('hex') }
    report.models.push(entry)
    note(`${name}: parity`)
    entry.parity = await parity(path, inputSize)
    if (!Object.values(entry.parity).some(({ isRight }) => isRight)) continue
    const auto = await openModel(path, { engine: 'auto', inputSize })
    entry.auto = auto.describe()
    await auto.close()
    note(`${name}: benchmark`)
    const board = startTegrastats()
    const bench = await gapcam(
      'bench',
      '--json',
      '--engine',
      'cuda,native,onnxruntime',
      '--seconds',
      values.seconds,
      ...sizeFlag,
      path,
    )
    entry.benchmark = { status: bench.status, stderr: bench.stderr, results: bench.results, board: await board.stop() }
    note(`${name}: frames`)
    entry.frames = await timeFrames(path, inputSize, Number(values.seconds) / 2)
    note(`${name}: ${values.steady} s without a pause`)
    const warm = startTegrastats()
    entry.steady = { ...(await steady(path, inputSize, Number(values.steady))), board: await warm.stop() }
  }
  report.isEmulated = report.models.some(({ parity: p }) =>
    /emulated/i.test(p?.fp16?.cuda?.device ?? p?.fp32?.cuda?.device ?? ''),
  )
  report.isRight =
    report.photographs.fp16.isRight &&
    report.models.every(
      ({ parity: p, frames = [] }) =>
        Object.values(p).every(({ isRight }) => isRight) && frames.every(({ isSame }) => isSame),
    )
  const file = values.out ?? `gapcam-cuda-${report.when.slice(0, 19).replaceAll(':', '')}.json`
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
