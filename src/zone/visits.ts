/** The visits of a zone that detects: boxes are followed over its frames, shown to a second model, and counted. */
import type { Clock } from '../clock.js'
import type { Prediction } from '../decision/prediction.js'
import type { PublishedVisit, Visit } from '../decision/task.js'
import { endTracks, follow, noTracks, trackDefaults, type Tracks, type TrackOptions } from '../decision/tracks.js'
import type { Classification } from '../engine/classify.js'
import type { Frame } from '../frame.js'
import { BestCrops, type CropPicture } from './crops.js'
import { SecondLook } from './second.js'
import type { ZoneView } from './view.js'
import type { ZoneOptions } from './zone-options.js'

export type VisitOptions = Pick<ZoneOptions, 'clock' | 'second' | 'definition' | 'onCrop'>

/** Empty for a classifier: its predictions have no boxes. */
export class Visits {
  readonly #options: TrackOptions = trackDefaults
  readonly #clock: Clock
  readonly #second: SecondLook | null
  readonly #crops: BestCrops | null
  readonly #onCrop: (picture: CropPicture) => void
  #tracks: Tracks = noTracks
  #last: PublishedVisit | null = null
  #ended: PublishedVisit[] = []

  constructor({ clock, second, definition, onCrop }: VisitOptions) {
    this.#clock = clock
    this.#second = second ? new SecondLook({ ...second, turn: definition.turn, lead: this.#options.lead }) : null
    this.#crops = onCrop ? new BestCrops(definition.turn) : null
    this.#onCrop = (picture) => onCrop?.(definition.key, picture)
  }

  /** Classifies a frame as the view does, and follows what was found. The frame is released when its pixels were read. */
  async classify(view: ZoneView, frame: Frame, drawing: Promise<unknown> | null): Promise<Classification> {
    let release = (): void => undefined
    const reading =
      this.#second || this.#crops
        ? Promise.allSettled([drawing, new Promise<void>((resolve) => (release = resolve))])
        : drawing
    try {
      const outcome = await view.classify(frame, reading)
      return outcome.ok ? { ok: true, prediction: await this.#see(outcome.prediction, frame) } : outcome
    } finally {
      release()
    }
  }

  /** The prediction with numbered boxes. Rejects with ENGINE_FAILED. */
  async #see(prediction: Prediction, frame: Frame): Promise<Prediction> {
    const { found } = prediction
    if (found?.task !== 'detect') return prediction
    const nowMs = this.#clock.now()
    const { tracks, boxes, ended } = follow(this.#tracks, found.boxes, nowMs, this.#options)
    this.#tracks = tracks
    this.#note(ended)
    this.#crops?.keep(tracks.all)
    await this.#crops?.see(frame, boxes)
    const known = this.#second ? await this.#second.look(frame, boxes, tracks.all, nowMs) : boxes
    return { ...prediction, found: { ...found, boxes: known, ...(this.#last ? { visit: this.#last } : {}) } }
  }

  /** All visits end: the camera shows nothing any more. */
  end(): void {
    const { tracks, ended } = endTracks(this.#tracks, this.#options)
    this.#tracks = tracks
    this.#note(ended)
    this.#crops?.keep([])
  }

  /** The visits that ended since the last call. */
  take(): readonly PublishedVisit[] {
    const ended = this.#ended
    if (ended.length > 0) this.#ended = []
    return ended
  }

  #note(ended: readonly Visit[]): void {
    const [nowMs, wallMs] = [this.#clock.now(), this.#clock.wall()]
    for (const visit of ended) {
      const wallOf = (ms: number): number => wallMs - (nowMs - ms)
      this.#last = { ...visit, beginWallMs: wallOf(visit.beginMs), endWallMs: wallOf(visit.endMs) }
      this.#ended.push(this.#last)
      const crop = this.#crops?.take(visit.track)
      if (crop) this.#onCrop(crop)
    }
  }
}

/** The prediction with the visit that its event is about. */
export function withVisit(prediction: Prediction | null, visit: PublishedVisit): Prediction | null {
  const found = prediction?.found
  return prediction && found?.task === 'detect' ? { ...prediction, found: { ...found, visit } } : prediction
}
