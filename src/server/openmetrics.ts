/**
 * What a run counts, for Prometheus: OpenMetrics text by prom-client, which is loaded when somebody first asks. Every
 * value is read at that moment; frames pay nothing for it.
 */
import type { Metrics } from '../metrics.js'
import { residentBytes, stageNames } from '../metrics.js'
import type { LiveState } from './messages.js'
import type { Binary } from './route.js'

export interface ExpositionOptions {
  readonly state: () => LiveState
  readonly metrics: Metrics
  readonly build: { readonly version: string; readonly model: string; readonly engine: string; readonly target: string }
}

type Labels = Readonly<Record<string, string>>
type Values = readonly (readonly [value: number, labels?: Labels])[]

interface Row {
  readonly name: string
  readonly kind: 'gauge' | 'counter'
  readonly help: string
  readonly labels?: readonly string[]
  readonly values: () => Values
}

/** Makes the answer of /metrics. */
export function createExposition(options: ExpositionOptions): () => Promise<Binary> {
  let registry: Promise<{ metrics(): Promise<string>; contentType: string }> | null = null
  return async () => {
    registry ??= createRegistry(rowsOf(options))
    const { contentType, metrics } = await registry.then((made) => ({
      contentType: made.contentType,
      metrics: () => made.metrics(),
    }))
    return { media: contentType, bytes: await metrics() }
  }
}

async function createRegistry(rows: readonly Row[]): Promise<{ metrics(): Promise<string>; contentType: string }> {
  const { Registry, Gauge, Counter } = await import('prom-client')
  const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const { name, kind, help, labels = [], values } of rows) {
    const common = { name, help, labelNames: labels, registers: [registry] }
    if (kind === 'gauge')
      new Gauge({
        ...common,
        collect() {
          this.reset()
          for (const [value, of = {}] of values()) this.set(of, value)
        },
      })
    // What was counted since the start, as a whole: prom-client would count increments itself.
    else
      new Counter({
        ...common,
        collect() {
          this.reset()
          for (const [value, of = {}] of values()) this.inc(of, value)
        },
      })
  }
  return registry as unknown as { metrics(): Promise<string>; contentType: string }
}

function rowsOf({ state, metrics, build }: ExpositionOptions): Row[] {
  const cameras = (of: (camera: LiveState['cameras'][number]) => number): Values =>
    state().cameras.map((camera) => [of(camera), { camera: camera.id }])
  const known = (value: number | boolean | null): Values => (value === null ? [] : [[Number(value)]])
  const isLost = (reason: string | null): boolean =>
    reason === 'camera_lost' || reason === 'camera_stale' || reason === 'camera_disabled' || reason === 'starting'
  return [
    {
      name: 'gapcam_build_info',
      kind: 'gauge',
      help: 'Always 1; what runs',
      labels: Object.keys(build),
      values: () => [[1, { ...build }]],
    },
    { name: 'gapcam_uptime_seconds', kind: 'gauge', help: 'Since the run began', values: () => [[state().uptimeS]] },
    {
      name: 'gapcam_frames',
      kind: 'counter',
      help: 'Frames that became a prediction',
      labels: ['camera'],
      values: () => cameras(({ frames }) => frames),
    },
    {
      name: 'gapcam_frames_per_second',
      kind: 'gauge',
      help: 'Of the last five seconds',
      labels: ['camera'],
      values: () => cameras(({ fps }) => fps),
    },
    {
      name: 'gapcam_frames_dropped',
      kind: 'counter',
      help: 'Frames that cameras delivered and nobody took',
      values: () => [[metrics.dropped]],
    },
    {
      name: 'gapcam_frames_invalid',
      kind: 'counter',
      help: 'Frames whose pixels or outputs were not usable',
      values: () => [[metrics.invalid]],
    },
    {
      name: 'gapcam_camera_recoveries',
      kind: 'counter',
      help: 'Times a camera came back',
      values: () => [[metrics.recoveries]],
    },
    {
      name: 'gapcam_camera_up',
      kind: 'gauge',
      help: '1 while a camera delivers frames',
      labels: ['camera'],
      values: () => cameras(({ reason }) => (isLost(reason) ? 0 : 1)),
    },
    {
      name: 'gapcam_label_score',
      kind: 'gauge',
      help: 'Smoothed score of the label, 0 to 1',
      labels: ['camera', 'label'],
      values: () => state().cameras.map(({ id, label, score }) => [score, { camera: id, label }]),
    },
    {
      name: 'gapcam_threshold',
      kind: 'gauge',
      help: 'Least score of a label',
      labels: ['camera'],
      values: () => cameras(({ threshold }) => threshold),
    },
    {
      name: 'gapcam_stage_seconds',
      kind: 'gauge',
      help: 'Time of a stage over the last 512 frames',
      labels: ['stage', 'quantile'],
      values: () =>
        stageNames.flatMap((stage) => {
          const { p50, p95, p99 } = metrics[stage].percentiles()
          return [
            ['0.5', p50],
            ['0.95', p95],
            ['0.99', p99],
          ].map(([quantile, ms]) => [Number(ms) / 1000, { stage, quantile: String(quantile) }] as const)
        }),
    },
    {
      name: 'gapcam_mqtt_connected',
      kind: 'gauge',
      help: '1 while the broker is there',
      values: () => (state().mqtt.url === null ? [] : [[Number(state().mqtt.isConnected)]]),
    },
    {
      name: 'gapcam_mqtt_queued_events',
      kind: 'gauge',
      help: 'Events that wait or are unacknowledged',
      values: () => [[state().mqtt.queued]],
    },
    {
      name: 'gapcam_mqtt_lost_events',
      kind: 'counter',
      help: 'Events lost because the outbox was full',
      values: () => [[state().mqtt.lost]],
    },
    {
      name: 'gapcam_mqtt_reconnects',
      kind: 'counter',
      help: 'Times the connection came back',
      values: () => [[state().mqtt.reconnects]],
    },
    {
      name: 'gapcam_soc_temperature_celsius',
      kind: 'gauge',
      help: 'The hottest of the processor’s sensors; absent where there is none',
      values: () => known(state().soc.temperatureC),
    },
    {
      name: 'gapcam_soc_throttled',
      kind: 'gauge',
      help: '1 while the clock is held down; absent where the board does not say',
      values: () => known(state().soc.isThrottled),
    },
    {
      name: 'gapcam_soc_undervoltage',
      kind: 'gauge',
      help: '1 while the supply is too weak; absent where the board does not say',
      values: () => known(state().soc.isUndervolted),
    },
    {
      name: 'process_resident_memory_bytes',
      kind: 'gauge',
      help: 'Resident memory',
      values: () => [[residentBytes()]],
    },
    {
      name: 'process_cpu_seconds',
      kind: 'counter',
      help: 'Processor time, user and system',
      values: () => [[(process.cpuUsage().user + process.cpuUsage().system) / 1e6]],
    },
  ]
}
