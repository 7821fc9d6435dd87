/**
 * The composition root: opens everything a node consists of, runs it, and closes it in reverse order. The list
 * `partsOf` below is that order; read it to learn what depends on what. `gapcam run` and `startNode` of the library
 * both come through here.
 */
import { createBoardReader, type BoardReader } from '../board.js'
import type { CameraDescription } from '../camera/camera.js'
import type { Classifier } from '../classifier.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import type { AnnouncementOptions } from '../publish/announcement.js'
import { startEmbeddedBroker, type EmbeddedBroker } from '../publish/broker.js'
import { watchClockSync, type ClockSync } from '../publish/clock-sync.js'
import type { Outputs } from '../outputs/outputs.js'
import type { Message } from '../publish/mqtt.js'
import { openPublishedTopics, type PublishedTopics } from '../publish/published.js'
import type { Publisher } from '../publish/publisher.js'
import type { Requests } from '../publish/requests.js'
import { createTopics, type Topics } from '../publish/topics.js'
import { flightRecorders, type FlightRecorders } from '../recording/recorders.js'
import type { ServiceManager } from '../service/manager.js'
import { zonesOf } from '../zone/definition.js'
import { announceZones, openAnnouncement } from './announcing.js'
import { openBundleService, type BundleService } from './bundles/service.js'
import { hangFileOf, openNodeBundles, type NodeBundles } from './bundles/bundles.js'
import { camerasOf } from './cameras/cameras.js'
import type { Commands } from './commands/commands.js'
import { Inbox } from './commands/inbox.js'
import { startLiveness, type Liveness } from './guard/liveness.js'
import { openModels, type Models } from './zones/models.js'
import { openOwnModel, type OwnModel } from './bundles/own-model.js'
import { openPage, type NodePage, type PageParts } from './page.js'
import { openParts, rowsOf, type PartRow } from './parts.js'
import { openBirth, openNodeOutputs, openPublisher, openRequests } from './publishing.js'
import { openRuntime, type RunEnd, type Runtime } from './runtime.js'
import type { SettledListener } from './zones/zones.js'
import { openSettings, type Settings } from './commands/settings.js'
import { prepareZones, type PreparedZone } from './zones/prepared.js'

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
  readonly bundles: NodeBundles
  readonly ownModel: OwnModel
  readonly bundleService: BundleService
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
  readonly outputs: Outputs
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
  const { bundles, classifier, broker, publisher, metrics, runtime, page } = parts
  return {
    classifier,
    broker,
    publisher,
    metrics,
    commands: runtime.commands,
    pageUrl: page?.url ?? null,
    async run() {
      try {
        return await runtime.run(signal)
      } catch (error) {
        bundles.failed(error)
        throw error
      }
    },
    close,
  }
}

const part = rowsOf<Parts>()

/** Every part of a node in the order of opening. */
function partsOf(options: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  return [...deviceParts(options, signal), ...brokerParts(options), ...runParts(options, signal), ...doorParts(options)]
}

/** What the node consists of: its model, its board, its cameras. */
function deviceParts({ config, manager, log, onMissingCamera }: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  return [
    part({
      opens: 'bundles',
      needs: [],
      open: () => openNodeBundles(config, log),
      close: (bundles) => bundles.close(),
    }),
    part({
      opens: 'ownModel',
      needs: ['bundles'],
      open({ bundles }) {
        manager?.status('opening the model')
        return openOwnModel(config, bundles, log)
      },
      close: (ownModel) => ownModel.close(),
    }),
    part({ opens: 'classifier', needs: ['ownModel'], open: ({ ownModel: { classifier } }) => classifier }),
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
      needs: ['ownModel', 'settings'],
      async open({ ownModel: { classifier, shadow }, settings }) {
        const pool = openModels(config, shadow?.classifier ?? classifier, log, stateDirectory(config), shadow?.behind)
        return { pool, prepared: await prepareZones(pool, settings.cameras.flatMap(zonesOf)) }
      },
      close: ({ pool }) => pool.close(),
    }),
  ]
}

/** What the node says to the world: broker, announcement, outbox, publisher. */
function brokerParts({ config, log }: NodeOptions): PartRow<Parts>[] {
  const { mqtt } = config
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
      needs: ['bundles', 'classifier', 'board', 'cameras', 'settings', 'models', 'topics', 'published'],
      open: ({ settings, models, ...parts }) =>
        openAnnouncement({ ...parts, zones: settings.cameras.flatMap(zonesOf), models, config }),
    }),
    part({
      opens: 'clockSync',
      needs: [],
      open: () => (mqtt.broker === 'none' ? null : watchClockSync()),
      close: (clockSync) => clockSync?.close(),
    }),
    part({ opens: 'inbox', needs: [], open: () => new Inbox() }),
    part({
      opens: 'outputs',
      needs: ['settings', 'clockSync'],
      open: ({ settings: { cameras }, clockSync }) => openNodeOutputs({ config, cameras, clockSync, log }, true),
      close: (outputs) => outputs.close(),
    }),
    part({
      opens: 'publisher',
      needs: ['settings', 'broker', 'topics', 'clockSync', 'announcement', 'inbox', 'outputs'],
      open: ({ settings, announcement: { messages }, ...parts }) =>
        openPublisher({ ...parts, cameras: settings.cameras, announcement: messages, config, log }),
      close: (publisher) => publisher.close(),
    }),
    part({
      opens: 'bundleService',
      needs: ['bundles', 'ownModel', 'announcement', 'topics', 'publisher'],
      open: ({ announcement: { options }, ...parts }) =>
        openBundleService({ ...parts.ownModel, ...parts, model: options.model, config, log }),
      close: (service) => service.close(),
    }),
    part({
      opens: 'birth',
      needs: ['inbox', 'publisher'],
      open: ({ inbox, publisher }) => openBirth(config, inbox, publisher),
      close: (birth) => birth?.close(),
    }),
  ]
}

/** What goes on while the node runs: watchdog, recorders, zones. */
function runParts(options: NodeOptions, signal: AbortSignal): PartRow<Parts>[] {
  const { config, log, manager } = options
  return [
    part({ opens: 'metrics', needs: [], open: () => createMetrics(performance.now()) }),
    part({
      opens: 'liveness',
      needs: ['metrics'],
      open: ({ metrics }) =>
        manager ? startLiveness({ config, metrics, manager, log, hangFile: hangFileOf(config) }, signal) : null,
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
        'bundleService',
      ],
      open: ({ liveness, announcement, bundleService: bundles, ...parts }) =>
        openRuntime({
          ...parts,
          bundles,
          announce: (zones) => announceZones(announcement.options, zones, parts.publisher),
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
  ]
}

/** The ways in: commands over MQTT, and the page. */
function doorParts({ config, log, startPage, canRestart }: NodeOptions): PartRow<Parts>[] {
  return [
    part({
      opens: 'requests',
      needs: ['cameras', 'topics', 'publisher', 'inbox', 'outputs', 'runtime', 'bundleService'],
      open({ inbox, runtime: { commands }, bundleService, ...parts }) {
        if (canRestart) bundleService.useRestart(() => void commands.execute({ kind: 'restart' }, 'signal'))
        const requests = openRequests({ ...parts, groups: config.groups, commands, log })
        inbox.listen((message) => requests.handle(message))
        inbox.open()
        return requests
      },
    }),
    part({
      opens: 'page',
      needs: ['classifier', 'publisher', 'runtime'],
      async open({ classifier, publisher, runtime: live }) {
        const page = await openPage(startPage, { config, live, classifier, publisher, log })
        live.listen((zone, decision) => page?.settled(zone, decision))
        return page
      },
      close: (page) => page?.close(),
    }),
  ]
}
