/** The network that teaches: opened when it is needed, and closed when nothing was taught for a while, since it takes memory. */
import type { Teacher } from '../teach/teacher.js'
import type { TaughtModels, TeacherLease } from './taught-models.js'

/** The network is closed after this time without teaching. */
const restAfterMs = 120_000

/** One lease of the network, for all that teaches on a node. */
export class RestingNetwork {
  readonly #taught: Pick<TaughtModels, 'teacher'>
  readonly #onRest: () => Promise<void>
  #lease: Promise<TeacherLease> | null = null
  #resting: NodeJS.Timeout | null = null

  /** `onRest` lets go of what else is kept for teaching. */
  constructor(taught: Pick<TaughtModels, 'teacher'>, onRest: () => Promise<void>) {
    this.#taught = taught
    this.#onRest = onRest
  }

  /** Opens the network where it rests. Rejects as `TaughtModels.teacher`. */
  async teacher(): Promise<Teacher> {
    if (this.#resting) clearTimeout(this.#resting)
    this.#resting = setTimeout(() => void this.rest(), restAfterMs).unref()
    this.#lease ??= this.#taught.teacher()
    const lease = this.#lease
    lease.catch(() => {
      if (this.#lease === lease) this.#lease = null
    })
    return (await lease).teacher
  }

  /** Closes it. */
  async rest(): Promise<void> {
    if (this.#resting) clearTimeout(this.#resting)
    this.#resting = null
    const lease = this.#lease
    this.#lease = null
    await this.#onRest()
    await (await lease?.catch(() => null))?.release()
  }
}
