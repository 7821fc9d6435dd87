/**
 * `gapcam bench`: engines side by side on the same model, taking turns, least and median time of a run. A machine that
 * slows down slows all of them, so the ratio holds where the milliseconds do not.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { loadAddon } from '../addon.js'
import { profileSteps, reportSteps, type StepsResult } from './bench-steps.js'
import { openEngine } from '../engine/select.js'
import type { Engine, EngineOptions, EngineTensor } from '../engine/engine.js'
import { exitStatus, expected, GapcamError, messageOf } from '../errors.js'
import { configFrom, type FlagValues } from './flags.js'
import { loadModel, type LoadedModel } from '../model/onnx/onnx.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgress, type Progress } from './progress-bar.js'
import { sizeFor } from '../model/metadata/manifest.js'
import { macsOf } from '../model/report.js'
import type { EngineName } from '../decision/prediction.js'
import type { InputSize } from '../tensor.js'

interface BenchResult {
  readonly model: string
  readonly engine: EngineName
  readonly target: string
  readonly threads: number
  readonly minMs: number
  readonly medianMs: number
  /** Least time over that of the first engine named; below 1 is faster. */
  readonly ratio: number
  /** Multiply-adds of the direct algorithm, as a share of what the cores' FMA units could do in minMs; null for a GPU. */
  readonly peakPercent: number | null
}

export function benchCommand(program: Command): void {
  program
    .command('bench')
    .description('time engines on models, side by side')
    .argument('[model...]')
    .option(
      '--engine <names>',
      'engines to compare, separated by commas: cuda, native, onnxruntime (default: native,onnxruntime)',
    )
    .option('--compare <name>', 'the native engine beside this one: short for --engine native,NAME')
    .option('--steps', 'the time of each step of the native engine instead: kernel, ms, GFLOP/s, share of peak, bytes')
    .option('--threads <counts>', 'thread counts, separated by commas', '1')
    .option('--seconds <n>', 'seconds for each model, engine and thread count', '5')
    .option('--input-size <side|HxW>', 'input of the network where the model allows it')
    .option('--json', 'one JSON object a line')
    .action(async (models: string[], values: FlagValues) => {
      const engines = enginesOf(values)
      const threads = list(values['threads']).map((text) => positive(text, '--threads'))
      const { config } = configFrom(values['inputSize'] === undefined ? {} : { inputSize: values['inputSize'] })
      const files = models.length > 0 ? models : defaultModels()
      const options = {
        engines,
        threads,
        seconds: positive(String(values['seconds']), '--seconds'),
        inputSize: config.inputSize,
      }
      const isJson = wantsJson(values['json'] === true)
      if (values['steps'] === true) reportSteps(await profileAll(files, options), isJson)
      else report(await benchAll(files, options), isJson)
    })
}

function enginesOf({ engine, compare, steps }: FlagValues): EngineName[] {
  if (compare !== undefined && (engine !== undefined || steps === true))
    throw new GapcamError('USAGE', '--compare goes with neither --engine nor --steps')
  const given = compare === undefined ? (engine ?? 'native,onnxruntime') : `native,${String(compare)}`
  const flag = compare === undefined ? '--engine' : '--compare'
  return list(given).map((name) => {
    if (name !== 'cuda' && name !== 'native' && name !== 'onnxruntime')
      throw new GapcamError('USAGE', `${flag}: ${name} is none of cuda, native and onnxruntime`)
    return name
  })
}

const list = (value: unknown): string[] =>
  String(value)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

function positive(text: string, flag: string): number {
  const value = Number(text)
  if (!(value > 0) || (flag === '--threads' && (!Number.isInteger(value) || value > 64)))
    throw new GapcamError(
      'USAGE',
      `${flag}: ${text} is not a number above 0${flag === '--threads' ? ' and at most 64' : ''}`,
    )
  return value
}

function defaultModels(): string[] {
  const folder = fileURLToPath(new URL('../../models/', import.meta.url))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => folder + name)
}

interface BenchOptions {
  readonly engines: readonly EngineName[]
  readonly threads: readonly number[]
  readonly seconds: number
  readonly inputSize: InputSize | undefined
}

async function benchAll(files: readonly string[], options: BenchOptions): Promise<BenchResult[]> {
  const results: BenchResult[] = []
  const secondsEach = options.seconds * options.engines.length
  const progress = startProgress('bench', files.length * options.threads.length * secondsEach)
  let done = 0
  try {
    for (const file of files) {
      for (const threads of options.threads) {
        const before = done
        results.push(
          ...(await benchOne(file, threads, options, {
            ...progress,
            update: (seconds) => progress.update(before + Math.min(seconds, secondsEach)),
          })),
        )
        done += secondsEach
      }
    }
  } finally {
    progress.stop()
  }
  return results
}

async function profileAll(
  files: readonly string[],
  { threads, seconds, inputSize: asked }: BenchOptions,
): Promise<StepsResult[]> {
  const results: StepsResult[] = []
  const progress = startProgress('bench', files.length * threads.length)
  try {
    for (const file of files) {
      const model = await loadModel(file)
      for (const count of threads) {
        const engine = await openEngine(model, 'native', engineOptions(count, await sizeFor(model, asked)))
        try {
          fill(engine.inputs)
          results.push(await profileSteps(file, engine, seconds))
        } finally {
          await engine.close()
        }
        progress.update(results.length)
      }
    }
  } finally {
    progress.stop()
  }
  return results
}

const engineOptions = (threads: number, inputSize: InputSize | undefined): EngineOptions =>
  inputSize ? { threads, inputSize } : { threads }

async function benchOne(
  file: string,
  threads: number,
  { engines: names, seconds, inputSize: asked }: BenchOptions,
  progress: Progress,
): Promise<BenchResult[]> {
  const model = await loadModel(file)
  const inputSize = await sizeFor(model, asked)
  const engines: Engine[] = []
  for (const name of names) engines.push(await open(model, name, threads, inputSize))
  try {
    for (const engine of engines) fill(engine.inputs)
    const peak = measuredPeak()
    const times = await takeTurns(engines, seconds * engines.length, progress)
    const macs = macsOf(model, inputSize)
    const first = times[0]!.reduce((least, ms) => Math.min(least, ms), Infinity)
    return engines.map((engine, i) => resultOf(file, engine, threads, times[i]!, { first, macs, peak }))
  } finally {
    for (const engine of engines) await engine.close()
  }
}

/** An engine by name; where it cannot serve, another takes its place, visibly and with exit status 4. */
async function open(
  model: LoadedModel,
  name: EngineName,
  threads: number,
  inputSize: InputSize | undefined,
): Promise<Engine> {
  const options = engineOptions(threads, inputSize)
  try {
    const engine = await openEngine(model, name, options)
    if (/emulated/i.test(engine.describe().cuda?.device ?? ''))
      process.stderr.write('the CUDA device is emulated on the processor: its times mean nothing\n')
    return engine
  } catch (error) {
    if (name === 'onnxruntime' || !(error instanceof GapcamError) || error.code !== 'ENGINE_UNAVAILABLE') throw error
    const instead = name === 'cuda' ? 'native' : 'onnxruntime'
    process.stderr.write(`${model.path}: ${messageOf(error)}; ${instead} takes its place\n`)
    process.exitCode = exitStatus.model
    return open(model, instead, threads, inputSize)
  }
}

/** Numbers without a pattern that a kernel could profit from, the same on every engine. */
function fill(inputs: readonly EngineTensor[]): void {
  for (const { data, type } of inputs) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) continue
    for (let i = 0; i < data.length; i++) data[i] = type === 'float32' ? Math.sin(i * 0.37) : (i * 37) % 251
  }
}

function measuredPeak(): number | null {
  const loaded = loadAddon()
  return 'addon' in loaded ? loaded.addon.measurePeak() : null
}

/** Rounds of ten runs an engine, until the time is up; milliseconds of every run, by engine. Progress counts seconds. */
async function takeTurns(engines: readonly Engine[], seconds: number, progress: Progress): Promise<number[][]> {
  const times = engines.map((): number[] => [])
  for (const engine of engines) for (let i = 0; i < 3; i++) await engine.run()
  const began = performance.now()
  const end = began + seconds * 1000
  do {
    for (const [i, engine] of engines.entries()) {
      for (let run = 0; run < 10; run++) {
        const start = performance.now()
        await engine.run()
        times[i]!.push(performance.now() - start)
      }
      progress.update((performance.now() - began) / 1000)
    }
  } while (performance.now() < end)
  return times
}

function resultOf(
  file: string,
  engine: Engine,
  threads: number,
  times: readonly number[],
  { first, macs, peak }: { first: number; macs: number | null; peak: number | null },
): BenchResult {
  const sorted = [...times].sort((a, b) => a - b)
  const minMs = sorted[0]
  if (minMs === undefined) throw expected('at least one run', 'times', times)
  const { engine: name, target } = engine.describe()
  const share =
    macs === null || peak === null || name === 'cuda' ? null : ((2 * macs) / (minMs * 1e6) / (peak * threads)) * 100
  return {
    model: file,
    engine: name,
    target,
    threads,
    minMs: toNanoseconds(minMs),
    medianMs: toNanoseconds(sorted[sorted.length >> 1]!),
    ratio: round(minMs / first),
    peakPercent: share === null ? null : round(share),
  }
}

const round = (value: number): number => Math.round(value * 1000) / 1000
/** Of milliseconds: small networks take a few microseconds. */
const toNanoseconds = (ms: number): number => Math.round(ms * 1e6) / 1e6

function report(results: readonly BenchResult[], isJson: boolean): void {
  if (isJson) for (const result of results) writeJson(result)
  else {
    writeTable([
      ['model', 'engine', 'target', 'threads', 'min ms', 'median ms', 'ratio', '% of peak'],
      ...results.map((r) => [
        r.model,
        r.engine,
        r.target,
        r.threads,
        r.minMs.toFixed(2),
        r.medianMs.toFixed(2),
        r.ratio.toFixed(3),
        r.peakPercent === null ? '' : r.peakPercent.toFixed(0),
      ]),
    ])
  }
}
