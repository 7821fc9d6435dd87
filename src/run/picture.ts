/**
 * Pictures on demand: the next frame of a camera as RGB, for the page, snapshots and heat maps. While nobody asks it
 * costs one comparison a frame. Who asks again when a picture has come gets as many as it can take, and no queue grows.
 */
import type { Decision } from '../decision/decision.js'
import { expected, GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Prediction } from '../decision/prediction.js'
import type { View } from '../pixels/geometry.js'
import type { HeatMap } from '../heat/map.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import type { Preprocessor, Region } from '../pixels/spec.js'

/** A heat map and where its places lie in the frame. */
export interface PictureHeat {
  readonly map: HeatMap
  readonly view: View
}

/** One frame and what was computed from it. Everything in it is shared among those who asked; nobody writes to it. */
export interface Picture {
  /** RGB levels, rows without padding, as the camera sees it: neither cropped nor turned. */
  readonly rgb: Uint8Array
  readonly width: number
  readonly height: number
  readonly seq: number
  /** Wall time of the capture, milliseconds. */
  readonly wallTime: number
  /** The part of the frame that the network saw, in shares of the frame. */
  readonly shown: Region
  /** With logits and scores of its own; null where the model's outputs were not usable. */
  readonly prediction: Prediction | null
  /** What the policy made of this frame and those before. */
  readonly decision: Decision
  /** Where it was asked for. */
  readonly heat?: PictureHeat
}

export interface CaptureOptions {
  /** The longer side in pixels, at most; default the frame's own. */
  readonly maxSide?: number
  /** The heat map too: of the settled label (of the best class while there is none), or of a class by its index. */
  readonly heat?: number | 'label' | undefined
  /** Gives the request up. */
  readonly signal?: AbortSignal
}

interface Request {
  readonly maxSide: number
  readonly heat: number | 'label' | undefined
  heatMap: PictureHeat | null
  readonly resolve: (picture: Picture) => void
  readonly reject: (error: unknown) => void
}

type Pixels = Pick<Picture, 'rgb' | 'width' | 'height'>

/** The pictures of one frame, drawn and not yet handed out. */
export interface DrawnPictures {
  deliver(
    shown: Region,
    frame: Pick<Frame, 'seq' | 'wallTime'>,
    prediction: Prediction | null,
    decision: Decision,
  ): void
}

/** Passes that are kept for the sizes that were last asked for: the page's, a snapshot's, one more. */
const keptPasses = 3

export class PictureRequests {
  #waiting: Request[] = []
  /** Of the frame that is under way: its inference may fail. */
  #drawing: readonly Request[] = []
  readonly #passes = new Map<string, Preprocessor>()
  #isClosed = false

  get isAny(): boolean {
    return this.#waiting.length > 0
  }

  /** Resolves with the next frame. Rejects with CAMERA_LOST when there will be none, or with the signal's reason. */
  request({ maxSide = 8192, heat, signal }: CaptureOptions = {}): Promise<Picture> {
    if (!Number.isInteger(maxSide) || maxSide < 1)
      return Promise.reject(expected('a whole number above 0', 'maxSide', maxSide))
    if (this.#isClosed) return Promise.reject(new GapcamError('CAMERA_LOST', 'the camera is closed'))
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const giveUp = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== request)
        reject(signal!.reason)
      }
      const request: Request = {
        maxSide,
        heat,
        heatMap: null,
        resolve: (picture) => {
          signal?.removeEventListener('abort', giveUp)
          resolve(picture)
        },
        reject: (error) => {
          signal?.removeEventListener('abort', giveUp)
          reject(error)
        },
      }
      signal?.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(request)
    })
  }

  /** Draws what is asked for. The frame must live until this resolves. A frame that cannot be read leaves the requests to the next. */
  async draw(frame: Frame): Promise<DrawnPictures | null> {
    const requests = this.#waiting
    this.#drawing = requests
    this.#waiting = []
    const sizes = new Map<string, Pixels>()
    try {
      for (const { maxSide } of requests) {
        const [width, height] = sizeWithin(frame, maxSide)
        if (!sizes.has(`${width}x${height}`)) sizes.set(`${width}x${height}`, await this.#pixels(frame, width, height))
      }
    } catch (error) {
      if (error instanceof GapcamError && error.code === 'FRAME_INVALID' && !this.#isClosed)
        this.#waiting.unshift(...requests)
      else for (const { reject } of requests) reject(error)
      return null
    }
    return {
      deliver: (shown, { seq, wallTime }, prediction, decision) => {
        const own = prediction && {
          ...prediction,
          logits: prediction.logits.slice(),
          scores: prediction.scores.slice(),
        }
        for (const { maxSide, heatMap, resolve } of requests) {
          resolve({
            ...sizes.get(sizeWithin(frame, maxSide).join('x'))!,
            seq,
            wallTime,
            shown,
            prediction: own,
            decision,
            ...(heatMap ? { heat: heatMap } : {}),
          })
        }
      },
    }
  }

  /** Takes the heat maps that are asked for of the frame under way, while the engine still has its feature map. */
  warm(heatOf: (classIndex: number | null) => PictureHeat | null): void {
    for (const request of this.#drawing)
      if (request.heat !== undefined) request.heatMap = heatOf(request.heat === 'label' ? null : request.heat)
  }

  /** The camera is gone: nobody waits for it. */
  fail(): void {
    for (const { reject } of [...this.#drawing, ...this.#waiting.splice(0)])
      reject(new GapcamError('CAMERA_LOST', 'the camera was lost before the next frame came'))
  }

  close(): void {
    this.#isClosed = true
    this.fail()
    for (const pass of this.#passes.values()) pass.close()
    this.#passes.clear()
  }

  async #pixels(frame: Frame, width: number, height: number): Promise<Pixels> {
    const rgb = new Uint8Array(width * height * 3)
    await this.#passOf(width, height).run(frame, rgb)
    return { rgb, width, height }
  }

  /** The pass of a size; the one that was not asked for the longest makes room. */
  #passOf(width: number, height: number): Preprocessor {
    const key = `${width}x${height}`
    const pass =
      this.#passes.get(key) ??
      createPreprocessor({
        width,
        height,
        layout: 'nhwc',
        type: 'uint8',
        order: 'rgb',
        mean: [0, 0, 0],
        std: [1, 1, 1],
        resize: 'stretch',
      })
    this.#passes.delete(key)
    this.#passes.set(key, pass)
    for (const [oldest, unused] of this.#passes) {
      if (this.#passes.size <= keptPasses) break
      unused.close()
      this.#passes.delete(oldest)
    }
    return pass
  }
}

function sizeWithin({ width, height }: Pick<Frame, 'width' | 'height'>, maxSide: number): [number, number] {
  const scale = Math.min(1, maxSide / Math.max(width, height))
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
}
