/**
 * Measures on the machine what the compiler can only estimate: the fastest number of threads, and which grouped blocks
 * (expansion, window and projection strip by strip, see depth-first.ts) are faster as separate steps. Candidates run in
 * turn, so thermal throttling slows all of them alike. A choice is kept only if it gains more than noise and its results
 * equal the default's within the tolerance of all engines.
 */
import { loadAddon, type Addon, type NativeSession } from '../addon.js'
import { GapcamError } from '../errors.js'
import { compilePlan } from '../model/compile.js'
import { nameSeparator } from '../model/depth-first.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { serializePlan, type Plan } from '../model/plan.js'
import { prepareNative, type PreparedGraph } from '../model/prepare.js'
import type { InputSize } from '../tensor.js'
import { bytesFor } from './bytes.js'
import { bestTarget } from './select.js'
import { resolveThreads } from './threads.js'
import { inputSizes, processorName, tuningVersion, type Tuning } from './tuning.js'

export interface TuneOptions {
  readonly seconds: number
  readonly inputSize?: InputSize | undefined
  /** Called with the seconds that have passed. */
  readonly onProgress?: (seconds: number) => void
}

/** Minimum gain of a block as separate steps, and of the whole network with all these choices. */
const blockGain = 0.03
const networkGain = 0.01
/** One more thread must save this share of the time. */
const threadGain = 0.03
/** Largest accepted difference, as a share of the outputs' range. */
const tolerance = 1e-4

/** Tunes one model on this machine. Rejects with ENGINE_UNAVAILABLE if the native engine does not cover the model. */
export async function tuneModel(model: LoadedModel, { seconds, inputSize, onProgress }: TuneOptions): Promise<Tuning> {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new GapcamError('ENGINE_UNAVAILABLE', `native engine: ${loaded.reason}`)
  const bench = new Bench(loaded.addon, model, inputSize, seconds, onProgress)
  const plain = bench.compile([])
  const groups = plain.steps.filter(({ kind }) => kind === 'chain').map(({ name }) => name)
  const threads = await bench.fastestThreads(plain, groups.length > 0 ? 1 / 3 : 2 / 3)
  const separate = groups.length > 0 ? await bench.fasterInPieces(plain, groups, threads) : []
  const { defaultMs, tunedMs, isKept } = await bench.compare(plain, separate, threads)
  return {
    version: tuningVersion,
    modelBytes: model.bytes.length,
    inputs: bench.inputs,
    target: bench.target,
    processor: processorName(),
    threads,
    separate: isKept ? separate : [],
    defaultMs: round(defaultMs),
    tunedMs: round(isKept ? tunedMs : defaultMs),
  }
}

class Bench {
  readonly target: string
  readonly inputs: string[]
  readonly #addon: Addon
  readonly #prepared: PreparedGraph
  readonly #seconds: number
  readonly #onProgress: (seconds: number) => void
  readonly #began = performance.now()

  constructor(
    addon: Addon,
    model: LoadedModel,
    inputSize: InputSize | undefined,
    seconds: number,
    onProgress: ((seconds: number) => void) | undefined,
  ) {
    this.#addon = addon
    this.#prepared = prepareNative(model.graph, inputSize ? { inputSize } : {})
    this.inputs = inputSizes(this.#prepared)
    this.#seconds = seconds
    this.#onProgress = onProgress ?? (() => undefined)
    this.target = process.env['GAPCAM_TARGET'] ?? bestTarget(addon)
  }

  compile(separate: readonly string[]): Plan {
    const compiled = compilePlan(this.#prepared, { separate, bytes: bytesFor(this.target, undefined) })
    if ('plan' in compiled) return compiled.plan
    const [first] = compiled.unsupported
    throw new GapcamError('ENGINE_UNAVAILABLE', `native engine: ${first?.node}: ${first?.reason}`)
  }

  /** The smallest count whose time is close to the best, from 1 to the count of `--threads auto`. */
  async fastestThreads(plan: Plan, share: number): Promise<number> {
    const counts = Array.from({ length: resolveThreads('auto') }, (_, i) => i + 1)
    if (counts.length === 1) return 1
    const medians = await this.#using(
      counts.map((threads) => ({ plan, threads })),
      (sessions) => this.#takeTurns(sessions, share),
    )
    let fastest = 0
    for (let i = 1; i < counts.length; i++) if (medians[i]! < medians[fastest]! * (1 - threadGain)) fastest = i
    return counts[fastest]!
  }

  /** The groups whose separate steps together take less time than the group. */
  async fasterInPieces(plan: Plan, groups: readonly string[], threads: number): Promise<string[]> {
    const pieces = this.compile(groups)
    return this.#using(
      [
        { plan, threads },
        { plan: pieces, threads },
      ],
      async ([whole, parts]) => {
        const [grouped, single] = [new Map<string, number>(), new Map<string, number>()]
        await this.#until(1 / 3, async () => {
          await noteLeast(whole!, grouped)
          await noteLeast(parts!, single)
        })
        return groups.filter((group) => {
          const times = group.split(nameSeparator).map((name) => single.get(name))
          return (
            times.every((time) => time !== undefined) && sum(times as number[]) < grouped.get(group)! * (1 - blockGain)
          )
        })
      },
    )
  }

  /** Times the whole network without and with the choices; keeps them if they gain and the results are equal. */
  async compare(
    plain: Plan,
    separate: readonly string[],
    threads: number,
  ): Promise<{ defaultMs: number; tunedMs: number; isKept: boolean }> {
    const candidates = [
      { plan: plain, threads },
      ...(separate.length > 0 ? [{ plan: this.compile(separate), threads }] : []),
    ]
    return this.#using(candidates, async (sessions) => {
      const [defaultMs = 0, tunedMs = defaultMs] = await this.#takeTurns(sessions, 1 / 3)
      const isKept =
        sessions.length > 1 && tunedMs < defaultMs * (1 - networkGain) && isSame(sessions[0]!, sessions[1]!)
      return { defaultMs, tunedMs, isKept }
    })
  }

  async #using<T>(
    candidates: readonly { readonly plan: Plan; readonly threads: number }[],
    work: (sessions: NativeSession[]) => Promise<T>,
  ): Promise<T> {
    const sessions: NativeSession[] = []
    try {
      for (const { plan, threads } of candidates)
        sessions.push(await this.#addon.openSession(serializePlan(plan), { threads, target: this.target }))
      for (const session of sessions) fill(session)
      return await work(sessions)
    } finally {
      for (const session of sessions) await session.close()
    }
  }

  /** The median milliseconds of a run of each session. */
  async #takeTurns(sessions: readonly NativeSession[], share: number): Promise<number[]> {
    const times = sessions.map((): number[] => [])
    await this.#until(share, async () => {
      for (const [i, session] of sessions.entries()) {
        await session.run()
        const start = performance.now()
        for (let run = 0; run < 5; run++) await session.run()
        times[i]!.push((performance.now() - start) / 5)
      }
    })
    return times.map((all) => all.sort((a, b) => a - b)[all.length >> 1]!)
  }

  /** Repeats `round` for a share of the time, at least three times. */
  async #until(share: number, round: () => Promise<void>): Promise<void> {
    const end = performance.now() + share * this.#seconds * 1000
    for (let i = 0; i < 3 || performance.now() < end; i++) {
      await round()
      this.#onProgress((performance.now() - this.#began) / 1000)
    }
  }
}

async function noteLeast(session: NativeSession, least: Map<string, number>): Promise<void> {
  const times = await session.profile(3)
  session.steps.forEach(({ name }, i) => least.set(name, Math.min(least.get(name) ?? Infinity, times[i]!)))
}

/** Fills the inputs with the same irregular numbers for every candidate: no kernel profits from zeros. */
function fill(session: NativeSession): void {
  for (const { data } of session.inputs) for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.37)
}

function isSame(one: NativeSession, other: NativeSession): boolean {
  return one.outputs.every(({ data }, at) => {
    const again = other.outputs[at]!.data
    let [least, greatest, worst] = [Infinity, -Infinity, 0]
    for (let i = 0; i < data.length; i++) {
      least = Math.min(least, Number(data[i]))
      greatest = Math.max(greatest, Number(data[i]))
      worst = Math.max(worst, Math.abs(Number(data[i]) - Number(again[i])))
    }
    return worst <= tolerance * Math.max(greatest - least, Number.MIN_VALUE)
  })
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const round = (value: number): number => Math.round(value * 1000) / 1000
