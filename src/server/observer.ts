/**
 * The state that the page shows besides pictures: the current state, samples of the last hour and each camera's label
 * changes. The state is computed only when it is read. One sample is kept every five seconds, so that a person who opens
 * the page after a fault still sees it.
 */
import type { Decision } from '../decision/decision.js'
import { residentBytes, stageNames, type Metrics } from '../metrics.js'
import type { Publisher } from '../publish/publisher.js'
import type { CameraState, LabelChange, LiveState, Region, Sample, StageLatency } from './messages.js'
import { createFrameRates } from './rates.js'
import { wallTimeOf } from './zones.js'

/** A camera as the page reads it. Every field is live. */
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
  readonly needsTeaching: string | null
  readonly isEnabled: boolean
  readonly roi: Region | null
  readonly view: CameraState['view']
  readonly hasOwn: boolean
  readonly hasHeat: boolean
  readonly zones: CameraState['zones']
}

/** Temperature and supply of the board. */
export type Soc = LiveState['soc']

export interface ObserverOptions {
  readonly node: string
  readonly cameras: readonly ObservedCamera[]
  readonly metrics: Metrics
  readonly publisher: Pick<Publisher, 'stats'>
  /** The board's last readings. */
  readonly soc: () => Soc
}

export interface Observer {
  state(): LiveState
  /** Label changes of a zone by its key, oldest first. */
  history(zone: string): readonly LabelChange[]
  samples(): readonly Sample[]
  /** Records that a label settled, or that it became unknown. */
  settled(zone: string, decision: Decision): void
  /** Forgets the changes of zones other than these. */
  keep(zones: readonly string[]): void
  close(): void
}

const sampleMs = 5000
/** One hour. */
const samplesKept = 720
const changesKept = 500

/** Starts its timers at once; `close` stops them. */
export function createObserver({ node, cameras, metrics, publisher, soc }: ObserverOptions): Observer {
  const histories = new Map<string, LabelChange[]>()
  const samples: Sample[] = []
  const rates = createFrameRates(cameras)

  function takeSample(): void {
    const { dropped } = metrics
    const { queued } = publisher.stats()
    const { temperatureC } = soc()
    samples.push({ atMs: Date.now(), fps: rates.total(), dropped, queued, temperatureC, stages: stagesOf(metrics) })
    if (samples.length > samplesKept) samples.shift()
  }

  rates.count()
  const counting = setInterval(() => rates.count(), 1000)
  const sampling = setInterval(takeSample, sampleMs)

  return {
    state: () => ({
      type: 'state',
      v: 1,
      node,
      atMs: Date.now(),
      uptimeS: Math.round((performance.now() - metrics.startedMs) / 1000),
      cameras: cameras.map((camera, i) => cameraStateOf(camera, rates.of(i))),
      fps: rates.total(),
      dropped: metrics.dropped,
      invalid: metrics.invalid,
      recoveries: metrics.recoveries,
      stages: stagesOf(metrics),
      rssMb: Math.round(residentBytes() / 1e6),
      mqtt: mqttStateOf(publisher),
      soc: soc(),
    }),
    history: (zone) => histories.get(zone) ?? [],
    samples: () => samples,
    settled(zone, { label, score, reason }) {
      const changes = histories.get(zone) ?? []
      histories.set(zone, changes)
      changes.push({ atMs: Date.now(), label, score, reason: reason ?? null })
      if (changes.length > changesKept) changes.shift()
    },
    keep(zones) {
      for (const key of histories.keys()) if (!zones.includes(key)) histories.delete(key)
    },
    close() {
      clearInterval(counting)
      clearInterval(sampling)
    },
  }
}

function cameraStateOf(camera: ObservedCamera, fps: number): CameraState {
  const { id, decision, description, frames, threshold, needsTeaching } = camera
  const { isEnabled, roi, view, hasOwn, hasHeat, zones } = camera
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
    sinceMs: wallTimeOf(sinceMs),
    top: [...top],
    frames,
    fps,
    threshold,
    needsTeaching,
    isEnabled,
    roi,
    hasOwn,
    hasHeat,
    zones,
    view,
  }
}

function mqttStateOf(publisher: Pick<Publisher, 'stats'>): LiveState['mqtt'] {
  const { connected, url, queued, dropped, reconnects, lastError } = publisher.stats()
  return { url, isConnected: connected, queued, lost: dropped, reconnects, lastError: lastError ?? null }
}

function stagesOf(metrics: Metrics): StageLatency[] {
  return stageNames.map((stage) => {
    const { p50, p95, p99 } = metrics[stage].percentiles()
    return { stage, p50: hundredth(p50), p95: hundredth(p95), p99: hundredth(p99) }
  })
}

const hundredth = (value: number): number => Math.round(value * 100) / 100
