/**
 * The lens watch of a camera without a question of its own: it checks the whole picture, whatever its zones look at. With
 * such a question the network's input is checked instead (`sight.ts`).
 */
import type { Config } from '../config/schema.js'
import type { LensProblem } from '../decision/prediction.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { createLensMeter, type LensMeter } from '../lens/statistics.js'
import { LensWatch } from '../lens/watch.js'
import { viewOf } from '../pixels/geometry.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import { rgbLevels, type Preprocessor } from '../pixels/spec.js'

/** The side of the checked picture: that of usual networks, by which the watch was tuned. */
const side = 224
const spec = rgbLevels(side, side)

/** What zones are told of their camera's lens. */
export interface LensFinding {
  readonly problem: LensProblem | null
  /** The camera is live and its picture has not changed for `lens.frozenAfterMs`. */
  readonly isFrozen: boolean
}

/** Belongs to one camera. Close it in the end. */
export class CameraLens implements LensFinding {
  readonly #lens: Config['lens']
  readonly #watch: LensWatch
  #pass: Preprocessor | null = null
  readonly #picture = new Uint8Array(side * side * 3)
  #meter: { readonly width: number; readonly height: number; readonly measure: LensMeter } | null = null
  #nextMs = 0
  #isLive = false

  constructor(lens: Config['lens']) {
    this.#lens = lens
    this.#watch = new LensWatch(lens)
  }

  get problem(): LensProblem | null {
    return this.#watch.problem
  }

  get isFrozen(): boolean {
    return this.#watch.isFrozen
  }

  /** The camera was opened. `isLive`: see `Camera.isLive`. */
  opened(isLive: boolean): void {
    this.#isLive = isLive
    this.#watch.reset()
  }

  /** Checks a frame, at most every `lens.everyMs`. One that cannot be read says nothing. */
  async look(frame: Frame, nowMs: number): Promise<void> {
    if (!this.#lens.watch || nowMs < this.#nextMs) return
    this.#nextMs = nowMs + this.#lens.everyMs
    const { width, height, file } = frame
    this.#pass ??= createPreprocessor(spec)
    try {
      await this.#pass.run(frame, this.#picture)
    } catch (error) {
      if (error instanceof GapcamError && error.code === 'FRAME_INVALID') return
      throw error
    }
    if (this.#meter?.width !== width || this.#meter.height !== height)
      this.#meter = { width, height, measure: createLensMeter(spec, width, height) }
    const isDetailed = viewOf(spec, width, height).magnification <= 1.05
    const context = { nowMs, isStill: file !== undefined, isLive: this.#isLive, isDetailed }
    this.#watch.observe(this.#meter.measure(this.#picture), context)
  }

  close(): void {
    this.#pass?.close()
    this.#pass = null
  }
}
