/** A camera that is opened for one picture: it waits until the exposure has settled, shows the picture, and is closed. */
import type { Camera } from '../../camera/camera.js'
import { openCamera } from '../../camera/sources.js'
import type { Clock } from '../../clock.js'
import { sourceReader } from '../../config/credentials.js'
import type { CameraConfig } from '../../config/schema.js'
import { GapcamError, messageOf } from '../../errors.js'
import type { Frame } from '../../frame.js'
import { pixelBytesOf } from '../../recording/frames.js'
import type { Logger } from '../../log.js'
import type { Publisher } from '../../publish/publisher.js'
import type { AnyZone } from '../../zone/missing.js'
import { sharedFrame } from '../../zone/shared-frame.js'
import { cameraOptions } from '../cameras/camera.js'
import { brightnessMeter, Exposure } from './exposure.js'
import type { CameraView } from '../zones/views.js'

export interface OnceCameraOptions {
  readonly config: CameraConfig
  /** Longest time for the exposure to settle, milliseconds. */
  readonly settleMs: number
  readonly clock: Clock
  readonly log: Logger
}

/** One camera at work. It opens at once. */
export class OnceCamera {
  readonly id: string
  readonly #options: OnceCameraOptions
  #camera: Camera | null = null
  /** The picture, or why there is none. Never rejects. */
  readonly frame: Promise<Frame | GapcamError>

  /** `signal` ends the attempt. */
  constructor(options: OnceCameraOptions, signal: AbortSignal) {
    this.id = options.config.id
    this.#options = options
    this.frame = this.#picture(signal)
  }

  /** Shows the picture to zones, which publish what they see. Resolves with what is wrong with the camera, or null. */
  async show(
    zones: readonly AnyZone[],
    publisher: Pick<Publisher, 'cameraStatus'>,
    view: Pick<CameraView, 'show'>,
  ): Promise<GapcamError | null> {
    const frame = await this.frame
    if (frame instanceof GapcamError) return this.#lose(frame, zones, publisher)
    publisher.cameraStatus(this.id, 'online')
    view.show(frame, this.#camera?.isLive ?? false)
    const shared = sharedFrame(frame, Math.max(1, zones.length))
    if (zones.length === 0) shared.release()
    await Promise.all(zones.map((zone) => zone.take(shared)))
    // A zone whose camera shows another view says so and does not look.
    const unread = zones.find(
      ({ classifier, frames, decision }) => classifier !== null && frames === 0 && decision.reason !== 'moved',
    )
    if (!unread) return null
    const fault = new GapcamError('FRAME_INVALID', `camera ${this.id}: its picture cannot be used`)
    return this.#lose(fault, zones, publisher)
  }

  async close(): Promise<void> {
    await this.#camera?.close()
  }

  #lose(fault: GapcamError, zones: readonly AnyZone[], publisher: Pick<Publisher, 'cameraStatus'>): GapcamError {
    for (const zone of zones) zone.lose()
    publisher.cameraStatus(this.id, 'offline')
    return fault
  }

  async #picture(signal: AbortSignal): Promise<Frame | GapcamError> {
    const { config, log } = this.#options
    const overdue = new Promise<null>((resolve) =>
      signal.addEventListener('abort', () => resolve(null), { once: true }),
    )
    try {
      const frame = await Promise.race([this.#steady(signal), overdue])
      if (frame !== null) return frame
      return new GapcamError('CAMERA_STALLED', `camera ${config.id}: no picture came in time`)
    } catch (error) {
      log.debug({ camera: config.id }, messageOf(error))
      if (error instanceof GapcamError) return error
      return new GapcamError('CAMERA_LOST', `camera ${config.id}: ${messageOf(error)}`, { cause: error })
    }
  }

  /** The first picture whose exposure has settled. */
  async #steady(signal: AbortSignal): Promise<Frame> {
    const { config, clock, settleMs, log } = this.#options
    const source = sourceReader(config, (sentence) => log.warn({ camera: config.id }, sentence))
    const camera = openCamera(source(), cameraOptions(config))
    this.#camera = camera
    await camera.open(signal)
    const [brightness, exposure, startMs] = [brightnessMeter(), new Exposure(), clock.now()]
    for (;;) {
      const frame = await camera.next(signal)
      if (frame === null) throw new GapcamError('CAMERA_LOST', `camera ${config.id}: it ended without a picture`)
      const nowMs = clock.now()
      const isEnough = camera.isLive !== true || nowMs - startMs >= settleMs
      if (isEnough || exposure.isSettled(brightness(frame), nowMs)) return owned(frame)
      frame.release()
    }
  }
}

/** The frame with pixels of its own: a driver takes its buffer back while a model is opened on a slow board. */
function owned(frame: Frame): Frame {
  if (frame.pixels instanceof Uint8Array) return frame
  const pixels = new Uint8Array(pixelBytesOf(frame))
  frame.copyTo(pixels)
  frame.release()
  return { ...frame, pixels, copyTo: (target) => target.set(pixels), release: () => undefined }
}
