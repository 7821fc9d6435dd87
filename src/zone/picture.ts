/**
 * Pictures on demand: the next frame of a zone as RGB, for the page, snapshots and heat maps. While there is no request
 * this costs one comparison a frame. No queue grows: a request is answered by one frame, and a stream is a caller that
 * asks again.
 */
import type { Decision } from '../decision/decision.js'
import { expected, GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Prediction } from '../decision/prediction.js'
import type { View } from '../pixels/geometry.js'
import type { HeatMap } from '../heat/map.js'
import type { PlacedMask } from '../pixels/mask.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import { rgbLevels, type Preprocessor, type Region } from '../pixels/spec.js'

/** A heat map and where its cells lie in the frame. */
export interface PictureHeat {
  readonly map: HeatMap
  readonly view: View
}

/** Reads the maps of a frame while the engine still holds them; null where the model has none. */
export interface PictureMaps {
  readonly heat: (asked: number | 'label') => PictureHeat | null
  readonly mask: () => PlacedMask | null
}

/** One frame as RGB and what was computed from it. Shared by all requests for the same size: read only. */
export interface Picture {
  /** `width * height * 3` levels, rows without padding, as the camera sees it: neither cropped nor turned. */
  readonly rgb: Uint8Array
  readonly width: number
  readonly height: number
  readonly seq: number
  /** Wall time of the capture, milliseconds. */
  readonly wallTime: number
  /** The part of the frame that the network saw, in shares of the frame. */
  readonly shown: Region
  /** Owns its logits and scores; null where the model's outputs could not be used. */
  readonly prediction: Prediction | null
  /** The policy's decision after this frame. */
  readonly decision: Decision
  /** Absent where it was not requested. */
  readonly heat?: PictureHeat | undefined
  readonly mask?: PlacedMask | undefined
}

export interface CaptureOptions {
  /** Upper bound of the longer side, pixels; default the frame's own. */
  readonly maxSide?: number | undefined
  /** A heat map too: of the settled label (of the best class while there is none), or of a class by its index. */
  readonly heat?: number | 'label' | undefined
  /** The map of labels of a segmenter too. */
  readonly mask?: boolean | undefined
  /** With an inference of this very frame, also where the zone's trigger would not look at it; maps imply it. */
  readonly isFresh?: boolean | undefined
  /** Withdraws the request. */
  readonly signal?: AbortSignal | undefined
}

interface Request {
  readonly maxSide: number
  readonly wanted: Pick<CaptureOptions, 'heat' | 'mask'>
  maps: Pick<Picture, 'heat' | 'mask'>
  readonly resolve: (picture: Picture) => void
  readonly reject: (error: unknown) => void
}

type Pixels = Pick<Picture, 'rgb' | 'width' | 'height'>

/** The pictures of one frame, drawn but not yet handed out. */
export interface DrawnPictures {
  deliver(
    shown: Region,
    frame: Pick<Frame, 'seq' | 'wallTime'>,
    prediction: Prediction | null,
    decision: Decision,
  ): void
}

/** Passes kept for recent sizes: the page's, a snapshot's, one more. */
const keptPasses = 3

/** The requests of one zone. The zone calls `draw`, `takeMaps` and `deliver` for each frame with a request. */
export class PictureRequests {
  #waiting: Request[] = []
  /** Requests that the frame in progress answers, unless its inference fails. */
  #drawing: readonly Request[] = []
  readonly #passes = new Map<string, Preprocessor>()
  #isClosed = false

  get isAny(): boolean {
    return this.#waiting.length > 0
  }

  /** Resolves with the next frame. Rejects with CAMERA_LOST when there will be none, or with the signal's reason. */
  request({ maxSide = 8192, heat, mask, signal }: CaptureOptions = {}): Promise<Picture> {
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
        wanted: { heat, mask },
        maps: {},
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

  /**
   * Draws the requested sizes. Do not release the frame before this resolves. A frame that cannot be read (null) leaves
   * the requests to the next one.
   */
  async draw(frame: Frame): Promise<DrawnPictures | null> {
    const requests = this.#waiting
    this.#drawing = requests
    this.#waiting = []
    const sizes = new Map<string, Pixels>()
    let source = frame
    try {
      const isReduced = requests.some(({ maxSide }) => maxSide > Math.max(frame.width, frame.height))
      source = isReduced && frame.full ? await frame.full() : frame
      for (const { maxSide } of requests) {
        const [width, height] = sizeWithin(source, maxSide)
        if (!sizes.has(`${width}x${height}`)) sizes.set(`${width}x${height}`, await this.#pixels(source, width, height))
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
        for (const { maxSide, maps, resolve } of requests) {
          resolve({
            ...sizes.get(sizeWithin(source, maxSide).join('x'))!,
            seq,
            wallTime,
            shown,
            prediction: own,
            decision,
            ...maps,
          })
        }
      },
    }
  }

  /** Stores the requested maps of the frame in progress. Call it while the engine still holds them. */
  takeMaps(maps: PictureMaps): void {
    for (const request of this.#drawing) {
      const { heat, mask } = request.wanted
      request.maps = {
        heat: heat === undefined ? undefined : (maps.heat(heat) ?? undefined),
        mask: mask ? (maps.mask() ?? undefined) : undefined,
      }
    }
  }

  /** Rejects all requests: the camera is lost. */
  fail(): void {
    for (const { reject } of [...this.#drawing, ...this.#waiting.splice(0)])
      reject(new GapcamError('CAMERA_LOST', 'the camera was lost before its next frame'))
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

  /** The pass of a size. The least recently used one is closed to make room. */
  #passOf(width: number, height: number): Preprocessor {
    const key = `${width}x${height}`
    const pass = this.#passes.get(key) ?? createPreprocessor(rgbLevels(width, height))
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
