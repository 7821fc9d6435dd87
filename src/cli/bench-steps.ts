/**
 * Times each step of the native engine, for `gapcam bench --steps` and `gapcam profile`. The whole network runs again and
 * again, so that each step finds the caches as in a real run. The shortest time of each step counts.
 */
import { loadAddon } from '../addon.js'
import { NativeEngine, type StepTime } from '../engine/native.js'
import type { Engine } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { writeJson, writeTable } from './output.js'

/** The time and work of one step. */
export interface StepResult {
  readonly name: string
  readonly kind: string
  readonly kernel: string
  readonly ms: number
  /** GFLOP/s, counting the multiply-adds of the direct algorithm; null if the step has none. */
  readonly gflops: number | null
  /** `gflops` in percent of the peak of the FMA units of all threads. */
  readonly peakPercent: number | null
  /** Sizes of the tensors that are read and written, and of the weights as the file stores them. */
  readonly inputBytes: number
  readonly outputBytes: number
  readonly weightBytes: number
}

/** All steps of one model. */
export interface StepsResult {
  readonly model: string
  readonly target: string
  readonly threads: number
  /** GFLOP/s of one core, measured beside the steps. */
  readonly peakGflops: number
  /** Sum of the shortest times of the steps. It is below the shortest time of a whole run. */
  readonly sumMs: number
  readonly steps: readonly StepResult[]
}

/** Times the steps of an engine for about `seconds`. Throws ENGINE_UNAVAILABLE unless it is the native engine. */
export async function profileSteps(model: string, engine: Engine, seconds: number): Promise<StepsResult> {
  const loaded = loadAddon()
  if (!(engine instanceof NativeEngine) || 'reason' in loaded)
    throw new GapcamError(
      'ENGINE_UNAVAILABLE',
      `--steps: ${model} does not run on the native engine, which alone can time its steps`,
    )
  const { target, threads } = engine.describe()
  const least = await leastTimes(engine, seconds)
  const peakGflops = loaded.addon.measurePeak(target)
  const steps = least.map((step) => resultOf(step, peakGflops * threads))
  return {
    model,
    target,
    threads,
    peakGflops: round(peakGflops),
    sumMs: round(steps.reduce((sum, { ms }) => sum + ms, 0)),
    steps,
  }
}

/** The shortest time of each step over rounds of about a tenth of a second. */
async function leastTimes(engine: NativeEngine, seconds: number): Promise<readonly StepTime[]> {
  const end = performance.now() + seconds * 1000
  let least = await engine.profile(3)
  const totalMs = least.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0) / 1e6
  const rounds = Math.max(1, Math.min(10_000, Math.round(100 / totalMs)))
  do {
    const turn = await engine.profile(rounds)
    least = least.map((step, i) => (turn[i]!.nanoseconds < step.nanoseconds ? turn[i]! : step))
  } while (performance.now() < end)
  return least
}

function resultOf({ nanoseconds, flops, ...step }: StepTime, peak: number): StepResult {
  const gflops = flops > 0 ? flops / nanoseconds : null
  const { name, kind, kernel, inputBytes, outputBytes, weightBytes } = step
  return {
    name,
    kind,
    kernel,
    ms: nanoseconds / 1e6,
    gflops: gflops === null ? null : round(gflops),
    peakPercent: gflops === null ? null : round((gflops / peak) * 100),
    inputBytes,
    outputBytes,
    weightBytes,
  }
}

const round = (value: number): number => Math.round(value * 1000) / 1000

/** Writes the results as a table, or as one JSON object per model. */
export function reportSteps(results: readonly StepsResult[], isJson: boolean): void {
  for (const result of results) {
    if (isJson) {
      writeJson(result)
      continue
    }
    const { model, target, threads, peakGflops, sumMs, steps } = result
    const percent = (value: number | null): string => (value === null ? '' : value.toFixed(0)).padStart(5)
    const kib = (bytes: number): string => (bytes / 1024).toFixed(0).padStart(7)
    process.stdout.write(
      `${model} on ${target}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, peak of a core ${peakGflops.toFixed(1)} GFLOP/s, sum ${sumMs.toFixed(3)} ms\n`,
    )
    writeTable([
      ['kernel', '     ms', 'GFLOP/s', '% of peak', ' KiB in', 'KiB out', 'KiB weights', 'step'],
      ...steps.map((s) => [
        s.kernel,
        s.ms.toFixed(3).padStart(7),
        (s.gflops === null ? '' : s.gflops.toFixed(1)).padStart(7),
        percent(s.peakPercent).padStart(9),
        kib(s.inputBytes),
        kib(s.outputBytes),
        kib(s.weightBytes).padStart(11),
        s.name,
      ]),
    ])
  }
}
