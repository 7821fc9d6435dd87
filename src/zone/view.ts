/**
 * How a zone sees its camera's frames: the crop and mask of its region, or the part of the frame that a setting names; and
 * the way from a frame to a prediction.
 */
import type { CameraConfig } from '../config/schema.js'
import type { Timings } from '../decision/prediction.js'
import type { Classification, ClassifierView, ClassifyHooks } from '../engine/classify.js'
import type { Frame } from '../frame.js'
import { placedPoint, placedShape, type Place } from '../pixels/place.js'
import { meanColour, viewOfShape, type Shape } from '../pixels/shape.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'
import type { PixelData } from '../tensor.js'
import type { ZoneDefinition } from './definition.js'
import { Sight } from './sight.js'
import type { ZoneOptions } from './zone-options.js'

export type ZoneViewOptions = Pick<
  ZoneOptions,
  'definition' | 'classifier' | 'topK' | 'lens' | 'cameraLens' | 'anchor' | 'recorder' | 'metrics' | 'clock'
>

/** The view of one zone, which follows the setting `roi`. Close it before its classifier. */
export class ZoneView {
  readonly #options: ZoneViewOptions
  #roi: Region | null
  /** The region where it lies now; null: the whole picture. */
  #shape: Shape | null
  #place: Place | null = null
  #view: ClassifierView
  readonly sight: Sight
  readonly #hooks: ClassifyHooks
  /** What reads the frame in progress beside the preprocessing. */
  #drawing: Promise<unknown> | null = null

  constructor(options: ZoneViewOptions, roi: Region | null) {
    const { classifier, definition, lens, cameraLens } = options
    this.#options = options
    this.#roi = roi
    this.#shape = definition.shape
    this.#view = this.#open()
    const { watchRegion, embedding: hasEmbedding } = definition
    this.sight = new Sight({ classifier, watchRegion, hasEmbedding, spec: this.#view.spec, lens, cameraLens })
    this.#hooks = this.#hooksOf(options)
  }

  get current(): ClassifierView {
    return this.#view
  }

  /** The region where it lies now; null: the whole picture. */
  get shape(): Shape | null {
    return this.#shape
  }

  /** A changed region needs another view. Call it between two frames. */
  update(roi: Region | null): void {
    if (roi === this.#roi) return
    this.#roi = roi
    this.#reopen()
  }

  /**
   * Follows the region with the camera's view; call it between two frames. `elsewhere`: it lies in another place now.
   * `checking` and `moved`: its place is not known, or too little of it is in the picture.
   */
  follow(): 'here' | 'elsewhere' | 'checking' | 'moved' {
    const { anchor, definition } = this.#options
    const { shape } = definition
    const place = anchor?.place() ?? null
    if (place === 'checking' || place === 'moved') return place
    if (place === this.#place || shape === null) return 'here'
    const now = place === null ? shape : placedShape(shape, place)
    if (now === null) return 'moved'
    this.#place = place
    this.#shape = now
    this.#reopen()
    return 'elsewhere'
  }

  /**
   * Classifies a frame and counts it. The frame is released when its pixels were read, here and by `drawing`. Rejects with
   * ENGINE_FAILED.
   */
  async classify(frame: Frame, drawing: Promise<unknown> | null): Promise<Classification> {
    const { metrics } = this.#options
    this.#drawing = drawing
    const outcome = await this.#view.classify(frame, this.#hooks)
    if (outcome.ok) {
      metrics.frames++
      this.#count(outcome.prediction.timings)
    } else {
      if (outcome.reason !== 'clip_short') metrics.invalid++
      if ('timings' in outcome) this.#count(outcome.timings)
    }
    return outcome
  }

  close(): void {
    this.#view.close()
  }

  #reopen(): void {
    const before = this.#view
    this.#view = this.#open()
    this.sight.changeView(this.#view.spec, this.#watched())
    before.close()
  }

  /** Where the evidence for a label must lie: it moves with the region. */
  #watched(): CameraConfig['watchRegion'] | undefined {
    const { watchRegion } = this.#options.definition
    if (watchRegion === undefined || this.#place === null) return watchRegion
    const place = this.#place
    const polygon = watchRegion.polygon.map((corner): [number, number] => {
      const [x, y] = placedPoint(corner, place)
      return [x, y]
    })
    return { ...watchRegion, polygon }
  }

  #hooksOf({ recorder, clock }: ZoneViewOptions): ClassifyHooks {
    return {
      onFrame: (frame) => recorder?.begin(frame, this.#view.spec),
      onPixelsRead: (frame) => {
        if (this.#drawing) void this.#drawing.finally(() => frame.release())
        else frame.release()
      },
      wantsInput: () => recorder !== undefined || this.sight.isDue(clock.now()),
      onInput: (input, frame) => {
        recorder?.input(input)
        this.sight.look(frame, clock.now(), input as PixelData)
      },
    }
  }

  #count({ capture, preprocess, infer }: Timings): void {
    const { metrics } = this.#options
    metrics.capture.record(capture)
    metrics.preprocess.record(preprocess)
    metrics.infer.record(infer)
  }

  #open(): ClassifierView {
    const { definition, classifier, topK } = this.#options
    const shape = this.#shape
    const own = shape === null ? { roi: this.#roi ?? undefined } : this.#ofShape(shape, definition.mask)
    return classifier.view({ ...definition.turn, ...own }, topK)
  }

  /** The whole region is shown: what a model crops from a picture that is not square would be a part of the answer. */
  #ofShape(shape: Shape, mask: ZoneDefinition['mask']): Partial<PreprocessSpec> {
    const spec = this.#options.classifier.preprocessing()
    const { resize } = spec
    return {
      ...viewOfShape(shape, mask, spec),
      ...(resize === 'cover' ? { resize: 'contain' as const, fill: meanColour(spec) } : {}),
    }
  }
}
