/**
 * What the commands do to a running node: pictures and results on demand, recordings, the configuration read again, and
 * the topics that say what is set. The door (commands.ts) checks a command; this acts on it.
 */
import { changesOf } from '../config/changes.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Classifier } from '../classifier.js'
import { GapcamError } from '../errors.js'
import { classOf } from '../heat/class.js'
import type { Logger } from '../log.js'
import { imagePayload } from '../publish/payloads.js'
import type { Publisher } from '../publish/publisher.js'
import { createTopics, type Topics } from '../publish/topics.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { Picture } from '../zone/picture.js'
import type { Zone } from '../zone/zone.js'
import type { CommandTarget } from './commands.js'
import type { Settings } from './settings.js'

type Fields = Readonly<Record<string, unknown>>

export interface ControlOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
  readonly classifier: Classifier
  readonly zones: readonly Zone[]
  readonly settings: Settings
  readonly publisher: Publisher
  readonly log: Logger
  /** Reads the configuration again, from where it came at the start. Throws CONFIG_INVALID. */
  readonly readConfig?: (() => Config) | undefined
  readonly restart?: (() => void) | undefined
  /** The recorder of a zone, by its key. */
  readonly recorders?: ReadonlyMap<string, FrameRecorder> | undefined
  readonly info: () => Fields
}

/** A camera that delivers no frame for this long answers a command with an error. */
const nextFrameMs = 10_000
/** Enough to see what the network saw; a picture of 12 megapixels would overload a broker. */
const snapshotSide = 1920
/** A heat map is coarse, and each of its pixels is coloured on the thread that all cameras share. */
const heatSide = 640

/** The commands of a node as functions. What the options leave out is answered with `not available`. */
export function createTarget(options: ControlOptions): CommandTarget {
  const { zones, recorders, readConfig, restart, info } = options
  const pictures = new PictureCommands(options)
  return {
    zones: zones.map(({ key }) => key),
    snapshot: (zone) => pictures.snapshot(zone),
    heat: (zone, label) => pictures.heat(zone, label),
    classifyNow: (zone) => pictures.classifyNow(zone),
    record:
      recorders && recorders.size > 0
        ? async (zone) => ({ camera: zone, file: await recorders.get(zone)!.request('asked for') })
        : undefined,
    restart,
    reload: readConfig && createReload(readConfig, options),
    info,
  }
}

/** The commands that answer with the next frame of a zone. */
class PictureCommands {
  readonly #options: ControlOptions
  readonly #topics: Topics
  readonly #zones: ReadonlyMap<string, Zone>

  constructor(options: ControlOptions) {
    this.#options = options
    this.#topics = createTopics(options.config.mqtt.base, options.config.node)
    this.#zones = new Map(options.zones.map((zone) => [zone.key, zone]))
  }

  async snapshot(zone: string): Promise<Fields> {
    const picture = await this.#capture(zone, snapshotSide)
    const { encodeJpeg } = await import('../pixels/jpeg.js')
    return { ...this.#publish('image', zone, await encodeJpeg(picture)), ...pictureFields(zone, picture) }
  }

  async heat(zone: string, label: string | undefined): Promise<Fields> {
    const { labels } = this.#options.classifier
    const picture = await this.#capture(zone, heatSide, label === undefined ? 'label' : classOf(labels, label))
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

  async classifyNow(zone: string): Promise<Fields> {
    // Only what was computed from the frame is wanted, so one pixel of it is enough.
    const picture = await this.#capture(zone, 1)
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

  async #capture(zone: string, maxSide: number, heat?: number | 'label'): Promise<Picture> {
    try {
      return await this.#zones.get(zone)!.capture({ maxSide, heat, signal: AbortSignal.timeout(nextFrameMs) })
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
    else if (!publisher.sendNow(message))
      throw new GapcamError('BROKER_UNREACHABLE', `the picture could not be published on ${message.topic}`)
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

/** Applies what may change while gapcam runs, and names what waits for a restart. */
function createReload(readConfig: () => Config, { settings, log, ...options }: ControlOptions): () => Fields {
  let { config, cameras } = options
  return () => {
    const changes = changesOf(config, cameras, readConfig())
    const { changed, needsRestart } = changes
    config = changes.config
    cameras = changes.cameras
    settings.rebase(config, cameras)
    const [now, later] = [changed, needsRestart].map((keys) => (keys.length === 0 ? 'nothing' : keys.join(', ')))
    log.info({ changed, needsRestart }, `configuration read again: ${now} changed; ${later} waits for a restart`)
    return { changed, needsRestart }
  }
}

/** Applies the settings of the node to the publisher and the log, and keeps C/enabled and C/threshold up to date. Returns how to stop. */
export function applySettings({
  config,
  zones,
  settings,
  publisher,
  log,
}: Pick<ControlOptions, 'config' | 'zones' | 'settings' | 'publisher' | 'log'>): () => void {
  const stopAnnouncing = announceSettings({ config, zones, settings, publisher })
  const apply = (): void => {
    const { 'mqtt.stateEveryMs': stateEveryMs, 'mqtt.resultEveryMs': resultEveryMs, logLevel } = settings.node
    publisher.pace({ stateEveryMs, resultEveryMs })
    log.level = logLevel
  }
  apply()
  const stopApplying = settings.onChange(apply)
  return () => {
    stopAnnouncing()
    stopApplying()
  }
}

/** Publishes C/enabled and C/threshold now and whenever they change. Returns how to stop. */
function announceSettings({
  config,
  zones,
  settings,
  publisher,
}: Pick<ControlOptions, 'config' | 'zones' | 'settings' | 'publisher'>): () => void {
  const topics = createTopics(config.mqtt.base, config.node)
  const said = new Map<string, string>()
  function say(name: 'enabled' | 'threshold', zone: string, payload: string): void {
    const topic = topics.camera(name, zone)
    if (said.get(topic.topic) === payload) return
    said.set(topic.topic, payload)
    publisher.keep({ ...topic, payload })
  }
  const announce = (): void => {
    for (const { key } of zones) {
      const { isEnabled, policy } = settings.zone(key)
      say('enabled', key, isEnabled ? 'ON' : 'OFF')
      say('threshold', key, String(policy.threshold))
    }
  }
  announce()
  return settings.onChange(announce)
}
