/** The queue before the shared engine: one frame at a time, first come first served, so cameras get equal shares. */
import type { EngineTurns } from '../zone/zone.js'
import { noDeadlines, type Loop } from './deadlines.js'

/** A turn that takes longer than `limitMs` (default: no limit) hangs; `loop` reports the turns. */
export class Turns implements EngineTurns {
  #last: Promise<unknown> = Promise.resolve()
  readonly #loop: Loop
  readonly #limitMs: number

  constructor(loop: Loop = noDeadlines.loop(''), limitMs = Infinity) {
    this.#loop = loop
    this.#limitMs = limitMs
  }

  /** Runs `work` when all earlier work has ended, and resolves or rejects as it does. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      this.#loop.enter('in an inference', this.#limitMs)
      return work().finally(() => this.#loop.enter('idle', Infinity))
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
