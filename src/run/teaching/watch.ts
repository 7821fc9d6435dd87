/** Watches what taught zones see for drift, and keeps a few pictures that show it, in memory. */
import type { Clock } from '../../clock.js'
import type { Prediction } from '../../decision/prediction.js'
import { DriftWatch, type Usual } from '../../teach/drift.js'

/** What a zone sees has drifted away from what it was taught. */
export interface Drifted {
  readonly sinceMs: number
  /** One sentence. */
  readonly why: string
  /** Pictures that show it: numbers from 0. */
  readonly examples: number
}

/** What the watch needs of the node. */
interface TaughtWatchOptions {
  readonly clock: Clock
  /** The present picture of a zone, as it would be taught. */
  readonly picture: (zone: string) => Promise<Buffer>
  /** A zone has begun to need teaching, or needs it no more. */
  readonly onChange: (zone: string, prediction: Prediction) => void
}

interface Watched {
  readonly head: string
  readonly watch: DriftWatch
  readonly examples: Buffer[]
  lastExampleMs: number
  wasDrifted: boolean
  sinceMs: number
}

/** Pictures of one zone, the least time between two of them, and the share of unusual looks from which they are taken. */
const [mostExamples, exampleEveryMs, exampleShare] = [4, 300_000, 0.3]

/** The watch over all taught zones of a node. */
export class TaughtWatch {
  readonly #options: TaughtWatchOptions
  readonly #zones = new Map<string, Watched>()

  constructor(options: TaughtWatchOptions) {
    this.#options = options
  }

  /** Begins with a head; the same head goes on. */
  watch(zone: string, usual: Usual, head: string): void {
    if (this.#zones.get(zone)?.head === head) return
    const fresh = { examples: [], lastExampleMs: -Infinity, wasDrifted: false, sinceMs: 0 }
    this.#zones.set(zone, { head, watch: new DriftWatch(usual), ...fresh })
  }

  looked(zone: string, prediction: Prediction): void {
    const watched = this.#zones.get(zone)
    if (!watched || !prediction.novelty) return
    const { clock, onChange } = this.#options
    const nowMs = clock.now()
    const isUnusual = watched.watch.observe(prediction.novelty, prediction.top[0]?.score ?? 0, nowMs)
    if (isUnusual && watched.watch.share > exampleShare && nowMs - watched.lastExampleMs > exampleEveryMs) {
      watched.lastExampleMs = nowMs
      void this.#keepExample(zone, watched)
    }
    if (watched.watch.isDrifted === watched.wasDrifted) return
    watched.wasDrifted = watched.watch.isDrifted
    watched.sinceMs = clock.wall()
    onChange(zone, prediction)
  }

  /** Null: the zone sees what it was taught. */
  drifted(zone: string): Drifted | null {
    const watched = this.#zones.get(zone)
    if (!watched?.wasDrifted) return null
    const share = Math.round(watched.watch.share * 100)
    const why = `${share} % of its pictures of late are unlike the taught ones, or it is unsure of them`
    return { sinceMs: watched.sinceMs, why, examples: watched.examples.length }
  }

  example(zone: string, index: number): Buffer | null {
    return this.#zones.get(zone)?.examples[index] ?? null
  }

  /** Without a picture there is no example. */
  async #keepExample(zone: string, { examples }: Watched): Promise<void> {
    const picture = await this.#options.picture(zone).catch(() => null)
    if (!picture) return
    examples.push(picture)
    if (examples.length > mostExamples) examples.shift()
  }
}
