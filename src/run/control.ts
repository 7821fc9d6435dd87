/**
 * What the commands do to a running gapcam: pictures and results on demand, the configuration read again, and the
 * topics that say what is set. The door (commands.ts) checks; this acts.
 */
import { changesOf } from '../config/changes.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Classifier } from '../classifier.js'
import type { CommandTarget } from './commands.js'
import { GapcamError } from '../errors.js'
import { classOf } from '../heat/class.js'
import type { Logger } from '../log.js'
import type { Picture } from './picture.js'
import type { Pipeline } from './pipeline.js'
import { imagePayload } from '../publish/payloads.js'
import type { Publisher } from '../publish/publisher.js'
import { createTopics } from '../publish/topics.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { Settings } from './settings.js'

export interface ControlOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
  readonly classifier: Classifier
  readonly pipelines: readonly Pipeline[]
  readonly settings: Settings
  readonly publisher: Publisher
  readonly log: Logger
  /** Reads the configuration again, from where it came the first time. Throws CONFIG_INVALID. */
  readonly readConfig?: () => Config
  readonly restart?: () => void
  readonly recorders?: ReadonlyMap<string, FrameRecorder>
  readonly info: () => Readonly<Record<string, unknown>>
}

/** A camera that delivers nothing for so long answers no command. */
const nextFrameMs = 10_000
/** Enough to see what the network saw; a picture of 12 megapixels would fill a broker. */
const snapshotSide = 1920
/** A heat map is coarse, and each of its pixels is coloured on the thread that all cameras share. */
const heatSide = 640

export function createTarget(options: ControlOptions): CommandTarget {
  const { config, cameras, classifier, pipelines, publisher, readConfig, restart, recorders, info } = options
  const topics = createTopics(config.mqtt.base, config.node)
  const byId = new Map(cameras.map(({ id }, i) => [id, pipelines[i]!]))

  async function capture(camera: string, maxSide: number, heat?: number | 'label'): Promise<Picture> {
    try {
      return await byId
        .get(camera)!
        .capture({ maxSide, signal: AbortSignal.timeout(nextFrameMs), ...(heat === undefined ? {} : { heat }) })
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError')
        throw new GapcamError('CAMERA_STALLED', `camera ${camera}: no frame within ${nextFrameMs / 1000} s`)
      throw error
    }
  }

  function publish(
    name: 'image' | 'heat',
    camera: string,
    picture: Buffer,
  ): { readonly topic: string; readonly bytes: number } {
    const message = {
      ...topics.camera(name, camera),
      isRetained: config.mqtt.retainImages,
      payload: imagePayload(picture),
    }
    if (config.mqtt.retainImages) publisher.keep(message)
    else if (!publisher.sendNow(message))
      throw new GapcamError('BROKER_UNREACHABLE', `the picture could not be published on ${message.topic}`)
    return { topic: message.topic, bytes: message.payload.length }
  }

  return {
    cameras: cameras.map(({ id }) => id),
    async snapshot(camera) {
      const picture = await capture(camera, snapshotSide)
      const { encodeJpeg } = await import('../pixels/jpeg.js')
      return { ...publish('image', camera, await encodeJpeg(picture)), ...pictureFields(camera, picture) }
    },
    async heat(camera, label) {
      const picture = await capture(camera, heatSide, label === undefined ? 'label' : classOf(classifier.labels, label))
      const { heat, prediction } = picture
      if (!heat || !prediction)
        throw new GapcamError('FRAME_INVALID', `camera ${camera}: the model's outputs for this frame are not usable`)
      const { drawHeat } = await import('../heat/overlay.js')
      const { classIndex } = heat.map
      const [name, score] = [classifier.labels[classIndex]!, prediction.scores[classIndex]!]
      const jpeg = await drawHeat(picture, heat, { label: name, score }, 'jpeg')
      return {
        ...publish('heat', camera, jpeg),
        ...pictureFields(camera, picture),
        label: name,
        score: Math.round(score * 1e4) / 1e4,
      }
    },
    async classifyNow(camera) {
      // Only what was computed from the frame is wanted, so that one pixel of it will do.
      const picture = await capture(camera, 1)
      if (!picture.prediction)
        throw new GapcamError('FRAME_INVALID', `camera ${camera}: the model's outputs for this frame are not usable`)
      const { top, timings, engine, target } = picture.prediction
      const rounded = (value: number): number => Math.round(value * 1e4) / 1e4
      const best = top.map(({ label, score }) => ({ label, score: rounded(score) }))
      return {
        ...frameFields(camera, picture),
        ...best[0],
        top: best,
        settled: picture.decision.label,
        engine: `${engine}-${target}`,
        ms: { infer: rounded(timings.infer), total: rounded(timings.total) },
      }
    },
    ...(recorders && recorders.size > 0
      ? { record: async (camera) => ({ camera, file: await recorders.get(camera)!.request('asked for') }) }
      : {}),
    ...(restart ? { restart } : {}),
    ...(readConfig ? { reload: createReload(readConfig, options) } : {}),
    info,
  }
}

function frameFields(camera: string, { seq, wallTime }: Picture): Record<string, unknown> {
  return { camera, frame: seq, ts: new Date(wallTime).toISOString() }
}

/** Of a picture that is sent: its own size, not the frame's. */
function pictureFields(camera: string, picture: Picture): Record<string, unknown> {
  return { ...frameFields(camera, picture), width: picture.width, height: picture.height }
}

/** Takes over what may change while gapcam runs, and names what does not change before a restart. */
function createReload(
  readConfig: () => Config,
  { settings, log, ...options }: ControlOptions,
): () => Readonly<Record<string, unknown>> {
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

/** Keeps C/enabled, C/threshold and the log's level as the settings say. Returns how to stop that. */
export function announceSettings({
  config,
  cameras,
  settings,
  publisher,
  log,
}: Pick<ControlOptions, 'config' | 'cameras' | 'settings' | 'publisher' | 'log'>): () => void {
  const topics = createTopics(config.mqtt.base, config.node)
  const said = new Map<string, string>()
  function say(name: 'enabled' | 'threshold', camera: string, payload: string): void {
    const topic = topics.camera(name, camera)
    if (said.get(topic.topic) === payload) return
    said.set(topic.topic, payload)
    publisher.keep({ ...topic, payload })
  }
  const announce = (): void => {
    for (const { id } of cameras) {
      const { isEnabled, policy } = settings.camera(id)
      say('enabled', id, isEnabled ? 'ON' : 'OFF')
      say('threshold', id, String(policy.threshold))
    }
    const { 'mqtt.stateEveryMs': stateEveryMs, 'mqtt.resultEveryMs': resultEveryMs, logLevel } = settings.node
    publisher.pace({ stateEveryMs, resultEveryMs })
    log.level = logLevel
  }
  announce()
  return settings.onChange(announce)
}
