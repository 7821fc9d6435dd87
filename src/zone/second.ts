/**
 * The second look of a zone that detects: each thing is shown to another model, which says which one it is. A thing is shown
 * once, and again when it looks different; the best few first, and not more than some a second.
 */
import type { Classifier } from '../classifier.js'
import type { Box, FrameBox } from '../decision/task.js'
import { labelOf, overlapOfBoxes, voted, type Track } from '../decision/tracks.js'
import type { Frame } from '../frame.js'
import { around, meanColour, type Turn } from '../pixels/shape.js'

export interface SecondOptions {
  readonly classifier: Classifier
  /** Most things that are shown of one frame. */
  readonly most: number
  readonly perSecond: number
  /** Lead of votes with which an answer is final. */
  readonly lead: number
  /** How the camera hangs. */
  readonly turn: Turn
}

/** What is known of one track. */
interface Known extends Pick<Track, 'votes' | 'locked'> {
  /** As it was when it was shown last. */
  readonly box: FrameBox
}

/** A thing whose box overlaps with the one that was shown by less looks different. */
const sameLook = 0.5

/** The second looks of one zone. */
export class SecondLook {
  readonly #options: SecondOptions
  #known = new Map<number, Known>()
  /** Looks that may be taken now, at most one second's. */
  #budget: number
  #lastMs = -Infinity

  constructor(options: SecondOptions) {
    this.#options = options
    this.#budget = options.perSecond
  }

  /** The boxes with what is known of their tracks, after those were shown that are due. Rejects with ENGINE_FAILED. */
  async look(frame: Frame, boxes: readonly Box[], tracks: readonly Track[], nowMs: number): Promise<readonly Box[]> {
    const { most, perSecond } = this.#options
    if (nowMs > this.#lastMs)
      this.#budget = Math.min(Math.max(1, perSecond), this.#budget + (perSecond * (nowMs - this.#lastMs)) / 1000)
    this.#lastMs = nowMs
    const there = new Set(tracks.map(({ id }) => id))
    this.#known = new Map([...this.#known].filter(([id]) => there.has(id)))
    for (const box of boxes.filter((each) => this.#isDue(each)).slice(0, most)) {
      if (this.#budget < 1) break
      this.#budget--
      await this.#show(frame, box)
    }
    return boxes.map((box) => this.#with(box))
  }

  #isDue({ track = 0, ...box }: Box): boolean {
    const known = this.#known.get(track)
    return known === undefined || overlapOfBoxes(known.box, box) < sameLook
  }

  async #show(frame: Frame, box: Box): Promise<void> {
    const { classifier, turn, lead } = this.#options
    const spec = classifier.preprocessing()
    const fitted = spec.resize === 'cover' ? { resize: 'contain' as const, fill: meanColour(spec) } : {}
    const view = classifier.view({ ...turn, roi: around(box), ...fitted }, 1)
    try {
      const outcome = await view.classify(frame)
      const best = outcome.ok ? outcome.prediction.top[0]! : null
      const before = this.#known.get(box.track ?? 0) ?? { votes: new Map<string, number>(), locked: null }
      const { x, y, width, height } = box
      this.#known.set(box.track ?? 0, {
        ...(best ? voted(before, best, lead) : before),
        box: { x, y, width, height },
      })
    } finally {
      view.close()
    }
  }

  #with(box: Box): Box {
    const known = this.#known.get(box.track ?? 0)
    if (!known || known.votes.size === 0) return box
    const { label, score } = labelOf(known)
    return { ...box, which: { label, score } }
  }
}
