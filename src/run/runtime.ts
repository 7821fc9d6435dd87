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
import type { Decision } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import type { Publisher } from '../publish/publisher.js'
import type { FrameRecorder } from '../recording/recorder.js'
import { zonesOf } from '../zone/definition.js'
import { Zone } from '../zone/zone.js'
import { NodeCamera } from './camera.js'
import { runCameras } from './cameras.js'
import { createCommands, type Commands } from './commands.js'
import { AutomaticPictures } from './automatic-pictures.js'
import { applySettings, createTarget } from './control.js'
import { createCudaRestart, type CudaRestart } from './cuda-restart.js'
import { noDeadlines, type Deadlines } from './deadlines.js'
import { infoOf } from './device.js'
import { startHealth } from './health.js'
import { Pictures } from './pictures.js'
import { openSettings, type Settings } from './settings.js'
import { Turns } from './turns.js'

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
  /** A service manager starts gapcam again when it ends with a failure; default false. */
  readonly isSupervised?: boolean | undefined
  /** The recorder of a zone, by its key; default none. */
  readonly recorders?: ReadonlyMap<string, FrameRecorder> | undefined
  /** Default: new counters. */
  readonly metrics?: Metrics | undefined
  /** Watches the loops; default: unwatched. */
  readonly deadlines?: Deadlines | undefined
  readonly onSettled?: SettledListener | undefined
  /** A camera delivered its first frame. */
  readonly onCamera?: ((camera: CameraConfig, description: CameraDescription, pixelPath: string) => void) | undefined
}

/** Why a run ended: by itself or its signal, by the command `restart`, or because CUDA needs a new process. */
export type RunEnd = 'ended' | 'restart' | 'cuda_lost'

export type SettledListener = (zone: string, decision: Decision, prediction: Prediction | null) => void

/** The opened parts that the page and other observers read. */
export interface LiveRun {
  readonly cameras: readonly NodeCamera[]
  /** The zones of all cameras. */
  readonly zones: readonly Zone[]
  readonly metrics: Metrics
  readonly commands: Commands
  readonly settings: Settings
  readonly board: BoardReader
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
export function openRuntime(options: RuntimeOptions): Runtime {
  const { config, cameras, classifier, publisher, log, clock = systemClock, board = createBoardReader() } = options
  const { metrics = createMetrics(clock.now()), stateFolder = null, readConfig, recorders } = options
  const ending = new Ending(log)
  const listeners = options.onSettled ? [options.onSettled] : []
  const settings = openSettings({ config, cameras, folder: stateFolder, log })
  const parts: ZoneParts = { options, settings, metrics, clock, listeners, ending }
  const zones = openZones(parts)
  const ids = cameras.map(({ id }) => id)
  const info = (): Record<string, unknown> => infoOf(config.node, ids, classifier)
  publisher.info(info())
  const stopApplying = applySettings({ config, zones, settings, publisher, log })
  const restart = options.canRestart ? () => ending.restart('restart', 'as a command asked for') : undefined
  const pictures = new Pictures({ config, classifier, zones, publisher })
  const control = { config, cameras, zones, settings, publisher, log, readConfig, restart, recorders, info, pictures }
  const automatic = new AutomaticPictures({ pictures, publisher, everyMs: config.mqtt.imageEveryMs, log })
  // Without a broker a picture would be drawn for nothing.
  if (publisher.stats().url !== null) listeners.push((zone, decision) => automatic.settled(zone, decision))
  const live: LiveRun = {
    cameras: openCameras(parts, zones),
    zones,
    metrics,
    commands: createCommands({ target: createTarget(control), settings, log }),
    settings,
    board,
    listen: (listener) => void listeners.push(listener),
  }
  return {
    ...live,
    run: (signal) => runUntilEnd({ live, options, clock, ending, info }, signal),
    async close() {
      stopApplying()
      automatic.close()
      for (const zone of zones) zone.close()
      await settings.close()
    },
  }
}

/** Opens a runtime, runs it and closes it. */
export async function run(options: RuntimeOptions, signal: AbortSignal): Promise<void> {
  const runtime = openRuntime(options)
  try {
    await runtime.run(signal)
  } finally {
    await runtime.close()
  }
}

/** Ends the cameras, and remembers why. */
class Ending {
  readonly #log: Logger
  readonly controller = new AbortController()
  reason: RunEnd = 'ended'

  constructor(log: Logger) {
    this.#log = log
  }

  /** `why` completes "restarting, ". */
  restart(reason: RunEnd, why: string): void {
    this.#log.info({}, `restarting, ${why}`)
    this.reason = reason
    this.controller.abort()
  }
}

interface ZoneParts {
  readonly options: RuntimeOptions
  readonly settings: Settings
  readonly metrics: Metrics
  readonly clock: Clock
  readonly listeners: readonly SettledListener[]
  readonly ending: Ending
}

function openZones({ options, settings, metrics, clock, listeners }: ZoneParts): Zone[] {
  const { config, cameras, classifier, publisher, recorders, deadlines = noDeadlines } = options
  const turns = new Turns(deadlines.loop('the engine'), config.hungAfterMs)
  return cameras.flatMap(zonesOf).map(
    (definition) =>
      new Zone({
        definition,
        classifier,
        turns,
        topK: config.topK,
        settings: () => settings.zone(definition.key),
        lens: config.lens,
        recorder: recorders?.get(definition.key),
        publisher,
        metrics,
        clock,
        onSettled: (zone, decision, prediction) => {
          for (const listen of listeners) listen(zone, decision, prediction)
        },
      }),
  )
}

function openCameras({ options, settings, metrics, clock, ending }: ZoneParts, zones: readonly Zone[]): NodeCamera[] {
  const { config, cameras, publisher, log } = options
  return cameras.map(
    (camera) =>
      new NodeCamera({
        config: camera,
        zones: zones.filter((zone) => zone.camera === camera.id),
        publisher,
        metrics,
        clock,
        settings,
        log,
        limits: config,
        zoneCount: zones.length,
        onFirstOpen: ({ zones: [zone] }, description) => options.onCamera?.(camera, description, zone!.pixelPath),
        onTaken: () => {
          if (config.frames > 0 && metrics.frames >= config.frames) ending.controller.abort()
        },
      }),
  )
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
  const health = startHealth({ publisher, classifier, board, metrics, clock, cudaRestart, cameras, info })
  const ticking = setInterval(() => {
    for (const zone of zones) zone.tick()
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
