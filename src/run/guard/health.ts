/**
 * The node's health message: counters, camera, GPU and board. Published at the start, on each connection and once a
 * minute.
 */
import type { BoardReader } from '../../board.js'
import type { Classifier } from '../../classifier.js'
import type { Clock } from '../../clock.js'
import { residentBytes, type Metrics } from '../../metrics.js'
import type { Publisher } from '../../publish/publisher.js'
import type { AnyZone } from '../../zone/missing.js'
import type { CudaRestart } from './cuda-restart.js'

export interface HealthOptions {
  readonly publisher: Pick<Publisher, 'health' | 'info' | 'onRepeat'>
  readonly classifier: Pick<Classifier, 'engine'>
  readonly board: BoardReader
  readonly metrics: Metrics
  readonly clock: Clock
  readonly cudaRestart: CudaRestart | undefined
  /** The age of each camera's newest frame is part of health. */
  readonly cameras: readonly { readonly lastFrameMs: number | null }[]
  /** Their looks by reason, and those that did not happen, are part of health. */
  readonly zones?: readonly Pick<AnyZone, 'key' | 'looks' | 'skipped' | 'definition'>[] | undefined
  /** The node's info, said again when another engine takes over. */
  readonly info: () => Readonly<Record<string, unknown>>
}

/** The first message comes early, so that no entity of Home Assistant stays unknown for long. */
const firstHealthMs = 1000
const healthEveryMs = 60_000
/** A rate over a shorter time would be noise. */
const leastRateMs = 1000

export interface Health {
  /** Publishes at once when another engine has taken over, such as the CPU for a lost GPU. Call it about once a second. */
  tick(): void
  stop(): void
}

/** Publishes health until `stop` is called. */
export function startHealth(options: HealthOptions): Health {
  const { publisher, classifier, board, metrics, clock, cudaRestart, cameras, zones = [], info } = options
  let last: Moment = { ms: metrics.startedMs, frames: 0 }
  let fps = 0
  let isStopped = false
  let { reason: told } = classifier.engine.describe()
  const say = async (): Promise<void> => {
    const { reason } = classifier.engine.describe()
    const isOtherEngine = reason !== told
    told = reason
    const boardReadings = await board.read()
    if (isStopped) return
    const now = { ms: clock.now(), frames: metrics.frames }
    if (now.ms - last.ms >= leastRateMs) {
      fps = ((now.frames - last.frames) * 1000) / (now.ms - last.ms)
      last = now
    }
    publisher.health({
      ...countersOf(metrics, fps, now.ms),
      camera: cameraHealth(metrics, cameras, now.ms),
      ...zonesHealth(zones),
      ...gpuHealth(classifier.engine.describe(), cudaRestart),
      ...boardReadings,
    })
    // The retained info says which engine computes, and that changes when a GPU is lost.
    if (isOtherEngine) publisher.info(info())
  }
  let timer = setTimeout(() => {
    void say()
    timer = setInterval(() => void say(), healthEveryMs)
  }, firstHealthMs)
  // What the broker gets on a connection was measured before it, and says that there is none.
  publisher.onRepeat(() => {
    if (!isStopped) void say()
  })
  return {
    tick() {
      if (classifier.engine.describe().reason !== told) void say()
    },
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

/** Counters since the start, and the rate of frames since the last message. */
function countersOf(metrics: Metrics, fps: number, nowMs: number): Parameters<Publisher['health']>[0] {
  const { p50, p95, p99 } = metrics.infer.percentiles()
  return {
    uptime_s: Math.round((nowMs - metrics.startedMs) / 1000),
    fps: tenth(fps),
    dropped: metrics.dropped,
    invalid: metrics.invalid,
    infer_ms: { p50: tenth(p50), p95: tenth(p95), p99: tenth(p99) },
    rss_mb: Math.round(residentBytes() / 1e6),
  }
}

/** Of all cameras: the age is that of the camera that has been silent longest, absent before the first frame. */
function cameraHealth(
  { recoveries }: Metrics,
  cameras: HealthOptions['cameras'],
  nowMs: number,
): Record<string, number> {
  const ages = cameras.flatMap(({ lastFrameMs }) => (lastFrameMs === null ? [] : [nowMs - lastFrameMs]))
  return { restarts: recoveries, ...(ages.length === 0 ? {} : { last_frame_age_ms: Math.round(Math.max(...ages)) }) }
}

/** Empty without configured zones. */
function zonesHealth(zones: NonNullable<HealthOptions['zones']>): Record<string, unknown> {
  const configured = zones.filter(({ definition }) => definition.zone !== null)
  if (configured.length === 0) return {}
  const own = configured.map(({ key, looks, skipped }) => [key, { looks: Object.fromEntries(looks), skipped }])
  return { zones: Object.fromEntries(own) }
}

/** Empty where the engine does not run on a GPU. */
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
