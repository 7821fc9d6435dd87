/**
 * What a camera's view adds to a prediction: where the label has its evidence, whether that is where one should look,
 * and whether the camera sees anything at all. Part of a pipeline; to be asked within its turn on the engine, while the
 * network's input and feature map are those of its frame.
 */
import type { Classifier } from '../classifier.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { viewOf } from '../pixels/geometry.js'
import { createAttention, type Attend } from '../heat/attention.js'
import { createLensMeter, type LensMeter } from '../lens/statistics.js'
import { LensWatch } from '../lens/watch.js'
import type { PictureHeat } from './picture.js'
import type { LensProblem, Prediction } from '../decision/prediction.js'
import type { PreprocessSpec } from '../pixels/spec.js'

export interface SightOptions {
  readonly classifier: Pick<Classifier, 'heat' | 'input' | 'labels'>
  readonly camera: Pick<CameraConfig, 'watchRegion'>
  readonly spec: PreprocessSpec
  readonly lens?: Config['lens']
}

/** For frames of one size. */
interface Meter {
  readonly width: number
  readonly height: number
  readonly measure: LensMeter
  readonly isDetailed: boolean
}

export class Sight {
  readonly #options: SightOptions
  #spec: PreprocessSpec
  #attend: Attend | null
  #watch: LensWatch | null
  readonly #everyMs: number
  #meter: Meter | null = null
  #nextCheckMs = 0
  #hasChanged = false

  constructor(options: SightOptions) {
    this.#options = options
    this.#everyMs = options.lens?.everyMs ?? 0
    this.#spec = options.spec
    this.#attend = this.#attention()
    this.#watch = this.#lensWatch()
  }

  /** The camera's region was changed: what was learned of the other view is forgotten. */
  follow(spec: PreprocessSpec): void {
    this.#spec = spec
    this.#attend = this.#attention()
    this.#meter = null
    if (this.#watch?.problem) this.#hasChanged = true
    this.#watch = this.#lensWatch()
  }

  #attention(): Attend | null {
    const {
      classifier: { heat },
      camera: { watchRegion },
    } = this.#options
    return 'heat' in heat
      ? createAttention({ heat: heat.heat, spec: this.#spec, ...(watchRegion ? { watchRegion } : {}) })
      : null
  }

  #lensWatch(): LensWatch | null {
    const { lens } = this.#options
    return lens?.watch ? new LensWatch(lens) : null
  }

  /** Looks at the network's input, at most every `lens.everyMs`. */
  look(frame: Pick<Frame, 'width' | 'height' | 'file'>, nowMs: number): void {
    if (!this.#watch || nowMs < this.#nextCheckMs) return
    this.#nextCheckMs = nowMs + this.#everyMs
    const { measure, isDetailed } = this.#meterOf(frame)
    const statistics = measure(this.#options.classifier.input.data as Float32Array)
    if (this.#watch.observe(statistics, { nowMs, isStill: frame.file !== undefined, isDetailed }))
      this.#hasChanged = true
  }

  /** The prediction with its focus for a class, and the problem that stands. */
  complete(prediction: Prediction, classIndex: number, frame: Pick<Frame, 'width' | 'height'>): Prediction {
    const attention = this.#attend?.(classIndex, frame.width, frame.height)
    const { focus, isElsewhere } = attention ?? {}
    return {
      ...prediction,
      ...(focus ? { focus } : {}),
      ...(isElsewhere ? { isElsewhere } : {}),
      ...(this.#watch ? { problem: this.#watch.problem } : {}),
    }
  }

  /** The heat map of a class and the view that it lies in; null where the model has none. */
  heatOf(classIndex: number, { width, height }: Pick<Frame, 'width' | 'height'>): PictureHeat | null {
    const { heat } = this.#options.classifier
    return 'heat' in heat ? { map: heat.heat(classIndex), view: viewOf(this.#spec, width, height) } : null
  }

  /** Why the heat of a class (or 'label', the settled one) cannot be had; null where it can. */
  refusal(asked: number | 'label'): GapcamError | null {
    const { heat, labels } = this.#options.classifier
    if ('reason' in heat) return new GapcamError('NO_HEAT_MAP', `this model has no heat map: ${heat.reason}`)
    if (asked === 'label' || (Number.isInteger(asked) && asked >= 0 && asked < labels.length)) return null
    return new GapcamError('USAGE', `class ${asked} is none of the model's ${labels.length}, which count from 0`)
  }

  /** What stands now, where that has changed since the last call: a problem, or null for none; else undefined. */
  takeChange(): LensProblem | null | undefined {
    if (!this.#hasChanged) return undefined
    this.#hasChanged = false
    return this.#watch?.problem ?? null
  }

  /** The camera was lost: the next frame may be from another place and time. */
  reset(): void {
    this.#watch?.reset()
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
