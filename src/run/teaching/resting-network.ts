/** The networks that teach: opened when they are needed, and closed when nothing was taught for a while, since they take memory. */
import type { Teacher } from '../../teach/teacher.js'
import type { TaughtModels, TeacherLease } from './models.js'

/** They are closed after this time without teaching. */
const restAfterMs = 120_000

/** One lease of each network, for all that teaches on a node. */
export class RestingNetwork {
  readonly #taught: Pick<TaughtModels, 'teacher'>
  readonly #onRest: () => Promise<void>
  /** By path; undefined: the node's network. */
  readonly #leases = new Map<string | undefined, Promise<TeacherLease>>()
  #resting: NodeJS.Timeout | null = null

  /** `onRest` lets go of what else is kept for teaching. */
  constructor(taught: Pick<TaughtModels, 'teacher'>, onRest: () => Promise<void>) {
    this.#taught = taught
    this.#onRest = onRest
  }

  /** Opens a network where it rests. Rejects as `TaughtModels.teacher`. */
  async teacher(path?: string): Promise<Teacher> {
    if (this.#resting) clearTimeout(this.#resting)
    this.#resting = setTimeout(() => void this.rest(), restAfterMs).unref()
    const lease = this.#leases.get(path) ?? this.#taught.teacher(path)
    this.#leases.set(path, lease)
    lease.catch(() => {
      if (this.#leases.get(path) === lease) this.#leases.delete(path)
    })
    return (await lease).teacher
  }

  /** Closes them. */
  async rest(): Promise<void> {
    if (this.#resting) clearTimeout(this.#resting)
    this.#resting = null
    const leases = [...this.#leases.values()]
    this.#leases.clear()
    await this.#onRest()
    for (const lease of leases) await (await lease.catch(() => null))?.release()
  }
}
