/**
 * The CUDA engine: a session on the GPU, with a CPU engine of the same plan as its fallback. When a run on the GPU
 * fails, the CPU computes the frame, so no frame is lost. CUDA is tried again after a wait that doubles with each
 * failure. After an error from which the process cannot recover, CUDA stays off and `describe()` asks for a restart.
 *
 * The CPU engine is open from the start. The self-test needs it anyway, and a machine that is out of memory could not
 * open it while a frame waits.
 */
import type { Addon, CudaSession } from '../addon.js'
import { systemClock, type Clock } from '../clock.js'
import { GapcamError, messageOf } from '../errors.js'
import { createPreprocessor, nativeSpec } from '../pixels/preprocess.js'
import type { Preprocessor, PreprocessSpec } from '../pixels/spec.js'
import { CudaPreprocessor } from './cuda-frames.js'
import type { CudaFacts, Engine, EngineDescription, EngineTensor, Rejection } from './engine.js'
import { toEngineTensor } from './native.js'

/** The first and the longest wait after a fault. */
const firstWaitMs = 100
const longestWaitMs = 60_000

export interface CudaOptions {
  /** Session and CPU engine are closed with this engine. */
  readonly session: CudaSession
  readonly cpu: Engine
  readonly addon: Pick<Addon, 'cudaOff'>
  readonly facts: Pick<
    CudaFacts,
    'device' | 'generation' | 'precision' | 'driver' | 'kernels' | 'selfTest' | 'measured'
  >
  /** Why this engine was chosen. */
  readonly reason: string
  readonly rejected: readonly Rejection[]
  /** Called with a sentence for each fault of the GPU. */
  readonly onFault: (sentence: string) => void
  readonly clock?: Clock | undefined
}

/**
 * The engine that `openCuda` returns.
 *
 *     await engine.run() // reads engine.inputs, writes engine.outputs
 *     engine.describe().cuda?.state // 'serving', 'waiting' or 'off'
 */
export class CudaEngine implements Engine {
  readonly inputs: readonly EngineTensor[]
  readonly outputs: readonly EngineTensor[]
  readonly #options: CudaOptions
  readonly #clock: Clock
  #faults = 0
  #retries = 0
  #framesOnCpu = 0
  #lastFault: string | null = null
  /** The time of the next attempt on the GPU; null while the GPU serves. */
  #retryAt: number | null = null
  #waitMs = firstWaitMs
  #isOff = false
  #isLastOnCpu = false

  constructor(options: CudaOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.inputs = options.session.inputs.map(toEngineTensor)
    this.outputs = options.session.outputs.map(toEngineTensor)
  }

  /** Rejects only if the CPU engine fails too. */
  async run(): Promise<void> {
    this.#isLastOnCpu = !(await this.#runOnGpu())
    if (!this.#isLastOnCpu) return
    this.#framesOnCpu++
    await runInstead(this.#options.cpu, this)
  }

  describe(): EngineDescription {
    const { facts, cpu, reason, rejected } = this.#options
    const state = this.#isOff ? 'off' : this.#retryAt === null ? 'serving' : 'waiting'
    const cuda: CudaFacts = {
      ...facts,
      state,
      faults: this.#faults,
      retries: this.#retries,
      framesOnCpu: this.#framesOnCpu,
      lastFault: this.#lastFault,
      restartWanted: this.#isOff,
    }
    if (!this.#isLastOnCpu)
      return { engine: 'cuda', target: `${facts.generation}-${facts.precision}`, threads: 1, reason, rejected, cuda }
    const { engine, target, threads } = cpu.describe()
    const what = this.#isOff ? 'CUDA is off until a restart' : 'CUDA is tried again after a wait'
    const why = `${what}: ${this.#lastFault ?? ''}`
    return {
      engine,
      target,
      threads,
      reason: why,
      rejected: [{ name: 'cuda', reason: why }, ...rejected.filter(({ name }) => name !== engine)],
      cuda,
    }
  }

  preprocessor(spec: PreprocessSpec): Preprocessor {
    // The GPU's pass has no mask; the CPU's writes into the same mapped memory.
    if (spec.mask) return createPreprocessor(spec)
    return new CudaPreprocessor({
      pass: this.#options.session.framePass(nativeSpec(spec)),
      cpu: createPreprocessor(spec),
      input: this.inputs[0]!,
      isServing: () => !this.#isOff && this.#retryAt === null,
      onFault: (sentence) => this.#noteFault(sentence, 'prepares this and all further frames of this camera'),
    })
  }

  async close(): Promise<void> {
    await this.#options.session.close()
    await this.#options.cpu.close()
  }

  /** Whether the GPU computed the outputs. */
  async #runOnGpu(): Promise<boolean> {
    if (this.#isOff) return false
    if (this.#retryAt !== null) {
      if (this.#clock.now() < this.#retryAt) return false
      this.#retries++
    }
    const fault = await this.#tryRun()
    if (fault === null) {
      this.#retryAt = null
      this.#waitMs = firstWaitMs
      return true
    }
    this.#retryAt = this.#clock.now() + this.#waitMs
    this.#waitMs = Math.min(this.#waitMs * 2, longestWaitMs)
    this.#noteFault(fault, 'computes this frame')
    return false
  }

  /** Null when the outputs are valid, otherwise the fault. */
  async #tryRun(): Promise<string | null> {
    try {
      await this.#options.session.run()
    } catch (error) {
      return messageOf(error)
    }
    // Half precision ends at 65504. The run on the CPU shows whether the precision or the input is the cause.
    return this.outputs.every(isFiniteTensor) ? null : `an output in ${this.#options.facts.precision} is not finite`
  }

  /** Counts and reports a fault. `instead` says what the CPU does about it. */
  #noteFault(sentence: string, instead: string): void {
    this.#faults++
    this.#lastFault = sentence
    this.#isOff = this.#options.addon.cudaOff() !== null
    const consequence = this.#isOff
      ? 'computes this and all further frames: CUDA is off until gapcam is restarted'
      : instead
    this.#options.onFault(`CUDA: ${sentence}; the CPU ${consequence}`)
  }
}

function isFiniteTensor({ data }: EngineTensor): boolean {
  if (!(data instanceof Float32Array)) return true
  // A sum of finite numbers may overflow. A sum of their products with 0 may not.
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += data[i]! * 0
  return sum === 0
}

/** Computes the outputs of `engine` from its inputs with `other`, an engine of the same plan. */
export async function runInstead(other: Engine, engine: Pick<Engine, 'inputs' | 'outputs'>): Promise<void> {
  copyAll(engine.inputs, other.inputs)
  await other.run()
  copyAll(other.outputs, engine.outputs)
}

function copyAll(from: readonly EngineTensor[], to: readonly EngineTensor[]): void {
  for (const [i, { data, name }] of from.entries()) {
    const target = to[i]?.data
    if (target?.length !== data.length)
      throw new GapcamError('ENGINE_FAILED', `the engines of one plan differ in tensor ${name}`)
    ;(target as Float32Array).set(data as Float32Array)
  }
}
