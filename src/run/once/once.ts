/**
 * One look of every zone, for devices that sleep in between: the cameras are opened and wait until their exposure has
 * settled, every zone classifies one picture, what comes of it is published, and everything is closed. Pictures are taken
 * and the connection is made while the models are opened. Labels go on from the last time, which a file keeps.
 */
import { createBoardReader } from '../../board.js'
import { openClassifier, type Classifier } from '../../classifier.js'
import { systemClock } from '../../clock.js'
import { nextTime } from '../../config/schedule.js'
import type { CameraConfig, Config } from '../../config/schema.js'
import { stateDirectory } from '../../config/state-directory.js'
import { GapcamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import { createMetrics } from '../../metrics.js'
import type { Outputs } from '../../outputs/outputs.js'
import { announce } from '../../publish/announcement.js'
import { watchClockSync, type ClockSync } from '../../publish/clock-sync.js'
import { openPublishedTopics, type PublishedTopics } from '../../publish/published.js'
import type { Publisher } from '../../publish/publisher.js'
import { createTopics, type Topics } from '../../publish/topics.js'
import { version } from '../../version.js'
import { asksOwnEmbedding, zonesOf, type ZoneDefinition } from '../../zone/definition.js'
import type { AnyZone } from '../../zone/missing.js'
import type { EngineTurns } from '../../zone/zone-options.js'
import { camerasOf } from '../cameras/cameras.js'
import { describeDevice } from '../device.js'
import { openLastSaid, type LastSaid } from './last-said.js'
import { switchOn, type Light } from './light.js'
import { openModels, type Models } from '../zones/models.js'
import { openZone } from './zone.js'
import { ownModelOptions } from '../bundles/ordinary-model.js'
import { openParts, rowsOf } from '../parts.js'
import { discoveryPrefix, openNodeOutputs, openPublisher } from '../publishing.js'
import { openSettings, type Settings } from '../commands/settings.js'
import { OnceCamera } from './camera.js'
import { openViews } from '../zones/views.js'
import { prepareZones } from '../zones/prepared.js'
import { Turns } from '../zones/turns.js'

export interface OnceOptions {
  /** An embedded broker would end with this run: nothing is published there. */
  readonly config: Config
  readonly log: Logger
  /** Longest time for everything but the last second of closing, milliseconds from now. */
  readonly deadlineMs: number
  /** Longest time for the exposure to settle, milliseconds. */
  readonly settleMs: number
  /** When it will run again, milliseconds from now; null: as the triggers of the zones say. */
  readonly nextMs: number | null
  /** A GPIO line that is high while the pictures are taken. */
  readonly light: { readonly chip: string; readonly line: number } | null
}

/** A stage, with the time since the start of the process at which it ended. */
export interface OnceStage {
  readonly name: string
  readonly endMs: number
}

export interface OnceResult {
  /** In the order of the configuration; zones that are switched off are left out. */
  readonly zones: readonly AnyZone[]
  readonly faults: readonly GapcamError[]
  /** Whether the broker has acknowledged everything; null where nothing is published. */
  readonly isDelivered: boolean | null
  /** Events that wait in the outbox. */
  readonly queued: number
  /** Events that are lost: the broker refused them, or they were neither delivered nor kept on disk. */
  readonly lost: number
  /** Wall time at which the next run is expected, milliseconds; null: not known. */
  readonly nextWallMs: number | null
  readonly stages: readonly OnceStage[]
}

interface Parts {
  readonly cameras: readonly CameraConfig[]
  readonly settings: Settings
  readonly seen: Seen
  readonly topics: Topics
  readonly published: PublishedTopics
  readonly outputs: Outputs
  readonly clockSync: ClockSync | null
  readonly publisher: Publisher
  readonly classifier: Classifier
  readonly models: Models
  readonly lastSaid: LastSaid
}

/** The cameras at work, and their lamp. */
interface Seen {
  readonly cameras: readonly OnceCamera[]
  readonly light: Light | null
}

/**
 * Rejects with the GapcamError of what every zone needs: MODEL_*, OUTBOX_*, CONFIG_INVALID. What is wrong with one camera
 * or one zone is among the result's `faults`.
 */
export async function lookOnce(given: OnceOptions): Promise<OnceResult> {
  const { mqtt } = given.config
  const config = mqtt.broker === 'embedded' ? { ...given.config, mqtt: { ...mqtt, broker: 'none' } } : given.config
  const options = { ...given, config }
  const stages: OnceStage[] = [{ name: 'start', endMs: performance.now() }]
  const end = (name: string): void => void stages.push({ name, endMs: performance.now() })
  const deadline = AbortSignal.timeout(options.deadlineMs)
  const { parts, close } = await openParts<Parts>(rowsFor(options, deadline, end), options.log)
  try {
    const { zones, faults } = await look(parts, options, end)
    await parts.lastSaid.close()
    const isDelivered = config.mqtt.broker === 'none' ? null : await parts.publisher.delivered(deadline)
    end(isDelivered === null ? 'kept' : 'acknowledged')
    const { queued: waiting, inMemory, dropped } = parts.publisher.stats().outbox
    const [queued, lost] = [waiting - inMemory, dropped + inMemory]
    const definitions = parts.settings.cameras.flatMap(zonesOf)
    const times = definitions.map((each) => nextWallMs(each, options.nextMs)).filter((ms) => ms !== null)
    const nextAtMs = times.length === 0 ? null : Math.min(...times)
    return { zones, faults, isDelivered, queued, lost, nextWallMs: nextAtMs, stages }
  } finally {
    await close()
    end('closed')
  }
}

const part = rowsOf<Parts>()

function rowsFor(options: OnceOptions, deadline: AbortSignal, end: (stage: string) => void) {
  const { config, log } = options
  const folder = stateDirectory(config)
  return [
    part({
      opens: 'cameras',
      needs: [],
      open: () => camerasOf(config, deadline, (reason) => log.warn({}, `no camera: ${reason}`)),
    }),
    part({
      opens: 'settings',
      needs: ['cameras'],
      open: ({ cameras }) => openSettings({ config, cameras, folder, log }),
      close: (settings) => settings.close(),
    }),
    part({
      opens: 'seen',
      needs: ['settings'],
      open: ({ settings }) => startCameras(options, settings, end),
      async close({ cameras, light }) {
        await Promise.all(cameras.map((camera) => camera.close()))
        await light?.off()
      },
    }),
    part({ opens: 'topics', needs: [], open: () => createTopics(config.mqtt.base, config.node) }),
    part({
      opens: 'published',
      needs: [],
      open: () => openPublishedTopics(folder, log),
      close: (published) => published.close(),
    }),
    part({
      opens: 'clockSync',
      needs: [],
      open: () => (config.mqtt.broker === 'none' ? null : watchClockSync()),
      close: (clockSync) => clockSync?.close(),
    }),
    part({
      opens: 'outputs',
      needs: ['settings', 'clockSync'],
      open: ({ settings: { cameras }, clockSync }) => openNodeOutputs({ config, cameras, clockSync, log }, false),
      close: (outputs) => outputs.close(),
    }),
    part({
      opens: 'publisher',
      needs: ['settings', 'topics', 'clockSync', 'outputs'],
      open({ settings, ...parts }) {
        const { cameras } = settings
        const definitions = new Map(cameras.flatMap(zonesOf).map((definition) => [definition.key, definition]))
        const once = { nextWallMs: (key: string) => nextWallMs(definitions.get(key)!, options.nextMs) }
        return openPublisher({ ...parts, cameras, broker: null, announcement: [], once, config, log })
      },
      close: (publisher) => publisher.close(),
    }),
    ...modelRows(options, folder, end),
  ]
}

function modelRows({ config, log }: OnceOptions, folder: string, end: (stage: string) => void) {
  return [
    part({
      opens: 'classifier',
      needs: [],
      async open() {
        const classifier = await openClassifier({
          ...(await ownModelOptions(config, log)),
          heat: config.heat,
          embedding: asksOwnEmbedding(config.cameras),
          onFault: (sentence) => log.warn(sentence),
        })
        end('model')
        return classifier
      },
      close: (classifier) => classifier.close(),
    }),
    part({
      opens: 'models',
      needs: ['classifier'],
      open: ({ classifier }) => openModels(config, classifier, log, folder),
      close: (models) => models.close(),
    }),
    part({
      opens: 'lastSaid',
      needs: [],
      open: () => openLastSaid(folder, log),
      close: (lastSaid) => lastSaid.close(),
    }),
  ]
}

/** Opens the cameras that are switched on, and takes their pictures in the background. */
async function startCameras(
  { log, light, settleMs, deadlineMs }: OnceOptions,
  settings: Settings,
  end: (stage: string) => void,
): Promise<Seen> {
  // The rest of the time is for classifying and publishing, also where a camera hangs.
  const signal = AbortSignal.timeout(Math.round(deadlineMs * 0.5))
  const lamp = light && (await switchOn(light))
  if (lamp) end('light')
  const on = settings.cameras.filter(({ id }) => settings.camera(id).isEnabled)
  const cameras = on.map((camera) => new OnceCamera({ config: camera, settleMs, log, clock: systemClock }, signal))
  void Promise.all(cameras.map(({ frame }) => frame)).then(() => end('picture'))
  return { cameras, light: lamp }
}

/** Every zone looks at its camera's picture and publishes. */
async function look(
  parts: Parts,
  options: OnceOptions,
  end: (stage: string) => void,
): Promise<Pick<OnceResult, 'zones' | 'faults'>> {
  const { settings, models, publisher, lastSaid, seen } = parts
  const definitions = settings.cameras.flatMap(zonesOf)
  const prepared = await prepareZones(models, definitions)
  await announceAll(parts, options, prepared)
  const [queue, metrics] = [new Turns(), createMetrics(systemClock.now())]
  // There is no next frame to wait for: no turn is too late.
  const turns: EngineTurns = { take: (work, wish) => queue.take(work, { ...wish, untilMs: Infinity }) }
  const views = openViews(stateDirectory(options.config), options.log, systemClock)
  const shared = { ...options, settings, publisher, lastSaid, views, turns, metrics, clock: systemClock }
  const zones = definitions
    .filter(({ key, camera }) => settings.camera(camera).isEnabled && settings.zone(key).isSwitchedOn)
    .map((definition) => openZone(definition, prepared.get(definition.key)!, shared))
  const faults = zones.flatMap((zone) =>
    'fault' in zone ? [new GapcamError('MODEL_UNSUPPORTED', `zone ${zone.key} is unavailable: ${zone.fault}`)] : [],
  )
  try {
    await Promise.all(
      seen.cameras.map(async (camera) => {
        const own = zones.filter((zone) => zone.camera === camera.id)
        views.of(camera.id).keep(definitions.filter((definition) => definition.camera === camera.id))
        const fault = await camera.show(own, publisher, views.of(camera.id))
        if (fault) faults.push(fault)
      }),
    )
    end('classified')
    for (const zone of zones) lastSaid.keep(zone.key, zone.decision)
    for (const { id } of settings.cameras) if (!settings.camera(id).isEnabled) publisher.cameraStatus(id, 'disabled')
  } finally {
    await seen.light?.off()
    await Promise.all(zones.map((zone) => zone.close()))
    await views.close()
  }
  return { zones, faults }
}

/** Tells Home Assistant what there is. Before the labels: a new entity must know them. */
async function announceAll(
  { settings, classifier, topics, published, publisher }: Parts,
  { config, nextMs }: OnceOptions,
  prepared: Awaited<ReturnType<typeof prepareZones>>,
): Promise<void> {
  if (config.mqtt.broker === 'none') return
  const definitions = settings.cameras.flatMap(zonesOf)
  const zones = definitions.map((definition) => {
    const model = prepared.get(definition.key)!
    return { definition, classifier: 'classifier' in model ? model.classifier : null }
  })
  const cameras = settings.cameras.map(({ id }) => id)
  const board = createBoardReader({ stateDirectory: stateDirectory(config) })
  const device = await describeDevice({ node: config.node, cameras, zones, version, classifier, board })
  const gaps = definitions.map((definition) => nextWallMs(definition, nextMs)).filter((ms) => ms !== null)
  const expiresS = gaps.length === 0 ? undefined : expiryOf(Math.max(...gaps) - systemClock.wall())
  const facts = { ...device.facts, once: { expiresS } }
  const announced = await announce({
    facts,
    model: device.model,
    topics,
    prefix: discoveryPrefix(config),
    retainsImages: false,
    published,
  })
  for (const message of announced) publisher.keep(message)
}

/** Half a period more than the next run is expected in: a start takes its time. Whole minutes, so that it seldom changes. */
const expiryOf = (nextMs: number): number => Math.ceil((nextMs * 1.5) / 60_000) * 60

/** When a zone is expected to look again; null: its trigger does not say. */
function nextWallMs({ trigger, timezone }: ZoneDefinition, nextMs: number | null): number | null {
  const nowMs = systemClock.wall()
  if (nextMs !== null) return nowMs + nextMs
  if (trigger.kind === 'every') return nowMs + trigger.everyMs
  return trigger.kind === 'cron' ? nextTime(trigger.line, timezone, nowMs) : null
}
