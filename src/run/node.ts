/**
 * The composition root: opens everything a node consists of, runs it, and closes it in reverse order. The list
 * `partsOf` below is that order; read it to learn what depends on what. `gapcam run` and `startNode` of the library
 * both come through here.
 */
import { createBoardReader, type BoardReader } from '../board.js'
import type { CameraDescription } from '../camera/camera.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import { announce, createBirthListener, type AnnouncementOptions } from '../publish/announcement.js'
import { startEmbeddedBroker, type EmbeddedBroker } from '../publish/broker.js'
import { watchClockSync, type ClockSync } from '../publish/clock-sync.js'
import type { Message } from '../publish/mqtt.js'
import { openPublishedTopics, type PublishedTopics } from '../publish/published.js'
import type { Publisher } from '../publish/publisher.js'
import type { Requests } from '../publish/requests.js'
import { createTopics, type Topics } from '../publish/topics.js'
import { flightRecorders, type FlightRecorders } from '../recording/recorders.js'
import type { ServiceManager } from '../service/manager.js'
import { version } from '../version.js'
import { zonesOf } from '../zone/definition.js'
import { camerasOf } from './cameras.js'
import type { Commands } from './commands.js'
import { describeDevice, zoneFactsOf } from './device.js'
import { startLiveness, type Liveness } from './liveness.js'
import { openModels, type Models } from './models.js'
import { knownPageUrl, openPage, type NodePage, type PageParts } from './page.js'
import { openParts, rowsOf, type PartRow } from './parts.js'
import { discoveryPrefix, openPublisher, openRequests, type Inbox } from './publishing.js'
import { openRuntime, type RunEnd, type Runtime, type SettledListener } from './runtime.js'
import { openSettings, type Settings } from './settings.js'
import { prepareZones, type PreparedZone } from './zones.js'

export interface NodeOptions {
  readonly config: Config
  readonly log: Logger
  /** Reads the configuration again, for the command `reload`; throws CONFIG_INVALID. Absent: not available. */
  readonly readConfig?: (() => Config) | undefined
  /**
   * What supervises this process. With it comes the watchdog, which ends the process when something hangs; absent in a
   * process that is not ours to end.
   */
  readonly manager?: ServiceManager | undefined
  /** Starts the page where the configuration enables it; absent: no page. */
  readonly startPage?: ((parts: PageParts) => Promise<NodePage>) | undefined
  /** Whether the caller acts on a `run` that ends with 'restart'; default false: the command is not available. */
  readonly canRestart?: boolean | undefined
  readonly onSettled?: SettledListener | undefined
  /** A camera delivered its first frame. */
  readonly onCamera?: ((camera: CameraConfig, description: CameraDescription, pixelPath: string) => void) | undefined
  /** A device that was found cannot be used as a camera. */
  readonly onMissingCamera?: ((reason: string) => void) | undefined
}

/** An open node. */
export interface Node {
  readonly classifier: Classifier
  /** The node's own broker; null where it uses another one, or none. */
  readonly broker: EmbeddedBroker | null
  readonly publisher: Publisher
  readonly metrics: Metrics
  readonly commands: Commands
  readonly pageUrl: string | null
  /**
   * Runs the cameras until each has ended, `config.frames` results exist or the signal of `openNode` comes ('ended'), or
   * until a restart is needed. Rejects when no camera could be opened, and with ENGINE_FAILED.
   */
  run(): Promise<RunEnd>
  /** Says goodbye to the broker and closes everything, in reverse order of opening. */
  close(): Promise<void>
}

interface Parts {
  readonly classifier: Classifier
  readonly board: BoardReader
  readonly cameras: readonly CameraConfig[]
  readonly broker: EmbeddedBroker | null
  readonly topics: Topics
  readonly published: PublishedTopics
  readonly settings: Settings
  readonly models: { readonly pool: Models; readonly prepared: ReadonlyMap<string, PreparedZone> }
  /** What is announced, and the messages of the start. */
  readonly announcement: { readonly options: AnnouncementOptions; readonly messages: readonly Message[] }
  readonly clockSync: ClockSync | null
  readonly inbox: Inbox
  readonly publisher: Publisher
  readonly birth: { close(): void } | null
  readonly metrics: Metrics
  readonly liveness: Liveness | null
  readonly recorders: FlightRecorders
  readonly runtime: Runtime
  readonly requests: Requests
  readonly page: NodePage | null
}

/**
 * Opens a node: model, broker, publisher, recorders, zones, page. No camera is opened before `run`. Rejects with the
 * GapcamError of the part that could not be opened, after closing the others. `signal` ends the run, and the search for
 * a camera.
 *
 *     const node = await openNode({ config, log, onSettled: (zone, { label }) => console.log(zone, label) }, signal)
 *     await node.run().finally(() => node.close())
 */
export async function openNode(options: NodeOptions, signal: AbortSignal): Promise<Node> {
  const { parts, close } = await openParts<Parts>(partsOf(options, signal), options.log)
  const { classifier, broker, publisher, metrics, runtime, page } = parts
  return {
    classifier,
    broker,
    publisher,
    metrics,
    commands: runtime.commands,
    pageUrl: page?.url ?? null,
    run: () => runtime.run(signal),
    close,
  }
}

const part = rowsOf<Parts>()

/** Every part of a node in the order of opening. */
function partsOf(options: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  return [...deviceParts(options, signal), ...brokerParts(options), ...runParts(options, signal)]
}

/** What the node consists of: its model, its board, its cameras. */
function deviceParts({ config, manager, log, onMissingCamera }: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  return [
    part({
      opens: 'classifier',
      needs: [],
      open() {
        manager?.status('opening the model')
        const { planCache, ...options } = modelOptions(config)
        return openClassifier({
          ...options,
          planCache: planCache && { ...planCache, onNote: (sentence) => log.debug(sentence) },
          heat: config.heat,
          onFault: (sentence) => log.warn(sentence),
        })
      },
      close: (classifier) => classifier.close(),
    }),
    part({
      opens: 'board',
      needs: [],
      open: () => createBoardReader({ stateDirectory: stateDirectory(config) }),
    }),
    part({
      opens: 'cameras',
      needs: [],
      open: () => camerasOf(config, signal, (reason) => onMissingCamera?.(reason)),
    }),
    part({
      opens: 'settings',
      needs: ['cameras'],
      open: ({ cameras }) => openSettings({ config, cameras, folder: stateDirectory(config), log }),
      close: (settings) => settings.close(),
    }),
    part({
      opens: 'models',
      needs: ['classifier', 'settings'],
      async open({ classifier, settings }) {
        const pool = openModels(config, classifier, log, stateDirectory(config))
        return { pool, prepared: await prepareZones(pool, settings.cameras.flatMap(zonesOf)) }
      },
      close: ({ pool }) => pool.close(),
    }),
  ]
}

/** What the node says to the world: broker, announcement, outbox, publisher. */
function brokerParts({ config, log }: NodeOptions): PartRow<Parts>[] {
  const { mqtt } = config
  const prefix = discoveryPrefix(config)
  return [
    part({
      opens: 'broker',
      needs: [],
      open: () => (mqtt.broker === 'embedded' ? startEmbeddedBroker({ log, port: mqtt.port }) : null),
      close: (broker) => broker?.close(),
    }),
    part({ opens: 'topics', needs: [], open: () => createTopics(mqtt.base, config.node) }),
    part({
      opens: 'published',
      needs: [],
      open: () => openPublishedTopics(stateDirectory(config), log),
      close: (published) => published.close(),
    }),
    part({
      opens: 'announcement',
      needs: ['classifier', 'board', 'cameras', 'settings', 'models', 'topics', 'published'],
      async open({ classifier, board, cameras, settings, models: { prepared }, topics, published }) {
        const zones = settings.cameras.flatMap(zonesOf).map((definition) => {
          const model = prepared.get(definition.key)!
          return { definition, classifier: 'classifier' in model ? model.classifier : null }
        })
        const parts = { node: config.node, cameras: cameras.map(({ id }) => id), zones, version, classifier, board }
        const device = await describeDevice({ ...parts, pageUrl: knownPageUrl(config) })
        const options = { ...device, topics, prefix, retainsImages: mqtt.retainImages, published }
        return { options, messages: await announce(options) }
      },
    }),
    part({
      opens: 'clockSync',
      needs: [],
      open: () => (mqtt.broker === 'none' ? null : watchClockSync()),
      close: (clockSync) => clockSync?.close(),
    }),
    part({ opens: 'inbox', needs: [], open: () => ({ listeners: [] }) }),
    part({
      opens: 'publisher',
      needs: ['settings', 'broker', 'topics', 'clockSync', 'announcement', 'inbox'],
      open: ({ settings, announcement: { messages }, ...parts }) =>
        openPublisher({ ...parts, cameras: settings.cameras, announcement: messages, config, log }),
      close: (publisher) => publisher.close(),
    }),
    part({
      opens: 'birth',
      needs: ['inbox', 'publisher'],
      open({ inbox, publisher }) {
        if (prefix === null) return null
        const birth = createBirthListener(prefix, () => publisher.repeat())
        inbox.listeners.push((message) => birth.handle(message))
        return birth
      },
      close: (birth) => birth?.close(),
    }),
  ]
}

/** What goes on while the node runs: watchdog, recorders, zones, commands, page. */
function runParts(options: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  const { config, log, manager } = options
  return [
    part({ opens: 'metrics', needs: [], open: () => createMetrics(performance.now()) }),
    part({
      opens: 'liveness',
      needs: ['metrics'],
      open: ({ metrics }) => (manager ? startLiveness({ config, metrics, manager, log }, signal) : null),
      close: (liveness) => liveness?.close(),
    }),
    part({
      opens: 'recorders',
      needs: [],
      open: () => flightRecorders(config, log),
      close: (recorders) => recorders.close(),
    }),
    part({
      opens: 'runtime',
      needs: [
        'classifier',
        'board',
        'cameras',
        'settings',
        'models',
        'announcement',
        'publisher',
        'metrics',
        'liveness',
        'recorders',
      ],
      open: ({ liveness, announcement, ...parts }) =>
        openRuntime({
          ...parts,
          async announce(zones) {
            const { facts } = announcement.options
            const now = { ...facts, ...zoneFactsOf(facts.cameras, zones) }
            for (const message of await announce({ ...announcement.options, facts: now })) parts.publisher.keep(message)
          },
          config,
          log,
          deadlines: liveness?.deadlines,
          stateFolder: stateDirectory(config),
          readConfig: options.readConfig,
          canRestart: options.canRestart,
          isSupervised: manager?.isThere,
          onCamera: options.onCamera,
          onSettled: options.onSettled,
        }),
      close: (runtime) => runtime.close(),
    }),
    part({
      opens: 'requests',
      needs: ['cameras', 'topics', 'publisher', 'inbox', 'runtime'],
      open({ inbox, runtime: { commands }, ...parts }) {
        const requests = openRequests({ ...parts, commands, log })
        inbox.listeners.push((message) => requests.handle(message))
        return requests
      },
    }),
    part({
      opens: 'page',
      needs: ['classifier', 'publisher', 'runtime'],
      async open({ classifier, publisher, runtime: live }) {
        const page = await openPage(options.startPage, { config, live, classifier, publisher, log })
        live.listen((zone, decision) => page?.settled(zone, decision))
        return page
      },
      close: (page) => page?.close(),
    }),
  ]
}
