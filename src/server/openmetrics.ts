/**
 * The metrics of a node for Prometheus, as OpenMetrics text. prom-client writes it and is loaded at the first request.
 * Every value is read when it is asked for: frames pay nothing for it.
 */
import { isWithoutCamera } from '../decision/decision.js'
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

/** One metric. A counter's name gets the suffix `_total`. */
interface Row {
  readonly name: string
  readonly kind: 'gauge' | 'counter'
  readonly help: string
  readonly labels?: readonly string[]
  readonly values: () => Values
}

interface Exposition {
  readonly contentType: string
  metrics(): Promise<string>
}

/** Makes the answer of /metrics. */
export function createExposition(options: ExpositionOptions): () => Promise<Binary> {
  let registry: Promise<Exposition> | null = null
  return async () => {
    registry ??= createRegistry(rowsOf(options))
    const exposition = await registry
    return { media: exposition.contentType, bytes: await exposition.metrics() }
  }
}

async function createRegistry(rows: readonly Row[]): Promise<Exposition> {
  // The default export is the same in a bundle, which does not give a CommonJS package's names one by one.
  const { Registry, Gauge, Counter } = (await import('prom-client')).default
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
    // The value is the count since the start; prom-client expects increments, so it starts from zero each time.
    else
      new Counter({
        ...common,
        collect() {
          this.reset()
          for (const [value, of = {}] of values()) this.inc(of, value)
        },
      })
  }
  return registry as unknown as Exposition
}

function rowsOf({ state, metrics, build }: ExpositionOptions): Row[] {
  return [
    {
      name: 'gapcam_build_info',
      kind: 'gauge',
      help: 'Always 1; the labels say what runs',
      labels: Object.keys(build),
      values: () => [[1, { ...build }]],
    },
    ...cameraRows(state),
    ...zoneRows(state),
    ...frameRows(metrics),
    ...mqttRows(state),
    ...boardRows(state),
    ...processRows(state),
  ]
}

type ReadState = ExpositionOptions['state']

function cameraRows(state: ReadState): Row[] {
  const byCamera = (of: (camera: LiveState['cameras'][number]) => number): Values =>
    state().cameras.map((camera) => [of(camera), { camera: camera.id }])
  return [
    {
      name: 'gapcam_frames',
      kind: 'counter',
      help: 'Frames that became a prediction',
      labels: ['camera'],
      values: () => byCamera(({ frames }) => frames),
    },
    {
      name: 'gapcam_frames_per_second',
      kind: 'gauge',
      help: 'Predictions a second over the last five seconds',
      labels: ['camera'],
      values: () => byCamera(({ fps }) => fps),
    },
    {
      name: 'gapcam_camera_up',
      kind: 'gauge',
      help: '1 while a camera delivers frames',
      labels: ['camera'],
      values: () => byCamera(({ reason }) => (hasNoFrames(reason) ? 0 : 1)),
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
      help: 'Lowest score that a label needs',
      labels: ['camera'],
      values: () => byCamera(({ threshold }) => threshold),
    },
  ]
}

function zoneRows(state: ReadState): Row[] {
  const zones = (): LiveState['cameras'][number]['zones'] => state().cameras.flatMap((camera) => camera.zones)
  return [
    {
      name: 'gapcam_trigger',
      kind: 'counter',
      help: 'Inferences of a zone by the reason why it looked',
      labels: ['zone', 'reason'],
      values: () =>
        zones().flatMap(({ key, looks }) =>
          Object.entries(looks).map(([reason, count]): Values[number] => [count, { zone: key, reason }]),
        ),
    },
    {
      name: 'gapcam_zone_skipped',
      kind: 'counter',
      help: 'Looks of a zone that did not happen, since its turn on the engine came too late',
      labels: ['zone'],
      values: () => zones().map(({ key, skipped }) => [skipped, { zone: key }]),
    },
    {
      name: 'gapcam_zone_score',
      kind: 'gauge',
      help: "Smoothed score of a zone's label, 0 to 1",
      labels: ['zone', 'label'],
      values: () => zones().map(({ key, label, score }) => [score, { zone: key, label }]),
    },
  ]
}

function hasNoFrames(reason: string | null): boolean {
  return reason === 'starting' || isWithoutCamera({ reason })
}

function frameRows(metrics: Metrics): Row[] {
  return [
    {
      name: 'gapcam_frames_dropped',
      kind: 'counter',
      help: 'Frames that cameras delivered and that a newer frame replaced before its turn',
      values: () => [[metrics.dropped]],
    },
    {
      name: 'gapcam_frames_invalid',
      kind: 'counter',
      help: 'Frames whose pixels or outputs were unusable',
      values: () => [[metrics.invalid]],
    },
    {
      name: 'gapcam_camera_recoveries',
      kind: 'counter',
      help: 'Times that a lost camera came back',
      values: () => [[metrics.recoveries]],
    },
    {
      name: 'gapcam_stage_seconds',
      kind: 'gauge',
      help: 'Time of a stage over the last 512 frames',
      labels: ['stage', 'quantile'],
      values: () =>
        stageNames.flatMap((stage) => {
          const { p50, p95, p99 } = metrics[stage].percentiles()
          return Object.entries({ '0.5': p50, '0.95': p95, '0.99': p99 }).map(
            ([quantile, ms]) => [ms / 1000, { stage, quantile }] as const,
          )
        }),
    },
  ]
}

function mqttRows(state: ReadState): Row[] {
  return [
    {
      name: 'gapcam_mqtt_connected',
      kind: 'gauge',
      help: '1 while the broker is connected; absent without a broker',
      values: () => (state().mqtt.url === null ? [] : [[Number(state().mqtt.isConnected)]]),
    },
    {
      name: 'gapcam_mqtt_queued_events',
      kind: 'gauge',
      help: 'Events that wait for the broker or for its acknowledgement',
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
      help: 'Times that the connection to the broker came back',
      values: () => [[state().mqtt.reconnects]],
    },
  ]
}

/** Absent values: the board does not report them. */
function boardRows(state: ReadState): Row[] {
  const known = (value: number | boolean | null): Values => (value === null ? [] : [[Number(value)]])
  return [
    {
      name: 'gapcam_soc_temperature_celsius',
      kind: 'gauge',
      help: 'The hottest sensor of the processor; absent without a sensor',
      values: () => known(state().soc.temperatureC),
    },
    {
      name: 'gapcam_soc_throttled',
      kind: 'gauge',
      help: '1 while the board limits its clock; absent where the board does not report it',
      values: () => known(state().soc.isThrottled),
    },
    {
      name: 'gapcam_soc_undervoltage',
      kind: 'gauge',
      help: '1 while the supply voltage is too low; absent where the board does not report it',
      values: () => known(state().soc.isUndervolted),
    },
  ]
}

function processRows(state: ReadState): Row[] {
  const processorSeconds = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
  return [
    {
      name: 'gapcam_uptime_seconds',
      kind: 'gauge',
      help: 'Time since the start',
      values: () => [[state().uptimeS]],
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
      values: () => [[processorSeconds()]],
    },
  ]
}
