/**
 * What the page shows besides pictures: the state of the moment, and what it was in the last hour. Reading costs
 * nothing while nobody looks; one sample every five seconds is kept, so that whoever comes after the fault sees it.
 */
import type { Decision } from '../decision/decision.js'
import { residentBytes, stageNames, type Metrics } from '../metrics.js'
import type { Publisher } from '../publish/publisher.js'
import type { CameraState, LabelChange, LiveState, Region, Sample, StageLatency } from './messages.js'

/** A camera as the page reads it. */
export interface ObservedCamera {
  readonly id: string
  readonly frames: number
  readonly decision: Decision
  readonly description: {
    readonly name: string
    readonly width: number
    readonly height: number
    readonly format: string
  } | null
  readonly threshold: number
  readonly isEnabled: boolean
  readonly roi: Region | null
  readonly view: CameraState['view']
}

export type Soc = LiveState['soc']

export interface ObserverOptions {
  readonly node: string
  readonly cameras: readonly ObservedCamera[]
  readonly metrics: Metrics
  readonly publisher: Pick<Publisher, 'stats'>
  /** What the board said last. */
  readonly soc: () => Soc
}

export interface Observer {
  state(): LiveState
  /** Label changes of a camera, oldest first. */
  history(camera: string): readonly LabelChange[]
  samples(): readonly Sample[]
  /** A label settled, or was given up. */
  settled(camera: string, decision: Decision): void
  close(): void
}

const sampleMs = 5000
const samplesKept = 720
const changesKept = 500
/** The rate is that of the last few seconds, not of the whole run. */
const rateSeconds = 5

export function createObserver({ node, cameras, metrics, publisher, soc }: ObserverOptions): Observer {
  const histories = new Map<string, LabelChange[]>(cameras.map(({ id }) => [id, []]))
  const samples: Sample[] = []
  const counts: { atMs: number; frames: readonly number[] }[] = []
  // Monotonic times of decisions, told as wall time.
  const wallOf = (monotonicMs: number): number => Math.round(Date.now() - (performance.now() - monotonicMs))

  function count(): void {
    counts.push({ atMs: performance.now(), frames: cameras.map(({ frames }) => frames) })
    if (counts.length > rateSeconds + 1) counts.shift()
  }

  function rateOf(i: number): number {
    const [first] = counts
    const seconds = first ? (performance.now() - first.atMs) / 1000 : 0
    return seconds < 0.5 ? 0 : tenth((cameras[i]!.frames - first!.frames[i]!) / seconds)
  }

  const fps = (): number => tenth(cameras.reduce((sum, _, i) => sum + rateOf(i), 0))
  const stages = (): StageLatency[] =>
    stageNames.map((stage) => ({ stage, ...mapValues(metrics[stage].percentiles(), hundredth) }))

  function sample(): void {
    samples.push({
      atMs: Date.now(),
      fps: fps(),
      dropped: metrics.dropped,
      queued: publisher.stats().queued,
      temperatureC: soc().temperatureC,
      stages: stages(),
    })
    if (samples.length > samplesKept) samples.shift()
  }

  count()
  const counting = setInterval(count, 1000)
  const sampling = setInterval(sample, sampleMs)

  function cameraState(camera: ObservedCamera, i: number): CameraState {
    const { id, decision, description, frames, threshold, isEnabled, roi, view } = camera
    const { label, score, reason, sinceMs, top } = decision
    const { name = null, width = null, height = null, format = null } = description ?? {}
    return {
      id,
      name,
      width,
      height,
      format,
      label,
      reason: reason ?? null,
      score,
      sinceMs: wallOf(sinceMs),
      top: [...top],
      frames,
      fps: rateOf(i),
      threshold,
      isEnabled,
      roi,
      view,
    }
  }

  return {
    state() {
      const { connected, url, queued, dropped, reconnects, lastError } = publisher.stats()
      return {
        type: 'state',
        v: 1,
        node,
        atMs: Date.now(),
        uptimeS: Math.round((performance.now() - metrics.startedMs) / 1000),
        cameras: cameras.map(cameraState),
        fps: fps(),
        dropped: metrics.dropped,
        invalid: metrics.invalid,
        recoveries: metrics.recoveries,
        stages: stages(),
        rssMb: Math.round(residentBytes() / 1e6),
        mqtt: { url, isConnected: connected, queued, lost: dropped, reconnects, lastError: lastError ?? null },
        soc: soc(),
      }
    },
    history: (camera) => histories.get(camera) ?? [],
    samples: () => samples,
    settled(camera, { label, score, reason }) {
      const changes = histories.get(camera)
      if (!changes) return
      changes.push({ atMs: Date.now(), label, score, reason: reason ?? null })
      if (changes.length > changesKept) changes.shift()
    },
    close() {
      clearInterval(counting)
      clearInterval(sampling)
    },
  }
}

const tenth = (value: number): number => Math.round(value * 10) / 10
const hundredth = (value: number): number => Math.round(value * 100) / 100

function mapValues<K extends string>(
  values: Readonly<Record<K, number>>,
  change: (value: number) => number,
): Record<K, number> {
  return Object.fromEntries(Object.entries<number>(values).map(([key, value]) => [key, change(value)])) as Record<
    K,
    number
  >
}
