/**
 * What the commands do to a running node: pictures and results on demand (pictures.ts), recordings, the configuration read again, and
 * the topics that say what is set. The door (commands.ts) checks a command; this acts on it.
 */
import { changesOf } from '../../config/changes.js'
import type { CameraConfig, Config } from '../../config/schema.js'
import { GapcamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Publisher } from '../../publish/publisher.js'
import { createTopics } from '../../publish/topics.js'
import type { FlightRecorders } from '../../recording/recorders.js'
import { placesIn } from '../../zone/definition.js'
import type { BundleTarget } from '../bundles/commands.js'
import type { CommandTarget } from './row.js'
import { placeOf } from '../zones/names.js'
import { commandDeadline, type Pictures } from './pictures.js'
import type { Settings } from './settings.js'
import type { Teaching } from '../teaching/teaching.js'
import type { Views } from '../zones/views.js'
import type { Zones } from '../zones/zones.js'

type Fields = Readonly<Record<string, unknown>>

export interface ControlOptions {
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
  readonly zones: Zones
  readonly settings: Settings
  readonly views: Views
  readonly publisher: Publisher
  readonly log: Logger
  /** Reads the configuration again, from where it came at the start. Throws CONFIG_INVALID. */
  readonly readConfig?: (() => Config) | undefined
  readonly restart?: (() => void) | undefined
  readonly recorders?: FlightRecorders | undefined
  readonly info: () => Fields
  readonly pictures: Pictures
  readonly teaching: Teaching
  readonly bundles?: BundleTarget | undefined
}

/** The commands of a node as functions. What the options leave out is answered with `not available`. */
export function createTarget(options: ControlOptions): CommandTarget {
  const { zones, recorders, readConfig, restart, info, pictures, settings, config, teaching, views, bundles } = options
  return {
    teaching,
    bundles,
    get zones() {
      return placesIn(settings.cameras).zones
    },
    get cameras() {
      return settings.cameras.map(({ id }) => id)
    },
    zonesApplied: () => zones.apply(),
    labelFault: (definition) => zones.labelFault(definition),
    snapshot: (zone) => pictures.snapshot(zone, commandDeadline()),
    heat: (zone, label) => pictures.heat(zone, label, commandDeadline()),
    mask: (zone) => pictures.mask(zone, commandDeadline()),
    classifyNow: (zone) => pictures.classifyNow(zone, commandDeadline()),
    record: config.recorder.enabled ? (zone) => record(zone, recorders) : undefined,
    acceptView: (camera, isSame) => views.of(camera).accept(isSame),
    restart,
    reload: readConfig && createReload(readConfig, options),
    info,
  }
}

async function record(zone: string, recorders: FlightRecorders | undefined): Promise<Fields> {
  const recorder = recorders?.find(zone)
  if (!recorder) throw new GapcamError('RECORDING_NOT_WRITTEN', `zone ${zone} has no recorder, since it cannot look`)
  return { ...placeOf(zone), file: await recorder.request('asked for') }
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
export function applySettings(
  options: Pick<ControlOptions, 'config' | 'zones' | 'settings' | 'publisher' | 'log'>,
): () => void {
  const { settings, publisher, log } = options
  const stopAnnouncing = announceSettings(options)
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
  let said = new Map<string, string>()
  const announce = (): void => {
    const now = new Map<string, string>()
    const say = (name: 'enabled' | 'threshold', place: string, payload: string): void => {
      const topic = topics.camera(name, place)
      now.set(topic.topic, payload)
      if (said.get(topic.topic) !== payload) publisher.keep({ ...topic, payload })
    }
    for (const { id } of settings.cameras) say('enabled', id, settings.camera(id).isEnabled ? 'ON' : 'OFF')
    // A zone that is added gets its topics when it is announced, and one that is removed must not get them back.
    const wanted = new Set(placesIn(settings.cameras).zones)
    for (const { key, definition } of zones.all) {
      if (!wanted.has(key)) continue
      const { isSwitchedOn, policy } = settings.zone(key)
      if (definition.zone !== null) say('enabled', key, isSwitchedOn ? 'ON' : 'OFF')
      say('threshold', key, String(policy.threshold))
    }
    said = now
  }
  announce()
  const stops = [settings.onChange(announce), zones.onChange(announce)]
  return () => {
    for (const stop of stops) stop()
  }
}
