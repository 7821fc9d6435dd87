/**
 * The native executor: a plan on the addon's kernels. The tensors are views of the plan's own arena, so that the
 * pixel path writes a frame straight into the network's input.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Addon, NativeSession, NativeStep, NativeTensor } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import { serializeOutline, type Plan } from '../model/plan.js'
import type { Engine, EngineDescription, EngineTensor, Rejection } from './engine.js'

export interface NativeOptions {
  readonly threads: number
  readonly target?: string
  readonly reason: string
  readonly rejected: readonly Rejection[]
}

/** Opens a plan. Rejects with the addon's own error: a target that cannot be had, memory that is short, a plan that its reader refuses. */
export async function openNative(addon: Addon, plan: Plan, options: NativeOptions): Promise<NativeEngine> {
  const { threads, target } = options
  const { constants } = plan
  const session = await addon.openSession(serializeOutline(plan), {
    threads,
    constants,
    ...(target === undefined ? {} : { target }),
  })
  return new NativeEngine(session, options)
}

/** A step and its least time. */
export interface StepTime extends NativeStep {
  readonly nanoseconds: number
}

/**
 * A short run is computed at once, and a caller that awaits one after the other would leave the event loop no room: after
 * so many it turns for certain.
 */
const runsATurn = 16

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

  async run(): Promise<void> {
    try {
      await this.#session.run()
      if (++this.#runs % runsATurn === 0) await turn()
    } catch (error) {
      throw new GapcamError('ENGINE_FAILED', `native engine: ${messageOf(error)}`, { cause: error })
    }
  }

  /** Runs the network `rounds` times with each step timed for itself: for `gapcam bench --steps`, not for frames. */
  async profile(rounds: number): Promise<StepTime[]> {
    const times = await this.#session.profile(rounds)
    return this.#session.steps.map((step, i) => ({ ...step, nanoseconds: times[i]! }))
  }

  describe(): EngineDescription {
    const { threads, reason, rejected } = this.#options
    return { engine: 'native', target: this.#session.target, threads, reason, rejected }
  }

  /** Another engine was tried over this one and was not taken: says so from now on. */
  rejectOther(name: string, why: string): void {
    const { reason, rejected } = this.#options
    this.#options = {
      ...this.#options,
      reason: `${reason}; ${name} not used: ${why}`,
      rejected: [{ name, reason: why }, ...rejected],
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}

/** A session's tensor as an engine's. */
export function toEngineTensor(tensor: NativeTensor): EngineTensor {
  // A plan says 'nhwc' only where the file says NCHW; see PlanPort.
  return { ...tensor, inFileOrder: tensor.layout !== 'nhwc' }
}
