/** Shows whole clips to a view that looks at clips, as if their frames came in time. */
import type { Classification, ClassifierView } from './classify.js'
import { frameOf } from '../frame.js'
import type { RgbImage } from '../pixels/image.js'

/** One view, and clips one after the other. */
export class ClipShow {
  readonly #view: Pick<ClassifierView, 'classify'>
  readonly #everyMs: number
  readonly #gapMs: number
  #nowNs = 0n

  /** `clip` is that of the view's classifier. */
  constructor(
    view: Pick<ClassifierView, 'classify'>,
    { frames, everyMs }: { readonly frames: number; readonly everyMs: number },
  ) {
    this.#view = view
    this.#everyMs = everyMs
    // So far apart, no clip has a frame of the one before.
    this.#gapMs = 10 * frames * everyMs
  }

  /** What becomes of the last frame of a clip; of the first one that cannot be read. Rejects with ENGINE_FAILED. */
  async show(pictures: readonly RgbImage[]): Promise<Classification> {
    let outcome: Classification = { ok: false, reason: 'clip_short', detail: 'there are no frames' }
    for (const [i, picture] of pictures.entries()) {
      this.#nowNs += BigInt(Math.round((i === 0 ? this.#gapMs : this.#everyMs) * 1e6))
      outcome = await this.#view.classify(frameOf(picture, { seq: i + 1, capturedNs: this.#nowNs }))
      if (!outcome.ok && outcome.reason === 'frame_invalid') return outcome
    }
    return outcome
  }
}
