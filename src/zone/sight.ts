/**
 * What a zone adds to a prediction: where the label's evidence lies, whether that is inside the watched region, and
 * whether the camera sees anything at all. Call it within the zone's turn on the engine: it reads the network's input
 * and feature map of the current frame.
 */
import type { Classifier } from '../classifier.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { viewOf } from '../pixels/geometry.js'
import { createAttention, type Attend } from '../heat/attention.js'
import type { PixelData } from '../tensor.js'
import { createLensMeter, type LensMeter } from '../lens/statistics.js'
import { LensWatch } from '../lens/watch.js'
import type { LensFinding } from './camera-lens.js'
import type { CaptureOptions, PictureMaps } from './picture.js'
import type { LensProblem, Prediction } from '../decision/prediction.js'
import type { PreprocessSpec } from '../pixels/spec.js'

export interface SightOptions {
  readonly classifier: Pick<Classifier, 'heat' | 'labels' | 'embedding' | 'mask' | 'task'>
  readonly watchRegion: CameraConfig['watchRegion'] | undefined
  readonly spec: PreprocessSpec
  /** Whether predictions have the embedding. */
  readonly hasEmbedding: boolean
  /** Default: no lens checks. */
  readonly lens?: Config['lens'] | undefined
  /** What the camera's own checks find, where it has such; they take the place of the zone's. */
  readonly cameraLens?: (() => LensFinding | null) | undefined
}

/** The lens meter for frames of one size. */
interface Meter {
  readonly width: number
  readonly height: number
  readonly measure: LensMeter
  readonly isDetailed: boolean
}

/** Belongs to one zone. */
export class Sight {
  readonly #options: SightOptions
  #spec: PreprocessSpec
  #watchRegion: SightOptions['watchRegion']
  #attend: Attend | null
  #watch: LensWatch | null
  readonly #everyMs: number
  #meter: Meter | null = null
  #nextCheckMs = 0
  #hasChanged = false
  #isLive = false
  /** The camera's problem that was told last. */
  #told: LensProblem | null = null

  constructor(options: SightOptions) {
    this.#options = options
    this.#everyMs = options.lens?.everyMs ?? 0
    this.#spec = options.spec
    this.#watchRegion = options.watchRegion
    this.#attend = this.#attention()
    this.#watch = this.#lensWatch()
  }

  /** The region has changed: what was learned of the other view is forgotten. */
  changeView(spec: PreprocessSpec, watchRegion = this.#watchRegion): void {
    this.#spec = spec
    this.#watchRegion = watchRegion
    this.#attend = this.#attention()
    this.#meter = null
    if (this.#watch?.problem) this.#hasChanged = true
    this.#watch = this.#lensWatch()
  }

  /** The camera was opened. `isLive`: see `Camera.isLive`. */
  opened(isLive: boolean): void {
    this.#isLive = isLive
  }

  /** The camera was lost: its next frame may show another place at another time. */
  reset(): void {
    this.#watch?.reset()
  }

  /** The camera is live and its picture has not changed for `lens.frozenAfterMs`. */
  get isFrozen(): boolean {
    return this.#watch?.isFrozen ?? this.#ofCamera()?.isFrozen ?? false
  }

  /** Whether `look` would check anything now. */
  isDue(nowMs: number): boolean {
    return this.#watch !== null && nowMs >= this.#nextCheckMs
  }

  /** Checks the lens by the frame's pixels as the network gets them, at most every `lens.everyMs`. */
  look(frame: Pick<Frame, 'width' | 'height' | 'file'>, nowMs: number, pixels: PixelData): void {
    if (!this.#watch || !this.isDue(nowMs)) return
    this.#nextCheckMs = nowMs + this.#everyMs
    const { measure, isDetailed } = this.#meterOf(frame)
    const statistics = measure(pixels)
    const context = { nowMs, isStill: frame.file !== undefined, isLive: this.#isLive, isDetailed }
    if (this.#watch.observe(statistics, context)) this.#hasChanged = true
  }

  /** The prediction with the focus of a class, the lens problem that stands, and the embedding where it is asked for. */
  complete(prediction: Prediction, classIndex: number, frame: Pick<Frame, 'width' | 'height'>): Prediction {
    const { hasEmbedding, classifier } = this.#options
    const attention = this.#attend?.(classIndex, frame.width, frame.height)
    return {
      ...prediction,
      focus: attention?.focus,
      isElsewhere: attention?.isElsewhere || undefined,
      problem: this.#watch ? this.#watch.problem : this.#ofCamera()?.problem,
      ...(hasEmbedding && 'read' in classifier.embedding ? { embedding: classifier.embedding.read() } : {}),
    }
  }

  /** The maps of the last run with their place in the frame; `settled` is the class that 'label' stands for. */
  mapsOf(settled: number, { width, height }: Pick<Frame, 'width' | 'height'>): PictureMaps {
    const { heat, mask } = this.#options.classifier
    const view = viewOf(this.#spec, width, height)
    return {
      heat: (asked) => ('heat' in heat ? { map: heat.heat(asked === 'label' ? settled : asked), view } : null),
      mask: () => mask && { mask: mask(), view },
    }
  }

  /** Why a map that is asked for does not exist: that of a class (or of 'label', the settled one), or that of labels. */
  refusal({ heat: asked, mask: wantsMask }: Pick<CaptureOptions, 'heat' | 'mask'>): GapcamError | null {
    const { heat, mask, task, labels } = this.#options.classifier
    if (wantsMask && mask === null) return new GapcamError('NO_MASK', `this model has no mask: it is to ${task}`)
    if (asked === undefined) return null
    if ('reason' in heat) return new GapcamError('NO_HEAT_MAP', `this model has no heat map: ${heat.reason}`)
    if (asked === 'label' || (Number.isInteger(asked) && asked >= 0 && asked < labels.length)) return null
    return new GapcamError('USAGE', `there is no class ${asked}: the model has ${labels.length} classes`)
  }

  /** The lens problem, or null for none, where that has changed since the last call; else undefined. */
  takeChange(): LensProblem | null | undefined {
    const now = this.#watch ? this.#watch.problem : (this.#ofCamera()?.problem ?? null)
    if (!this.#watch && now !== this.#told) this.#hasChanged = true
    this.#told = now
    if (!this.#hasChanged) return undefined
    this.#hasChanged = false
    return now
  }

  #attention(): Attend | null {
    const { heat } = this.#options.classifier
    if (!('heat' in heat)) return null
    return createAttention({ heat: heat.heat, spec: this.#spec, watchRegion: this.#watchRegion })
  }

  #lensWatch(): LensWatch | null {
    const { lens } = this.#options
    return lens?.watch ? new LensWatch(lens) : null
  }

  #ofCamera(): LensFinding | null {
    return this.#options.cameraLens?.() ?? null
  }

  #meterOf({ width, height }: Pick<Frame, 'width' | 'height'>): Meter {
    if (this.#meter?.width !== width || this.#meter.height !== height) {
      const spec = this.#spec
      this.#meter = {
        width,
        height,
        measure: createLensMeter(spec, width, height),
        isDetailed: viewOf(spec, width, height).magnification <= 1.05,
      }
    }
    return this.#meter
  }
}
