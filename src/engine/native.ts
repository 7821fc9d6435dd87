/**
 * The native executor: a plan on the addon's kernels. The tensors are views of the plan's own arena, so that the
 * pixel path writes a frame straight into the network's input.
 */
import type { Partition } from '../model/partition.js'
import { setImmediate as turn } from 'node:timers/promises'
import type { Addon, NativeSession, NativeStep, NativeTensor } from '../addon.js'
import type { NativePixelPass } from '../addon-pixels.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import { quantizedSteps } from '../model/quantized-steps.js'
import type { Engine, EngineDescription, EngineTensor, Rejection } from './engine.js'

/** A compiled model on its way to an executor, or to the disk and back. */
export interface CompiledModel {
  /** The plan's buffer without its constants; see docs/plan-format.md. */
  readonly outline: Uint8Array
  /** In the order of their offsets: views of the model's file, or memory that the compiler filled. */
  readonly constants: readonly { readonly offset: number; readonly bytes: Uint8Array }[]
  /** What a tuning beside the model decided: its number of threads, and a sentence about it ('' without one). */
  readonly tuned: { readonly threads: number | null; readonly sentence: string }
  /** Of a model in two parts, whose first one this is: the other one, which values are wanted, and why it is not native. */
  readonly split?: CompiledSplit | undefined
}

/** What follows the native part of a model. */
export interface CompiledSplit {
  readonly partition: Partition
  readonly outputs: readonly string[]
  readonly why: string
}

export interface NativeOptions {
  readonly threads: number
  readonly target?: string
  readonly reason: string
  readonly rejected: readonly Rejection[]
}

/** Opens a plan. Rejects with the addon's error: unsupported target, too little memory, or a plan that its reader refuses. */
export async function openNative(
  addon: Addon,
  { outline, constants }: Pick<CompiledModel, 'outline' | 'constants'>,
  options: NativeOptions,
): Promise<NativeEngine> {
  const { threads, target } = options
  const session = await addon.openSession(outline, {
    threads,
    constants,
    ...(target === undefined ? {} : { target }),
  })
  return new NativeEngine(session, options)
}

/** A step and its shortest time. */
export interface StepTime extends NativeStep {
  readonly nanoseconds: number
}

/**
 * Yields to the event loop after this many runs. Short runs resolve without a turn of the loop, so a caller that awaits
 * one after the other would starve timers and sockets.
 */
const runsATurn = 16

const integerKinds: ReadonlySet<string> = new Set(Object.keys(quantizedSteps))

/** An open plan on the CPU. Close it to free its arena and its threads. */
export class NativeEngine implements Engine {
  readonly inputs: readonly EngineTensor[]
  readonly outputs: readonly EngineTensor[]
  readonly #session: NativeSession
  #options: NativeOptions
  #runs = 0

  constructor(session: NativeSession, options: NativeOptions) {
    this.#session = session
    this.#options = options
    this.inputs = session.inputs.map(toEngineTensor)
    this.outputs = session.outputs.map(toEngineTensor)
  }

  run(): Promise<void> {
    return this.#settled(() => this.#session.run())
  }

  look(pass: NativePixelPass, frame: Frame): Promise<number> {
    return this.#settled(() => this.#session.look(pass, frame, frame.pixels))
  }

  async #settled<T>(start: () => Promise<T>): Promise<T> {
    try {
      const result = await start()
      if (++this.#runs % runsATurn === 0) await turn()
      return result
    } catch (error) {
      if ((error as { code?: unknown }).code === 'FRAME_INVALID')
        throw new GapcamError('FRAME_INVALID', messageOf(error), { cause: error })
      throw new GapcamError('ENGINE_FAILED', `native engine: ${messageOf(error)}`, { cause: error })
    }
  }

  /** Whether a step computes on bytes. */
  get hasIntegers(): boolean {
    return this.#session.steps.some(({ kind }) => integerKinds.has(kind))
  }

  /** Runs the network `rounds` times and times each step, for `gapcam bench --steps`. */
  async profile(rounds: number): Promise<StepTime[]> {
    const times = await this.#session.profile(rounds)
    return this.#session.steps.map((step, i) => ({ ...step, nanoseconds: times[i]! }))
  }

  describe(): EngineDescription {
    const { threads, reason, rejected } = this.#options
    return { engine: 'native', target: this.#session.target, threads, reason, rejected }
  }

  /** Records in the description that another engine was tried on top of this one and rejected. */
  rejectOther(name: string, why: string): void {
    const { reason, rejected } = this.#options
    this.#options = {
      ...this.#options,
      reason: `${reason}; ${name} not used: ${why}`,
      rejected: [{ name, reason: why }, ...rejected],
    }
  }

  /** Adds a sentence to the reason of the description. */
  remark(sentence: string): void {
    this.#options = { ...this.#options, reason: `${this.#options.reason}; ${sentence}` }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}

/** Turns a tensor of an addon session into an engine's tensor, without a copy. */
export function toEngineTensor(tensor: NativeTensor): EngineTensor {
  // A plan marks a port 'nhwc' only if the file has it as NCHW; see PlanPort.
  const { scale, zeroPoint, ...rest } = tensor
  const { type } = tensor
  const code = type === 'int8' || type === 'uint8' ? { code: { type, scale, zeroPoint } } : {}
  return { ...rest, inFileOrder: tensor.layout !== 'nhwc', ...code }
}
