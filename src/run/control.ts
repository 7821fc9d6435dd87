/**
 * What the commands do to a running node: pictures and results on demand (pictures.ts), recordings, the configuration read again, and
 * the topics that say what is set. The door (commands.ts) checks a command; this acts on it.
 */
import { changesOf } from '../config/changes.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Logger } from '../log.js'
import type { Publisher } from '../publish/publisher.js'
import { createTopics } from '../publish/topics.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { Zone } from '../zone/zone.js'
import type { CommandTarget } from './commands.js'
import { commandDeadline, type Pictures } from './pictures.js'
import type { Settings } from './settings.js'

type Fields = Readonly<Record<string, unknown>>

export interface ControlOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
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
  readonly pictures: Pictures
}

/** The commands of a node as functions. What the options leave out is answered with `not available`. */
export function createTarget(options: ControlOptions): CommandTarget {
  const { zones, recorders, readConfig, restart, info, pictures } = options
  return {
    zones: zones.map(({ key }) => key),
    snapshot: (zone) => pictures.snapshot(zone, commandDeadline()),
    heat: (zone, label) => pictures.heat(zone, label, commandDeadline()),
    classifyNow: (zone) => pictures.classifyNow(zone, commandDeadline()),
    record:
      recorders && recorders.size > 0
        ? async (zone) => ({ camera: zone, file: await recorders.get(zone)!.request('asked for') })
        : undefined,
    restart,
    reload: readConfig && createReload(readConfig, options),
    info,
  }
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
