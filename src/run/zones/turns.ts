/**
 * The queue before the shared engine: one frame at a time. Of all zones of all cameras the one that waited longest for its
 * last turn comes first, so they get equal shares. A turn that is of no use any more is skipped.
 */
import { systemClock, type Clock } from '../../clock.js'
import type { EngineTurns, TurnWish } from '../../zone/zone-options.js'
import { noDeadlines, type Loop } from '../guard/deadlines.js'

interface Waiting {
  readonly wish: TurnWish
  /** Runs the work; null: it is skipped. */
  readonly start: (isSkipped: boolean) => Promise<unknown>
}

/** A turn that takes longer than `limitMs` (default: no limit) hangs; `loop` reports the turns. */
export class Turns implements EngineTurns {
  /** In the order of asking. */
  readonly #waiting: Waiting[] = []
  #isBusy = false
  readonly #loop: Loop
  readonly #limitMs: number
  readonly #clock: Pick<Clock, 'now'>

  constructor(loop: Loop = noDeadlines.loop(''), limitMs = Infinity, clock: Pick<Clock, 'now'> = systemClock) {
    this.#loop = loop
    this.#limitMs = limitMs
    this.#clock = clock
  }

  /** Runs `work` in its turn, and resolves or rejects as it does; null where the turn came after `wish.untilMs`. */
  take<T>(work: () => Promise<T>, wish: TurnWish): Promise<T | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        wish,
        start: (isSkipped) => {
          if (isSkipped) {
            resolve(null)
            return Promise.resolve()
          }
          this.#loop.enter('in an inference', this.#limitMs)
          return work().then(resolve, reject)
        },
      })
      if (!this.#isBusy) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isBusy = true
    // Zones of one frame ask one after the other: all of them are compared.
    await Promise.resolve()
    for (let next = this.#next(); next; next = this.#next()) {
      const isSkipped = this.#clock.now() > next.wish.untilMs
      await next.start(isSkipped)
      if (!isSkipped) this.#loop.enter('idle', Infinity)
    }
    this.#isBusy = false
  }

  /** Takes the one out that waited longest since its last turn; of equals the one that asked first. */
  #next(): Waiting | undefined {
    let first = 0
    for (let i = 1; i < this.#waiting.length; i++)
      if (this.#waiting[i]!.wish.lastMs < this.#waiting[first]!.wish.lastMs) first = i
    return this.#waiting.splice(first, 1)[0]
  }
}
