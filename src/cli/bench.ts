/**
 * `gapcam bench`: times engines on the same model. The engines take turns, so that a machine that slows down slows all of
 * them and their ratio stays comparable. Reports the shortest and the median time of a run.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { loadAddon } from '../addon.js'
import { profileSteps, reportSteps, type StepsResult } from './bench-steps.js'
import { openEngine } from '../engine/select.js'
import type { Engine, EngineOptions, EngineTensor } from '../engine/engine.js'
import { exitStatus, expected, GapcamError, messageOf } from '../errors.js'
import { addFlag, inputSizeFrom, positiveFrom, type FlagValues } from './flags.js'
import { loadModel } from '../model/load.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar, type ProgressBar } from './progress-bar.js'
import { settledModel } from '../model/metadata/input-shape.js'
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
  /** Shortest time divided by that of the first engine; below 1 is faster. */
  readonly ratio: number
  /** Multiply-adds of the direct algorithm in percent of what the FMA units can do in `minMs`; null for a GPU. */
  readonly peakPercent: number | null
}

/** Registers the command. */
export function benchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('time engines on models, or each step of the native engine')
    .argument('[model...]', 'ONNX files; default the models that come with gapcam')
    .option(
      '--engine <names>',
      'engines to compare, separated by commas: cuda, native, onnxruntime (default: native,onnxruntime)',
    )
    .option('--compare <name>', 'compare the native engine with this one: short for --engine native,NAME')
    .option('--steps', 'time each step of the native engine instead: kernel, ms, GFLOP/s, share of peak, bytes')
    .option('--threads <counts>', 'thread counts, separated by commas', '1')
    .option('--seconds <n>', 'seconds for each model, engine and thread count', '5')
    .option('--json', 'one JSON object per line')
  addFlag(command, 'inputSize').action(async (models: string[], values: FlagValues) => {
    const files = models.length > 0 ? models : defaultModels()
    const options = {
      engines: enginesOf(values),
      threads: list(values['threads']).map(threadCount),
      seconds: positiveFrom(values, 'seconds'),
      inputSize: inputSizeFrom(values),
    }
    const isJson = wantsJson(values['json'] === true)
    if (values['steps'] === true) reportSteps(await profileAll(files, options), isJson)
    else report(await benchAll(files, options), isJson)
  })
}

function enginesOf({ engine, compare, steps }: FlagValues): EngineName[] {
  if (compare !== undefined && (engine !== undefined || steps === true))
    throw new GapcamError('USAGE', '--compare cannot be combined with --engine or --steps')
  const given = compare === undefined ? (engine ?? 'native,onnxruntime') : `native,${String(compare)}`
  const flag = compare === undefined ? '--engine' : '--compare'
  return list(given).map((name) => {
    if (name !== 'cuda' && name !== 'native' && name !== 'onnxruntime')
      throw new GapcamError(
        'USAGE',
        `${flag}: there is no engine ${name}; the engines are cuda, native and onnxruntime`,
      )
    return name
  })
}

const list = (value: unknown): string[] =>
  String(value)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

function threadCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new GapcamError('USAGE', `--threads: ${text} is not a whole number from 1 to 64`)
  return count
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
  const progress = startProgressBar('bench', files.length * options.threads.length * secondsEach)
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
  const progress = startProgressBar('bench', files.length * threads.length)
  try {
    for (const file of files) {
      const { model, inputSize } = await settledModel(await loadModel(file), asked)
      for (const count of threads) {
        const engine = await openEngine(model, 'native', { threads: count, inputSize })
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

async function benchOne(
  file: string,
  threads: number,
  { engines: names, seconds, inputSize: asked }: BenchOptions,
  progress: ProgressBar,
): Promise<BenchResult[]> {
  const { model, inputSize } = await settledModel(await loadModel(file), asked)
  const engines: Engine[] = []
  for (const name of names) engines.push(await open(model, name, { threads, inputSize }))
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

/** Opens an engine by name. If it is unavailable another one replaces it, with a warning and exit status 4. */
async function open(model: LoadedModel, name: EngineName, options: EngineOptions): Promise<Engine> {
  try {
    const engine = await openEngine(model, name, options)
    if (/emulated/i.test(engine.describe().cuda?.device ?? ''))
      process.stderr.write('the CUDA device is emulated on the processor, so its times mean nothing\n')
    return engine
  } catch (error) {
    if (name === 'onnxruntime' || !(error instanceof GapcamError) || error.code !== 'ENGINE_UNAVAILABLE') throw error
    const instead = name === 'cuda' ? 'native' : 'onnxruntime'
    process.stderr.write(`${model.path}: ${messageOf(error)}; measuring ${instead} instead\n`)
    process.exitCode = exitStatus.model
    return open(model, instead, options)
  }
}

/** Fills the inputs with numbers that no kernel could take advantage of, the same for every engine. */
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

/** Runs the engines in turns of ten until the time is up. Returns the milliseconds of every run by engine. */
async function takeTurns(engines: readonly Engine[], seconds: number, progress: ProgressBar): Promise<number[][]> {
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
/** Rounds milliseconds to nanoseconds, since small networks take a few microseconds. */
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
