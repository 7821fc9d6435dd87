/**
 * Regions that the user changes, until the state has them: the one that is dragged, and the one that is on its way. Writes
 * follow one another, and each names the revision that it changes, so that a change by others in between is refused. What
 * the user himself has written before is no such change.
 */
import type { Shape } from '../../../pixels/shape.js'
import type { ZoneState } from '../../messages.js'

type Zone = Pick<ZoneState, 'id' | 'revision'>

/** A changed region. */
export interface Draft {
  readonly id: string
  readonly shape: Shape
  /** The zone's revision when the change began. */
  readonly revision: string
}

/** Writes a region; resolves with the revision that it makes, and rejects where the zone has another one before. */
export type WriteRegion = (id: string, shape: Shape, revision: string) => Promise<string>

export class Drafts {
  readonly #write: WriteRegion
  #dragged: Draft | null = null
  #sent: (Draft & { readonly made?: string }) | null = null
  /** Revisions that the user's own writes have replaced, and the last that they have made. */
  readonly #replaced = new Set<string>()
  #last: string | null = null
  #queue: Promise<void> = Promise.resolve()

  constructor(write: WriteRegion) {
    this.#write = write
  }

  /** The region to draw while it differs from the zone's. */
  shapeOf({ id }: Zone): Shape | null {
    return [this.#dragged, this.#sent].find((draft) => draft?.id === id)?.shape ?? null
  }

  /** The region while it is changed; null: the change was taken back. */
  drag(zone: Zone, shape: Shape | null): void {
    const revision = this.#dragged?.id === zone.id ? this.#dragged.revision : zone.revision
    this.#dragged = shape && { id: zone.id, shape, revision }
  }

  /** Ends the change without a write, and gives it. */
  take(): Draft | null {
    const draft = this.#dragged
    this.#dragged = null
    return draft
  }

  /** Writes a region after those before it. Rejects as the write does; then the region is the zone's again. */
  keep(draft: Draft): Promise<void> {
    this.#sent = draft
    const written = this.#queue.then(() => this.#send(draft))
    this.#queue = written.catch(() => undefined)
    return written
  }

  /** The zones as they are now. */
  update(zones: readonly Zone[]): void {
    const sent = this.#sent
    // A drag that goes on still needs to know which revisions were the user's own.
    if (this.#dragged || sent?.made === undefined) return
    const now = zones.find(({ id }) => id === sent.id)?.revision
    if (now !== undefined && now !== sent.made && this.#replaced.has(now)) return
    this.forget()
  }

  /** Another zone, or another camera. */
  forget(): void {
    this.#dragged = this.#sent = this.#last = null
    this.#replaced.clear()
  }

  async #send(draft: Draft): Promise<void> {
    const { id, shape, revision } = draft
    try {
      const made = await this.#write(
        id,
        shape,
        this.#last !== null && this.#replaced.has(revision) ? this.#last : revision,
      )
      this.#replaced.add(revision)
      if (this.#last !== null) this.#replaced.add(this.#last)
      this.#last = made
      if (this.#sent === draft) this.#sent = { ...draft, made }
    } catch (error) {
      if (this.#sent === draft) this.#sent = null
      throw error
    }
  }
}
