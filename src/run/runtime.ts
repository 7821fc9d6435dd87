/**
 * Frames to labels: zones, their settings, the door for commands, and the cameras that feed them, on a classifier and a
 * publisher that the caller owns. `run/node.ts` composes a whole node around it; `gapcam record` and `profile` use it
 * without a broker.
 */
import { createBoardReader, type BoardReader } from '../board.js'
import type { CameraDescription } from '../camera/camera.js'
import type { Classifier } from '../classifier.js'
import { systemClock, type Clock } from '../clock.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import { subscribeMs } from '../publish/announcement.js'
import type { Publisher } from '../publish/publisher.js'
import type { FlightRecorders } from '../recording/recorders.js'
import { placesIn, zonesOf } from '../zone/definition.js'
import type { AnyZone } from '../zone/missing.js'
import type { BundleTarget } from './bundles/commands.js'
import { NodeCamera } from './cameras/camera.js'
import { runCameras } from './cameras/cameras.js'
import { createCommands, type Commands } from './commands/commands.js'
import { AutomaticPictures } from './commands/automatic-pictures.js'
import { applySettings, createTarget } from './commands/control.js'
import type { DecodedSize } from './cameras/decoded-size.js'
import { createCudaRestart, type CudaRestart } from './guard/cuda-restart.js'
import { noDeadlines, type Deadlines } from './guard/deadlines.js'
import { infoOf } from './device.js'
import { Ending, type RunEnd } from './ending.js'
import { startHealth } from './guard/health.js'
import { Galleries } from './teaching/galleries.js'
import { watchOverload } from './zones/overload.js'
import { cropPublisher, Pictures } from './commands/pictures.js'
import { openReviewing, type Reviewing } from './teaching/reviewing.js'
import { openLenses, type Lenses } from './cameras/lenses.js'
import { openSettings, type Settings } from './commands/settings.js'
import { openModels, type Models } from './zones/models.js'
import type { TaughtModels } from './teaching/models.js'
import { Teaching } from './teaching/teaching.js'
import { openTallies, type Tallies } from './zones/tallies.js'
import { Turns } from './zones/turns.js'
import { openViews, type Views } from './zones/views.js'
import { prepareZones, type PreparedZone } from './zones/prepared.js'
import { Zones, type SettledListener, type ZonesOptions } from './zones/zones.js'

export interface RuntimeOptions {
  readonly config: Config
  /** At least one. */
  readonly cameras: readonly CameraConfig[]
  readonly classifier: Classifier
  readonly publisher: Publisher
  readonly log: Logger
  readonly clock?: Clock | undefined
  /** Default: this machine. */
  readonly board?: BoardReader | undefined
  /** Where run-time settings are kept; default nowhere. */
  readonly stateFolder?: string | undefined
  /** Reads the configuration again, for `reload`; throws CONFIG_INVALID. */
  readonly readConfig?: (() => Config) | undefined
  /** Whether the caller acts on a `run` that ends with 'restart'; default false: the `restart` command is not available. */
  readonly canRestart?: boolean | undefined
  /** Takes the orders about bundles; default: not available. */
  readonly bundles?: BundleTarget | undefined
  /** A service manager starts gapcam again when it ends with a failure; default false. */
  readonly isSupervised?: boolean | undefined
  /** Default none. */
  readonly recorders?: FlightRecorders | undefined
  /** Run-time settings that are open already; default: those in `stateFolder`. The runtime closes its own only. */
  readonly settings?: Settings | undefined
  /** Models of zones that are open already, with what their zones got of them; default: the runtime's own. */
  readonly models?: { readonly pool: Models; readonly prepared: ReadonlyMap<string, PreparedZone> } | undefined
  /** Announces zones that are added or removed while the node runs; default: no announcement. */
  readonly announce?: ZonesOptions['announce']
  /** Default: new counters. */
  readonly metrics?: Metrics | undefined
  /** Watches the loops; default: unwatched. */
  readonly deadlines?: Deadlines | undefined
  readonly onSettled?: SettledListener | undefined
  /** A camera delivered its first frame. */
  readonly onCamera?: ((camera: CameraConfig, description: CameraDescription, pixelPath: string) => void) | undefined
  /** At which size a camera's pictures are decoded: with its first frame, and when it changes. */
  readonly onDecoded?: ((camera: string, sizes: DecodedSize) => void) | undefined
}

export type { RunEnd } from './ending.js'

/** The opened parts that the page and other observers read. */
export interface LiveRun {
  readonly cameras: readonly NodeCamera[]
  /** The zones of all cameras: a list that changes in place. */
  readonly zones: readonly AnyZone[]
  /** Calls back after zones were added, replaced or removed. */
  onZones(listener: () => void): void
  readonly metrics: Metrics
  readonly commands: Commands
  readonly settings: Settings
  readonly board: BoardReader
  /** Whether cameras still have the views in which regions were drawn. */
  readonly views: Views
  readonly teaching: Teaching
  /** Pictures for review. */
  readonly reviewing: Reviewing
  readonly galleries: Galleries
  readonly bundles: BundleTarget | undefined
  /** Calls back when a label was settled or withdrawn, until the runtime is closed. */
  listen(listener: SettledListener): void
}

export interface Runtime extends LiveRun {
  /**
   * Runs the cameras until each has ended, `config.frames` results exist, a restart is needed, or `signal` comes.
   * Rejects when no camera could be opened, and with ENGINE_FAILED.
   */
  run(signal: AbortSignal): Promise<RunEnd>
  /** Call it after `run`. The classifier and the publisher stay open: they are the caller's. */
  close(): Promise<void>
}

const tickEveryMs = 1000

/** Opens zones and settings and publishes what is set. No camera is opened before `run`. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { config, cameras, classifier, publisher, log, clock = systemClock, board = createBoardReader() } = options
  const { metrics = createMetrics(clock.now()), stateFolder = null } = options
  const ending = new Ending(log)
  const listeners = options.onSettled ? [options.onSettled] : []
  const settings = options.settings ?? openSettings({ config, cameras, folder: stateFolder, log })
  const tallies = openTallies(stateFolder, log)
  const [views, lenses] = [openViews(stateFolder, log, clock), openLenses(config.lens)]
  const parts: RuntimeParts = { options, settings, tallies, views, lenses, metrics, clock, listeners, ending }
  const reviewing = openReviewing({ config, stateFolder, settings, zone: (key) => zones.find(key), clock, log })
  let teaching: Teaching | null = null
  const { zones, taught, closeModels } = await openZones(parts, {
    onCrop: cropPublisher(options, () => pictures),
    onSeen(zone, prediction, decision) {
      reviewing.collector.saw(zone, prediction, decision)
      teaching?.looked(zone, prediction)
    },
  })
  const info = (): Record<string, unknown> => infoOf(config, placesIn(settings.cameras), classifier)
  publisher.info(info())
  const restart = options.canRestart ? () => ending.restart('restart', 'as a command asked for') : undefined
  const nodeCameras = openCameras(parts, zones)
  const camera = (id: string): NodeCamera | undefined => nodeCameras.find(({ config: { id: other } }) => other === id)
  const pictures = new Pictures({ config, zones, camera, publisher })
  const galleries = new Galleries({ config, stateFolder, zones, settings })
  teaching = new Teaching({ config, settings, zones, camera, taught, publisher, review: reviewing.review, clock, log })
  const control = { ...options, zones, settings, views, restart, info, pictures, teaching }
  const stopApplying = applySettings(control)
  const automatic = new AutomaticPictures({ pictures, publisher, ...paceOf(config, zones), log })
  // Without a broker a picture would be drawn for nothing.
  if (publisher.stats().url !== null) listeners.push((zone, decision) => automatic.settled(zone, decision))
  zones.onChange(() => {
    publisher.info(info())
    pictures.prune()
    automatic.keep(placesIn(settings.cameras).zones)
  })
  const live: LiveRun = {
    ...{ cameras: nodeCameras, bundles: options.bundles },
    zones: zones.all,
    onZones: (listener) => void zones.onChange(listener),
    metrics,
    commands: createCommands({ target: createTarget(control), settings, log }),
    settings,
    board,
    views,
    teaching,
    reviewing,
    galleries,
    listen: (listener) => void listeners.push(listener),
  }
  return {
    ...live,
    run: (signal) => runUntilEnd({ live, options, clock, ending, info }, signal),
    async close() {
      stopApplying()
      automatic.close()
      await teaching.close()
      await reviewing.close()
      await galleries.close()
      await zones.close()
      await closeModels()
      await tallies.close()
      await views.close()
      lenses.close()
      if (!options.settings) await settings.close()
    },
  }
}

const paceOf = ({ mqtt }: Config, { all }: Zones): { readonly everyMs: number; readonly subscribeMs: number } => ({
  everyMs: mqtt.imageEveryMs,
  subscribeMs: subscribeMs(all.length),
})

/** Opens a runtime, runs it and closes it. */
export async function run(options: RuntimeOptions, signal: AbortSignal): Promise<void> {
  const runtime = await openRuntime(options)
  try {
    await runtime.run(signal)
  } finally {
    await runtime.close()
  }
}

interface RuntimeParts {
  readonly options: RuntimeOptions
  readonly settings: Settings
  readonly tallies: Tallies
  readonly views: Views
  readonly lenses: Lenses
  readonly metrics: Metrics
  readonly clock: Clock
  readonly listeners: readonly SettledListener[]
  readonly ending: Ending
}

/** The zones, on models that are open already or are opened here. */
async function openZones(
  parts: RuntimeParts,
  listeners: Pick<ZonesOptions, 'onSeen' | 'onCrop'>,
): Promise<{
  readonly zones: Zones
  readonly taught: TaughtModels
  readonly closeModels: () => Promise<void>
}> {
  const { options, settings, clock } = parts
  const { config, classifier, log, deadlines = noDeadlines } = options
  const models = options.models?.pool ?? openModels(config, classifier, log, options.stateFolder ?? null)
  const prepared = options.models?.prepared ?? (await prepareZones(models, settings.cameras.flatMap(zonesOf)))
  const turns = new Turns(deadlines.loop('the engine'), config.hungAfterMs, clock)
  models.taught.useTurns(turns)
  const zones = new Zones({
    ...options,
    ...parts,
    ...listeners,
    models,
    prepared,
    turns,
    onSettled: (zone, decision, prediction) => {
      for (const listen of parts.listeners) listen(zone, decision, prediction)
    },
  })
  return { zones, taught: models.taught, closeModels: () => (options.models ? Promise.resolve() : models.close()) }
}

function openCameras(
  { options, settings, views, lenses, metrics, clock, ending }: RuntimeParts,
  zones: Zones,
): NodeCamera[] {
  const { config, cameras, publisher, log } = options
  const opened = cameras.map(
    (camera) =>
      new NodeCamera({
        config: camera,
        zones: zones.ofCamera(camera.id),
        view: views.of(camera.id),
        lens: lenses.of(camera.id),
        publisher,
        metrics,
        clock,
        settings,
        log,
        limits: config,
        // Further zones wait a second at most for their turn.
        zoneCount: Math.max(zones.all.length, 2),
        onFirstOpen: ({ zones: [zone] }, description) =>
          options.onCamera?.(camera, description, zone?.pixelPath ?? 'native'),
        onDecoded: (sizes) => options.onDecoded?.(camera.id, sizes),
        onTaken: () => {
          if (config.frames > 0 && metrics.frames >= config.frames) ending.controller.abort()
        },
      }),
  )
  zones.onFresh((zone) => opened.find(({ config: { id } }) => id === zone.camera)?.welcome(zone))
  return opened
}

interface Running {
  readonly live: LiveRun
  readonly options: RuntimeOptions
  readonly clock: Clock
  readonly ending: Ending
  readonly info: () => Record<string, unknown>
}

/** The cameras, with what happens beside them: stale labels are withdrawn, health is published, a lost GPU is noticed. */
async function runUntilEnd(running: Running, signal: AbortSignal): Promise<RunEnd> {
  const { live, options, clock, ending, info } = running
  const { classifier, publisher, log, deadlines = noDeadlines } = options
  const { cameras, zones, metrics, board } = live
  const end = (): void => ending.controller.abort()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const cudaRestart = openCudaRestart(running)
  const health = startHealth({ publisher, classifier, board, metrics, clock, cudaRestart, cameras, zones, info })
  const tellOverload = watchOverload(zones, log)
  const ticking = setInterval(() => {
    for (const zone of zones) zone.tick()
    tellOverload(clock.now())
    cudaRestart?.tick()
    health.tick()
  }, tickEveryMs)
  try {
    await runCameras({ cameras, publisher, deadlines, log }, ending.controller)
    return ending.reason
  } finally {
    clearInterval(ticking)
    health.stop()
    signal.removeEventListener('abort', end)
    end()
    for (const camera of cameras) camera.end()
    await cudaRestart?.close()
  }
}

function openCudaRestart({ live, options, clock, ending }: Running): CudaRestart | undefined {
  const { config, classifier, log, isSupervised = false, stateFolder = null, canRestart } = options
  if (!canRestart) return undefined
  return createCudaRestart({
    mode: config.cudaRestart,
    isSupervised,
    isDemanded: config.engine === 'cuda',
    folder: stateFolder,
    facts: () => classifier.engine.describe().cuda,
    restart: (why) => ending.restart('cuda_lost', why),
    clock,
    startedMs: live.metrics.startedMs,
    log,
  })
}
