/**
 * Pictures of the zones on MQTT: the next frame as a snapshot or with its heat map, on C/image and C/heat. The last
 * picture of each topic is kept here, so that it can be sent again to a subscriber that comes later.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { classOf } from '../heat/class.js'
import type { Message } from '../publish/mqtt.js'
import { imagePayload } from '../publish/payloads.js'
import type { Publisher } from '../publish/publisher.js'
import { createTopics, type Topics } from '../publish/topics.js'
import type { Picture } from '../zone/picture.js'
import type { Zone } from '../zone/zone.js'

type Fields = Readonly<Record<string, unknown>>

export interface PicturesOptions {
  readonly config: Pick<Config, 'node' | 'mqtt'>
  readonly classifier: Pick<Classifier, 'labels' | 'heat'>
  readonly zones: readonly Pick<Zone, 'key' | 'capture'>[]
  readonly publisher: Pick<Publisher, 'keep' | 'sendNow'>
}

/** A camera that delivers no frame for this long answers a command with an error. */
const nextFrameMs = 10_000
/** Enough to see what the network saw; a picture of 12 megapixels would overload a broker. */
const snapshotSide = 1920
/** A heat map is coarse, and each of its pixels is coloured on the thread that all cameras share. */
const heatSide = 640
/** A picture waits for the one before it to leave. */
const resendStepMs = 250
const resendAttempts = 40

/** For how long a command waits for a frame. */
export function commandDeadline(): AbortSignal {
  return AbortSignal.timeout(nextFrameMs)
}

export class Pictures {
  readonly #options: PicturesOptions
  readonly #topics: Topics
  readonly #zones: ReadonlyMap<string, Pick<Zone, 'capture'>>
  /** The last picture of each topic, unless the broker keeps it. */
  readonly #last = new Map<string, Message>()

  constructor(options: PicturesOptions) {
    this.#options = options
    this.#topics = createTopics(options.config.mqtt.base, options.config.node)
    this.#zones = new Map(options.zones.map((zone) => [zone.key, zone]))
  }

  /** Whether the model has heat maps. */
  get hasHeat(): boolean {
    return 'heat' in this.#options.classifier.heat
  }

  /** Publishes the next frame. Rejects with CAMERA_* when there is none, and with BROKER_UNREACHABLE. */
  async snapshot(zone: string, signal: AbortSignal): Promise<Fields> {
    const picture = await this.#capture(zone, { maxSide: snapshotSide, signal })
    const { encodeJpeg } = await import('../pixels/jpeg.js')
    return { ...this.#publish('image', zone, await encodeJpeg(picture)), ...pictureFields(zone, picture) }
  }

  /**
   * Publishes the next frame with the heat map of `label`; default: of the settled label. Rejects as `snapshot`, and
   * with NO_HEAT_MAP.
   */
  async heat(zone: string, label: string | undefined, signal: AbortSignal): Promise<Fields> {
    const { labels } = this.#options.classifier
    const heatOf = label === undefined ? 'label' : classOf(labels, label)
    const picture = await this.#capture(zone, { maxSide: heatSide, heat: heatOf, signal })
    const { heat, prediction } = picture
    if (!heat || !prediction) throw unusable(zone)
    const { drawHeat } = await import('../heat/overlay.js')
    const { classIndex } = heat.map
    const [name, score] = [labels[classIndex]!, prediction.scores[classIndex]!]
    const jpeg = await drawHeat(picture, heat, { label: name, score }, 'jpeg')
    return {
      ...this.#publish('heat', zone, jpeg),
      ...pictureFields(zone, picture),
      label: name,
      score: rounded(score),
    }
  }

  /** The result of the next frame, without publishing a picture. */
  async classifyNow(zone: string, signal: AbortSignal): Promise<Fields> {
    // Only what was computed from the frame is wanted, so one pixel of it is enough.
    const picture = await this.#capture(zone, { maxSide: 1, signal })
    if (!picture.prediction) throw unusable(zone)
    const { top, timings, engine, target } = picture.prediction
    const best = top.map(({ label, score }) => ({ label, score: rounded(score) }))
    return {
      ...frameFields(zone, picture),
      ...best[0],
      top: best,
      settled: picture.decision.label,
      engine: `${engine}-${target}`,
      ms: { infer: rounded(timings.infer), total: rounded(timings.total) },
    }
  }

  /**
   * Sends the last picture of each topic again; those that the broker keeps are sent again by the publisher. Never
   * rejects.
   */
  async sendAgain(signal: AbortSignal): Promise<void> {
    for (const message of [...this.#last.values()]) {
      for (let attempt = 0; attempt < resendAttempts && !this.#options.publisher.sendNow(message); attempt++) {
        await wait(resendStepMs, undefined, { signal }).catch(() => undefined)
        if (signal.aborted) return
      }
    }
  }

  async #capture(zone: string, options: NonNullable<Parameters<Zone['capture']>[0]>): Promise<Picture> {
    try {
      return await this.#zones.get(zone)!.capture(options)
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError')
        throw new GapcamError('CAMERA_STALLED', `camera ${zone}: no frame within ${nextFrameMs / 1000} s`)
      throw error
    }
  }

  #publish(name: 'image' | 'heat', zone: string, picture: Buffer): Fields {
    const { config, publisher } = this.#options
    const { retainImages } = config.mqtt
    const message = { ...this.#topics.camera(name, zone), isRetained: retainImages, payload: imagePayload(picture) }
    if (retainImages) publisher.keep(message)
    else {
      this.#last.set(message.topic, message)
      if (!publisher.sendNow(message))
        throw new GapcamError('BROKER_UNREACHABLE', `the picture could not be published on ${message.topic}`)
    }
    return { topic: message.topic, bytes: message.payload.length }
  }
}

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4

function unusable(zone: string): GapcamError {
  return new GapcamError('FRAME_INVALID', `camera ${zone}: the model's outputs for this frame are not usable`)
}

function frameFields(zone: string, { seq, wallTime }: Picture): Fields {
  return { camera: zone, frame: seq, ts: new Date(wallTime).toISOString() }
}

/** Width and height are those of the picture that is sent, not the frame's. */
function pictureFields(zone: string, picture: Picture): Fields {
  return { ...frameFields(zone, picture), width: picture.width, height: picture.height }
}
