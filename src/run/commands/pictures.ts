/**
 * Pictures of the zones on MQTT: the next frame as a snapshot or with its heat map, on C/image and C/heat. The last
 * picture of each topic is kept here, so that it can be sent again to a subscriber that comes later.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from '../../config/schema.js'
import { GapcamError, messageOf } from '../../errors.js'
import { classOf } from '../../heat/class.js'
import type { Logger } from '../../log.js'
import type { Message } from '../../publish/mqtt.js'
import { embeddingFields, foundFields, imagePayload } from '../../publish/payloads.js'
import type { NodeCamera } from '../cameras/camera.js'
import { placeOf } from '../zones/names.js'
import type { Publisher } from '../../publish/publisher.js'
import { createTopics, type Topics } from '../../publish/topics.js'
import type { CropPicture } from '../../zone/crops.js'
import type { CaptureOptions, Picture } from '../../zone/picture.js'
import type { Zones } from '../zones/zones.js'
import { labelColour } from '../../pixels/label-colours.js'
import { boundsOf, withinPicture } from '../../pixels/shape.js'
import type { Region } from '../../pixels/spec.js'

type Fields = Readonly<Record<string, unknown>>
type PictureTopic = 'image' | 'heat' | 'mask' | 'crop'

export interface PicturesOptions {
  readonly config: Pick<Config, 'node' | 'mqtt'>
  readonly zones: Pick<Zones, 'find' | 'whenApplied'>
  /** The camera with an id. */
  readonly camera: (id: string) => Pick<NodeCamera, 'capture'> | undefined
  readonly publisher: Pick<Publisher, 'keep' | 'sendNow'>
}

/** A camera that delivers no frame for this long answers a command with an error. */
const nextFrameMs = 10_000
/** Enough to see what the network saw; a picture of 12 megapixels would overload a broker. */
const snapshotSide = 1920
/** A heat map is coarse, and each of its pixels is coloured on the thread that all cameras share. */
const heatSide = 640
/** A mask is coarse too, and each of its pixels is looked up on the same thread. */
const maskSide = 640
const cropQuality = 85
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
  /** The last picture of each topic, unless the broker keeps it. */
  readonly #last = new Map<string, { readonly place: string; readonly message: Message }>()

  constructor(options: PicturesOptions) {
    this.#options = options
    this.#topics = createTopics(options.config.mqtt.base, options.config.node)
  }

  /** Whether a zone's model has heat maps. */
  hasHeat(zone: string): boolean {
    const classifier = this.#options.zones.find(zone)?.classifier
    return classifier != null && 'heat' in classifier.heat
  }

  /** Publishes the next frame of a camera, or a zone's part of it. Rejects with CAMERA_* when there is none, and with BROKER_UNREACHABLE. */
  async snapshot(zone: string, signal: AbortSignal): Promise<Fields> {
    const whole = await this.#capture(zone, { maxSide: snapshotSide, signal })
    const shape = this.#options.zones.find(zone)?.view?.shape
    const picture = shape ? { ...whole, ...croppedTo(whole, withinPicture(boundsOf(shape))) } : whole
    const { encodeJpeg } = await import('../../pixels/jpeg.js')
    return { ...this.#publish('image', zone, await encodeJpeg(picture)), ...pictureFields(zone, picture) }
  }

  /**
   * Publishes the next frame with the heat map of `label`; default: of the settled label. Rejects as `snapshot`, and
   * with NO_HEAT_MAP.
   */
  async heat(zone: string, label: string | undefined, signal: AbortSignal): Promise<Fields> {
    const labels = this.#options.zones.find(zone)?.classifier?.labels ?? []
    const heatOf = label === undefined ? 'label' : classOf(labels, label)
    const picture = await this.#capture(zone, { maxSide: heatSide, heat: heatOf, signal })
    const { heat, prediction } = picture
    if (!heat || !prediction) throw unusable(zone)
    const { drawHeat } = await import('../../heat/overlay.js')
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

  /** Publishes the labels of the next frame's places as a PNG that lies over the frame. Rejects as `snapshot`, and with NO_MASK. */
  async mask(zone: string, signal: AbortSignal): Promise<Fields> {
    const picture = await this.#capture(zone, { maxSide: maskSide, mask: true, signal })
    const { mask, prediction } = picture
    if (!mask || !prediction) throw unusable(zone)
    const { encodeMask } = await import('../../pixels/mask.js')
    const colours = prediction.labels.flatMap((label, i) => (i === mask.mask.nothing ? [] : [[label, hexColour(i)]]))
    return {
      ...this.#publish('mask', zone, await encodeMask(mask, picture)),
      ...pictureFields(zone, picture),
      colours: Object.fromEntries(colours) as Fields,
      ...(prediction.found ? foundFields(prediction.found) : {}),
    }
  }

  /** Publishes the best picture of a thing that came and went. Without a broker it is only kept here. */
  async crop(zone: string, picture: CropPicture): Promise<void> {
    const { encodeJpeg } = await import('../../pixels/jpeg.js')
    const jpeg = await encodeJpeg(picture, cropQuality)
    if (this.#isThere(zone)) this.#send('crop', zone, jpeg)
  }

  /** The result of the next frame, without publishing a picture. */
  async classifyNow(zone: string, signal: AbortSignal): Promise<Fields> {
    // Only what was computed from the frame is wanted, so one pixel of it is enough.
    const picture = await this.#capture(zone, { maxSide: 1, isFresh: true, signal })
    if (!picture.prediction) throw unusable(zone)
    const { top, timings, engine, target } = picture.prediction
    const best = top.map(({ label, score }) => ({ label, score: rounded(score) }))
    return {
      ...frameFields(zone, picture),
      ...best[0],
      top: best,
      settled: picture.decision.label,
      engine: `${engine}-${target}`,
      ...embeddingFields(picture.prediction),
      ms: { infer: rounded(timings.infer), total: rounded(timings.total) },
    }
  }

  /** Forgets the last pictures of zones and cameras that there are no more. */
  prune(): void {
    for (const [topic, { place }] of this.#last) if (!this.#isThere(place)) this.#last.delete(topic)
  }

  /**
   * Sends the last picture of each topic again; those that the broker keeps are sent again by the publisher. Never
   * rejects.
   */
  async sendAgain(signal: AbortSignal): Promise<void> {
    for (const { message } of [...this.#last.values()]) {
      for (let attempt = 0; attempt < resendAttempts && !this.#options.publisher.sendNow(message); attempt++) {
        await wait(resendStepMs, undefined, { signal }).catch(() => undefined)
        if (signal.aborted) return
      }
    }
  }

  #isThere(place: string): boolean {
    return (this.#options.zones.find(place) ?? this.#options.camera(place)) !== undefined
  }

  async #capture(zone: string, options: CaptureOptions): Promise<Picture> {
    try {
      const { camera, zones } = this.#options
      const place = zones.find(zone) ?? camera(zone) ?? (await zones.whenApplied(zone))
      if (!place) throw new GapcamError('CAMERA_LOST', `${zone} was removed`)
      return await place.capture(options)
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError')
        throw new GapcamError('CAMERA_STALLED', `camera ${zone}: no frame within ${nextFrameMs / 1000} s`)
      throw error
    }
  }

  #publish(name: PictureTopic, zone: string, picture: Buffer): Fields {
    // It may have been removed while the picture was drawn; its topics are cleared then.
    if (!this.#isThere(zone)) throw new GapcamError('CAMERA_LOST', `${zone} was removed`)
    const { topic, isSent } = this.#send(name, zone, picture)
    if (!isSent) throw new GapcamError('BROKER_UNREACHABLE', `the picture could not be published on ${topic}`)
    return { topic, bytes: picture.length }
  }

  /** The broker keeps a picture, or it is kept here until the next connection. */
  #send(name: PictureTopic, zone: string, picture: Buffer): { readonly topic: string; readonly isSent: boolean } {
    const { config, publisher } = this.#options
    const { retainImages } = config.mqtt
    const message = { ...this.#topics.camera(name, zone), isRetained: retainImages, payload: imagePayload(picture) }
    const { topic } = message
    if (!retainImages) this.#last.set(topic, { place: zone, message })
    if (!retainImages) return { topic, isSent: publisher.sendNow(message) }
    publisher.keep(message)
    return { topic, isSent: true }
  }
}

/** Publishes the pictures of visits, unless there is no broker or pictures without a command are not wanted. */
export function cropPublisher(
  {
    config,
    publisher,
    log,
  }: Pick<PicturesOptions, 'config'> & {
    readonly publisher: Pick<Publisher, 'stats'>
    readonly log: Pick<Logger, 'debug'>
  },
  pictures: () => Pictures,
): ((zone: string, picture: CropPicture) => void) | undefined {
  if (config.mqtt.imageEveryMs < 0 || publisher.stats().url === null) return undefined
  return (zone, picture) =>
    void pictures()
      .crop(zone, picture)
      .catch((error: unknown) => log.debug({ zone }, `the picture of a visit was not published: ${messageOf(error)}`))
}

const hexColour = (label: number): string => `#${Buffer.from(labelColour(label)).toString('hex')}`

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4

function unusable(zone: string): GapcamError {
  return new GapcamError('FRAME_INVALID', `camera ${zone}: the model's outputs for this frame are not usable`)
}

function frameFields(zone: string, { seq, wallTime }: Picture): Fields {
  return { ...placeOf(zone), frame: seq, ts: new Date(wallTime).toISOString() }
}

/** Width and height are those of the picture that is sent, not the frame's. */
function pictureFields(zone: string, picture: Picture): Fields {
  return { ...frameFields(zone, picture), width: picture.width, height: picture.height }
}

/** A part of a picture, in shares of it: at least one pixel. */
function croppedTo(
  { rgb, width, height }: Picture,
  part: Region,
): { readonly rgb: Uint8Array; readonly width: number; readonly height: number } {
  const left = Math.min(width - 1, Math.floor(part.x * width))
  const top = Math.min(height - 1, Math.floor(part.y * height))
  const right = Math.max(left + 1, Math.min(width, Math.ceil((part.x + part.width) * width)))
  const bottom = Math.max(top + 1, Math.min(height, Math.ceil((part.y + part.height) * height)))
  const own = new Uint8Array((right - left) * (bottom - top) * 3)
  for (let y = top; y < bottom; y++)
    own.set(rgb.subarray((y * width + left) * 3, (y * width + right) * 3), (y - top) * (right - left) * 3)
  return { rgb: own, width: right - left, height: bottom - top }
}
