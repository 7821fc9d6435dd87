/**
 * `gapcam profile [SOURCE]`: times each stage from photon to label, and each step of the engine. Frames take the same path
 * as in `gapcam run`, without broker and page.
 */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { GapcamError, writeFaultOf } from '../errors.js'
import { createLogger } from '../log.js'
import { stageNames } from '../metrics.js'
import { createPublisher, type Publisher } from '../publish/publisher.js'
import { sizesInWords, type DecodedSize } from '../run/cameras/decoded-size.js'
import { run } from '../run/runtime.js'
import { profileSteps, reportSteps, type StepsResult } from './bench-steps.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, positiveFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { traceOf, type FrameTimes } from './profile-trace.js'
import { camerasOf } from '../run/cameras/cameras.js'
import { untilSignal } from './signals.js'

const usualFrames = 200
/** The first frames are slower, because code is compiled and memory is touched for the first time. They do not count. */
const warmUp = 5

/** Percentiles of one stage in milliseconds. */
export interface StageTimes {
  readonly stage: (typeof stageNames)[number] | 'photon to label'
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** Registers the command. */
export function profileCommand(program: Command): void {
  const command = program
    .command('profile')
    .description('time each stage from photon to label, and each step of the engine')
    .argument('[source]', 'camera URI, picture, folder or video')
  addCameraFlags(
    addFlags(command, ['model', 'labels', 'engine', 'threads', 'inputSize', 'frames', 'json', 'logLevel', 'planCache']),
  )
    .option('--trace <file>', 'also write a Chrome trace for Perfetto (ui.perfetto.dev)')
    .option('--seconds <n>', 'seconds for timing the steps', '2')
    .action(async (source: string | undefined, values: FlagValues) => {
      const { config } = configFrom(values)
      const cameras = [...camerasFrom(config.cameras, source, values)]
      await untilSignal(({ signal }) =>
        profile({ ...config, cameras, frames: config.frames || usualFrames }, values, signal),
      )
    })
}

async function profile(config: Config, values: FlagValues, signal: AbortSignal): Promise<void> {
  const seconds = positiveFrom(values, 'seconds')
  const classifier = await openClassifier({ ...modelOptions(config), heat: config.heat })
  try {
    const sizes = new Map<string, DecodedSize>()
    const frames = await timeFrames(config, classifier, sizes, signal)
    if (frames.length === 0)
      throw new GapcamError(
        'CAMERA_NOT_FOUND',
        `the source has no more than the ${warmUp} frames that are needed to warm up`,
        {
          hint: 'Use --loop, or a source with more frames.',
        },
      )
    const { engine } = classifier.engine.describe()
    const steps =
      engine === 'native' && !signal.aborted ? await profileSteps(classifier.modelId, classifier.engine, seconds) : null
    report({ frames, sizes, steps, engine }, wantsJson(config.json))
    if (values['trace'] !== undefined) await writeTrace(String(values['trace']), frames, steps)
  } finally {
    await classifier.close()
  }
}

/** Runs the pipeline with a publisher that records the time of each result instead of publishing it. */
async function timeFrames(
  config: Config,
  classifier: Classifier,
  sizes: Map<string, DecodedSize>,
  signal: AbortSignal,
): Promise<readonly FrameTimes[]> {
  const log = createLogger(config.logLevel)
  const cameras = await camerasOf(config, signal, (reason) => process.stderr.write(`no camera: ${reason}\n`))
  const silent = createPublisher({ broker: null, node: config.node, cameras: cameras.map(({ id }) => id), log })
  const frames: FrameTimes[] = []
  let coming: Omit<FrameTimes, 'decide'> | null = null
  let handedMs = 0
  const publisher: Publisher = {
    ...silent,
    result(camera, { frameSeq, top, timings }) {
      handedMs = performance.now()
      const { capture, preprocess, infer } = timings
      coming = {
        camera,
        seq: frameSeq,
        label: top[0]?.label ?? '',
        startMs: handedMs - timings.total,
        capture,
        preprocess,
        infer,
      }
    },
    settled() {
      if (coming) frames.push({ ...coming, decide: performance.now() - handedMs })
      coming = null
    },
  }
  try {
    await run(
      {
        config: { ...config, frames: config.frames + warmUp },
        cameras,
        classifier,
        publisher,
        log,
        onDecoded: (camera, size) => sizes.set(camera, size),
      },
      signal,
    )
  } finally {
    await silent.close()
  }
  return frames.slice(warmUp)
}

function stageTimes(frames: readonly FrameTimes[]): StageTimes[] {
  const row = (stage: StageTimes['stage'], of: (frame: FrameTimes) => number): StageTimes => {
    const sorted = Float64Array.from(frames, of).sort()
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! * 1000) / 1000
    return { stage, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
  return [
    ...stageNames.map((stage) => row(stage, (frame) => frame[stage])),
    row('photon to label', ({ capture, preprocess, infer, decide }) => capture + preprocess + infer + decide),
  ]
}

interface Profiled {
  readonly frames: readonly FrameTimes[]
  /** By camera. */
  readonly sizes: ReadonlyMap<string, DecodedSize>
  readonly steps: StepsResult | null
  readonly engine: string
}

function report({ frames, sizes, steps, engine }: Profiled, isJson: boolean): void {
  const times = stageTimes(frames)
  if (isJson)
    return writeJson({ frames: frames.length, engine, decoded: Object.fromEntries(sizes), stages: times, steps })
  for (const [camera, size] of sizes) process.stdout.write(`${camera}: ${sizesInWords(size)}\n`)
  process.stdout.write(`${frames.length} frames, after ${warmUp} to warm up\n`)
  writeTable([
    ['stage', '  p50 ms', '  p95 ms', '  p99 ms'],
    ...times.map(({ stage, p50, p95, p99 }) => [stage, ...[p50, p95, p99].map((ms) => ms.toFixed(3).padStart(8))]),
  ])
  process.stdout.write('\n')
  if (steps) reportSteps([steps], false)
  else process.stdout.write(`${engine} cannot time its steps; use --engine native for that\n`)
}

async function writeTrace(file: string, frames: readonly FrameTimes[], steps: StepsResult | null): Promise<void> {
  try {
    await writeFile(file, JSON.stringify(traceOf(frames, steps)))
  } catch (error) {
    throw new GapcamError('USAGE', `--trace: ${file} cannot be written: ${writeFaultOf(error)}`, {
      hint: 'Name a file in a folder that you may write.',
    })
  }
  process.stderr.write(`trace written to ${file}; open it at ui.perfetto.dev\n`)
}
