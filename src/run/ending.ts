/** How a run ends. */
import type { Logger } from '../log.js'

/** Why a run ended: by itself or its signal, by the command `restart`, or because CUDA needs a new process. */
export type RunEnd = 'ended' | 'restart' | 'cuda_lost'

/** Ends the cameras, and remembers why. */
export class Ending {
  readonly #log: Logger
  readonly controller = new AbortController()
  reason: RunEnd = 'ended'

  constructor(log: Logger) {
    this.#log = log
  }

  /** `why` completes "restarting, ". */
  restart(reason: RunEnd, why: string): void {
    this.#log.info({}, `restarting, ${why}`)
    this.reason = reason
    this.controller.abort()
  }
}
