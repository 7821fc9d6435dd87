/**
 * How a zone sees its camera's frames: the crop and mask of its region, or the part of the frame that a setting names; and
 * the way from a frame to a prediction.
 */
import type { Timings } from '../decision/prediction.js'
import type { Classification, ClassifierView, ClassifyHooks } from '../engine/classify.js'
import type { Frame } from '../frame.js'
import { meanColour, viewOfShape } from '../pixels/shape.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'
import type { ZoneDefinition } from './definition.js'
import { Sight } from './sight.js'
import type { ZoneOptions } from './zone-options.js'

export type ZoneViewOptions = Pick<
  ZoneOptions,
  'definition' | 'classifier' | 'topK' | 'lens' | 'recorder' | 'metrics' | 'clock'
>

/** The view of one zone, which follows the setting `roi`. Close it before its classifier. */
export class ZoneView {
  readonly #options: ZoneViewOptions
  #roi: Region | null
  #view: ClassifierView
  readonly sight: Sight
  readonly #hooks: ClassifyHooks
  /** What reads the frame in progress beside the preprocessing. */
  #drawing: Promise<unknown> | null = null

  constructor(options: ZoneViewOptions, roi: Region | null) {
    const { classifier, definition, lens } = options
    this.#options = options
    this.#roi = roi
    this.#view = this.#open()
    this.sight = new Sight({ classifier, watchRegion: definition.watchRegion, spec: this.#view.spec, lens })
    this.#hooks = this.#hooksOf(options)
  }

  get current(): ClassifierView {
    return this.#view
  }

  /** A changed region needs another view. Call it between two frames. */
  update(roi: Region | null): void {
    if (roi === this.#roi) return
    const before = this.#view
    this.#roi = roi
    this.#view = this.#open()
    this.sight.changeView(this.#view.spec)
    before.close()
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
      metrics.invalid++
      if (outcome.reason !== 'frame_invalid') this.#count(outcome.timings)
    }
    return outcome
  }

  close(): void {
    this.#view.close()
  }

  #hooksOf({ recorder, clock }: ZoneViewOptions): ClassifyHooks {
    return {
      onFrame: (frame) => recorder?.begin(frame, this.#view.spec),
      onPixelsRead: (frame) => {
        if (this.#drawing) void this.#drawing.finally(() => frame.release())
        else frame.release()
      },
      onInput: (input, frame) => {
        recorder?.input(input)
        this.sight.look(frame, clock.now())
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
    const own = definition.shape === null ? { roi: this.#roi ?? undefined } : this.#ofShape(definition)
    return classifier.view({ ...definition.turn, ...own }, topK)
  }

  /** The whole region is shown: what a model crops from a picture that is not square would be a part of the answer. */
  #ofShape({ shape, mask }: ZoneDefinition): Partial<PreprocessSpec> {
    const spec = this.#options.classifier.preprocessing()
    const { resize } = spec
    return {
      ...viewOfShape(shape!, mask, spec),
      ...(resize === 'cover' ? { resize: 'contain' as const, fill: meanColour(spec) } : {}),
    }
  }
}
