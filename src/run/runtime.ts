/**
 * Composes the stages and owns their order: model, publisher, cameras come up in this order and go down in the other.
 * Nothing else in the program knows more than its neighbour.
 */
import { openCamera } from '../camera/sources.js'
import type { CameraDescription } from '../camera/camera.js'
import type { Classifier } from '../classifier.js'
import { createCommands, type Commands } from './commands.js'
import { systemClock, type Clock } from '../clock.js'
import { sourceNow } from '../config/credentials.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { announceSettings, createTarget } from './control.js'
import { createCudaRestart, type CudaRestart } from './cuda-restart.js'
import { GapcamError } from '../errors.js'
import { createBoardReader, type BoardReader } from '../board.js'
import type { Logger } from '../log.js'
import { createMetrics, residentBytes, type Metrics } from '../metrics.js'
import { Pipeline, Turns } from './pipeline.js'
import type { Decision } from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import { noProgress, type Loop, type Progress } from './progress.js'
import type { Publisher } from '../publish/publisher.js'
import type { FrameRecorder } from '../recording/recorder.js'
import { openSettings, type Settings } from './settings.js'
import { superviseCamera } from './supervisor.js'
import { whileOn } from './switch.js'
import { version } from '../version.js'

export interface RuntimeOptions {
  readonly config: Config
  /** At least one. */
  readonly cameras: readonly CameraConfig[]
  readonly classifier: Classifier
  readonly publisher: Publisher
  readonly log: Logger
  readonly clock?: Clock
  /** Default: this machine. */
  readonly board?: BoardReader
  /** Where run-time settings are kept; default nowhere. */
  readonly stateFolder?: string
  /** Reads the configuration again, for `reload`; throws CONFIG_INVALID. */
  readonly readConfig?: () => Config
  /** A restart was asked for, or a lost GPU needs one; the run then ends as if by `signal`. Absent: restarts are not available. */
  readonly onRestart?: () => void
  /** A service manager listens, which starts gapcam again after a failure; default false. */
  readonly isSupervised?: boolean
  /** Called once, before the first camera is opened: the door for commands, and what they change. */
  readonly onReady?: (running: { readonly commands: Commands; readonly settings: Settings }) => void
  /** The recorder of a camera; default none. */
  readonly recorders?: ReadonlyMap<string, FrameRecorder>
  /** Counts; default new ones. */
  readonly metrics?: Metrics
  /** Who looks whether the run gets on; default nobody. */
  readonly progress?: Progress
  readonly onSettled: (camera: string, decision: Decision, prediction: Prediction | null) => void
  readonly onCamera: (camera: CameraConfig, description: CameraDescription, pixelPath: string) => void
  /** Called before the cameras open, for whoever looks on: the page. What it gives back is called when the run ends. */
  readonly attach?: (live: LiveRun) => Promise<() => Promise<void>>
}

/** A run as those see it who look on while it goes. */
export interface LiveRun {
  readonly cameras: readonly LiveCamera[]
  readonly metrics: Metrics
  readonly commands: Commands
  readonly settings: Settings
  readonly board: BoardReader
}

export interface LiveCamera {
  readonly config: CameraConfig
  readonly pipeline: Pipeline
  /** What it turned out to be when it opened; null before. */
  description: CameraDescription | null
}

/** Soon after the start, so that nobody waits a minute for a temperature; then once a minute. */
const firstHealthMs = 5000
const healthEveryMs = 60_000
const tickEveryMs = 1000
/** A frame waits for the turns of all cameras before its own; the engine's own deadline comes first. */
const turnSlackMs = 2000
const idleStepMs = 1000

/**
 * Runs until every camera has ended, `frames` results are there, or `signal`. Rejects when no camera could be opened,
 * or the engine failed. The caller closes classifier and publisher.
 */
export async function run(options: RuntimeOptions, signal: AbortSignal): Promise<Metrics> {
  const { config, cameras, classifier, publisher, log, clock = systemClock, board = createBoardReader() } = options
  const { metrics = createMetrics(clock.now()) } = options
  const turns = new Turns(options.progress?.loop('the engine'), config.hungAfterMs)
  const ending = new AbortController()
  const end = (): void => ending.abort()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const settings = openSettings({ config, cameras, folder: options.stateFolder ?? null, log })
  const pipelines = cameras.map(
    (camera) =>
      new Pipeline({
        camera,
        classifier,
        turns,
        topK: config.topK,
        settings: () => settings.camera(camera.id),
        lens: config.lens,
        ...(options.recorders?.has(camera.id) ? { recorder: options.recorders.get(camera.id)! } : {}),
        publisher,
        metrics,
        clock,
        onSettled: options.onSettled,
      }),
  )
  publisher.info(infoOf(options))
  const stopAnnouncing = announceSettings({ config, cameras, settings, publisher, log })
  const restart =
    options.onRestart &&
    ((why: string): void => {
      log.info({}, `restarting, ${why}`)
      options.onRestart!()
      end()
    })
  const commands = commandsOf({ options, settings, pipelines, restart })
  options.onReady?.({ commands, settings })
  const live: LiveRun = {
    cameras: cameras.map((config, i) => ({ config, pipeline: pipelines[i]!, description: null })),
    metrics,
    board,
    commands,
    settings,
  }
  const cudaRestart =
    restart &&
    createCudaRestart({
      mode: config.cudaRestart,
      isSupervised: options.isSupervised ?? false,
      isDemanded: config.engine === 'cuda',
      folder: options.stateFolder ?? null,
      facts: () => classifier.engine.describe().cuda,
      restart,
      clock,
      startedMs: metrics.startedMs,
      log,
    })
  const ticking = setInterval(() => {
    for (const pipeline of pipelines) pipeline.tick()
    cudaRestart?.tick()
  }, tickEveryMs)
  const health = startHealth({ ...options, board, cudaRestart }, pipelines, metrics, clock)
  let detach: (() => Promise<void>) | undefined
  try {
    detach = await options.attach?.(live)
    await runCameras(live.cameras, { options, settings, metrics, clock, ending, log })
    return metrics
  } finally {
    clearInterval(ticking)
    health.stop()
    stopAnnouncing()
    signal.removeEventListener('abort', end)
    ending.abort()
    await detach?.()
    for (const pipeline of pipelines) pipeline.close()
    await cudaRestart?.close()
    await settings.close()
  }
}

interface Commanded {
  readonly options: RuntimeOptions
  readonly settings: Settings
  readonly pipelines: readonly Pipeline[]
  readonly restart: ((why: string) => void) | undefined
}

function commandsOf({ options, settings, pipelines, restart }: Commanded): Commands {
  const { readConfig, log } = options
  const target = createTarget({
    ...options,
    ...(readConfig ? { readConfig } : {}),
    ...(restart ? { restart: () => restart('as a command asked for') } : {}),
    settings,
    pipelines,
    info: () => infoOf(options),
  })
  return createCommands({ target, settings, log })
}

interface Running {
  readonly options: RuntimeOptions
  readonly settings: Settings
  readonly metrics: Metrics
  readonly clock: Clock
  readonly ending: AbortController
  readonly log: Logger
}

/** All cameras side by side. One that cannot be opened is said and left out of several; it is an error only when none can. */
async function runCameras(cameras: readonly LiveCamera[], running: Running): Promise<void> {
  const faults: GapcamError[] = []
  await Promise.all(
    cameras.map(async (live) => {
      const camera = live.config
      try {
        await runCamera(live, running)
      } catch (error) {
        if (!(error instanceof GapcamError) || error.exitStatus !== 3) {
          running.ending.abort()
          throw error
        }
        faults.push(error)
        const fate =
          cameras.length > 1 ? '; it is left out until the next start (waitForCameras: true waits for it)' : ''
        running.log.error({ camera: camera.id, code: error.code }, `${error.message}${fate}`)
        running.options.publisher.cameraStatus(camera.id, 'offline')
      }
    }),
  )
  const [first] = faults
  if (first && faults.length === cameras.length) throw first
}

/**
 * A camera that is switched off is closed, not only ignored: its light goes out, it needs no power and no bus, and
 * another program can have it. Switching it on again costs about what a start costs.
 */
function runCamera(live: LiveCamera, running: Running): Promise<void> {
  const { config: camera, pipeline } = live
  const { options, settings, ending, log } = running
  const loop = (options.progress ?? noProgress).loop(`camera ${camera.id}`)
  let idling: NodeJS.Timeout | undefined
  let isAtWork = false
  return whileOn(
    {
      isOn: () => settings.camera(camera.id).isEnabled,
      onMove: settings.onChange,
      onOff: () => {
        log.info({ camera: camera.id }, 'the camera is disabled, until a command enables it')
        pipeline.disable()
        // Nothing is expected of it but that it could be switched on.
        idling = setInterval(() => {
          if (!isAtWork) loop.enter('switched off', Infinity)
        }, idleStepMs)
      },
      onOn: () => {
        clearInterval(idling)
        pipeline.enable()
      },
      work: (signal, hasRun) => {
        isAtWork = true
        return superviseOne(live, running, { signal, hasRun, loop }).finally(() => {
          isAtWork = false
        })
      },
    },
    ending.signal,
  ).finally(() => {
    clearInterval(idling)
    loop.end()
  })
}

function superviseOne(
  live: LiveCamera,
  { options, metrics, clock, ending, log }: Running,
  { signal, hasRun, loop: watched }: { readonly signal: AbortSignal; readonly hasRun: boolean; readonly loop: Loop },
): Promise<void> {
  const { config, publisher } = options
  const { config: camera, pipeline } = live
  const { fps, width, height, loop, holdMs } = camera
  let isSwitchedOn = hasRun
  let lastLoss: string | null = null
  const cameraOptions = {
    ...(fps ? { fps } : {}),
    ...(width ? { width } : {}),
    ...(height ? { height } : {}),
    ...(loop ? { loop } : {}),
    ...(holdMs ? { holdMs } : {}),
  }
  return superviseCamera(
    {
      loop: watched,
      frameMs: config.hungAfterMs * options.cameras.length + turnSlackMs,
      make: () => openCamera(sourceNow(camera), cameraOptions),
      hasWorked: hasRun,
      isPatient: config.waitForCameras,
      clock,
      stallMs: Math.max(config.policy.staleAfterMs, 2000),
      onOpen: (description, isRecovery) => {
        live.description = description
        lastLoss = null
        publisher.cameraStatus(camera.id, 'online')
        if (isSwitchedOn) {
          isSwitchedOn = false
          log.info({ camera: camera.id }, 'the camera is enabled again')
        } else if (isRecovery) {
          metrics.recoveries++
          log.info({ camera: camera.id }, 'the camera is back')
        } else options.onCamera(camera, description, pipeline.pixelPath)
      },
      onFrame: async (frame) => {
        await pipeline.take(frame)
        if (config.frames > 0 && metrics.frames >= config.frames) ending.abort()
      },
      onLost: (error) => {
        // Once for each reason: a camera may be away for months.
        log[error.message === lastLoss ? 'debug' : 'warn'](
          { camera: camera.id, code: error.code },
          `${error.message} (trying again)`,
        )
        lastLoss = error.message
        pipeline.lose()
      },
      onWarning: (error) => log.warn({ camera: camera.id }, error.message),
      onDropped: (frames) => {
        metrics.dropped += frames
      },
    },
    signal,
  )
}

function infoOf({ config, cameras, classifier }: RuntimeOptions): Record<string, unknown> {
  const { engine, target, threads, reason, rejected, cuda } = classifier.engine.describe()
  return {
    version,
    node: config.node,
    cameras: cameras.map(({ id }) => id),
    model: { id: classifier.modelId, sha256: classifier.sha256, version: classifier.version },
    engine,
    target,
    threads,
    reason,
    rejected,
    ...(cuda
      ? { gpu: { device: cuda.device, driver: cuda.driver, kernels: cuda.kernels, self_test: cuda.selfTest } }
      : {}),
    platform: `${process.platform}-${process.arch}`,
    runtime: `node ${process.version}`,
  }
}

/** Tells how the node is, for as long as it runs. */
function startHealth(
  options: RuntimeOptions & { readonly board: BoardReader; readonly cudaRestart: CudaRestart | undefined },
  pipelines: readonly Pipeline[],
  metrics: Metrics,
  clock: Clock,
): { stop(): void } {
  const { publisher, classifier, board, cudaRestart } = options
  let last = { ms: metrics.startedMs, frames: 0 }
  let isStopped = false
  let { reason: told } = classifier.engine.describe()
  const say = async (): Promise<void> => {
    const boardHealth = await board.read()
    if (isStopped) return
    const now = { ms: clock.now(), frames: metrics.frames }
    publisher.health({
      ...healthOf(metrics, last, now),
      camera: cameraHealth(metrics, pipelines, now.ms),
      ...gpuHealth(classifier.engine.describe(), cudaRestart),
      ...boardHealth,
    })
    // The retained info says who computes, and that changes when a GPU is lost.
    const { reason } = classifier.engine.describe()
    if (reason !== told) publisher.info(infoOf(options))
    told = reason
    last = now
  }
  let timer = setTimeout(() => {
    void say()
    timer = setInterval(() => void say(), healthEveryMs)
  }, firstHealthMs)
  return {
    stop() {
      isStopped = true
      clearInterval(timer)
    },
  }
}

interface Moment {
  readonly ms: number
  readonly frames: number
}

/** Counters since the start; frames a second since the last time. */
function healthOf(metrics: Metrics, last: Moment, now: Moment): Parameters<Publisher['health']>[0] {
  const { p50, p95, p99 } = metrics.infer.percentiles()
  return {
    uptime_s: Math.round((now.ms - metrics.startedMs) / 1000),
    fps: tenth(((now.frames - last.frames) * 1000) / Math.max(now.ms - last.ms, 1)),
    dropped: metrics.dropped,
    invalid: metrics.invalid,
    infer_ms: { p50: tenth(p50), p95: tenth(p95), p99: tenth(p99) },
    rss_mb: Math.round(residentBytes() / 1e6),
  }
}

/** Of all cameras together; the age is that of the camera that has been silent longest, and left out before its first frame. */
function cameraHealth({ recoveries }: Metrics, pipelines: readonly Pipeline[], nowMs: number): Record<string, number> {
  const ages = pipelines.flatMap(({ lastFrameMs }) => (lastFrameMs === null ? [] : [nowMs - lastFrameMs]))
  return { restarts: recoveries, ...(ages.length === 0 ? {} : { last_frame_age_ms: Math.round(Math.max(...ages)) }) }
}

/** What the GPU did, where the engine runs on one. */
function gpuHealth(
  { cuda }: ReturnType<Classifier['engine']['describe']>,
  cudaRestart: CudaRestart | undefined,
): Record<string, unknown> {
  if (!cuda) return {}
  const { state, faults, retries, framesOnCpu, lastFault, restartWanted } = cuda
  return {
    gpu: {
      state,
      faults,
      retries,
      frames_on_cpu: framesOnCpu,
      restart_wanted: restartWanted,
      ...cudaRestart?.describe(),
      ...(lastFault === null ? {} : { last_fault: lastFault }),
    },
  }
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10
}
