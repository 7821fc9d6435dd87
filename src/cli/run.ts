/** `gapcam run [SOURCE]`: cameras to labels on MQTT. A banner on stderr, then a line a settled label on stdout. */
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { CameraDescription } from '../camera/camera.js'
import { findFirstCamera } from '../camera/find.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import { outboxOptions } from '../config/outbox.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { systemClock } from '../clock.js'
import { commandKinds, type Commands } from '../run/commands.js'
import { stateDirectory } from '../config/state-directory.js'
import { describeDevice } from '../run/device.js'
import { exitStatus, GapcamError } from '../errors.js'
import { createBoardReader } from '../board.js'
import { createLogger, type Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import type { Decision } from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import { announce, birthSubscription, createBirthListener } from '../publish/announcement.js'
import { startEmbeddedBroker, type EmbeddedBroker } from '../publish/broker.js'
import { watchClockSync } from '../publish/clock-sync.js'
import { openPublishedTopics } from '../publish/published.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import { createPublisher, type Publisher } from '../publish/publisher.js'
import { createRequests, requestSubscriptions, type Requests } from '../publish/requests.js'
import { createTopics } from '../publish/topics.js'
import { run } from '../run/runtime.js'
import { version } from '../version.js'
import { findServiceManager } from '../service/manager.js'
import type { Page } from '../server/page.js'
import { connectionOf } from './connection.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import { flightRecorders } from '../recording/recorders.js'
import { untilSignal, type Stop } from './signals.js'
import { watchOver } from '../run/liveness.js'

/** Home Assistant subscribes to a new device's events within a second of its discovery. */
const holdEventsMs = 1500

export function runCommand(program: Command): void {
  const command = program
    .command('run', { isDefault: false })
    .description('classify what cameras see and publish it')
    .argument('[source]', 'camera URI, picture, folder or video')
  addCameraFlags(addFlags(command)).action(async (source: string | undefined, values: FlagValues) => {
    const readConfig = (): Config => {
      const { config } = configFrom(values)
      return { ...config, cameras: [...camerasFrom(config.cameras, source, values)] }
    }
    const { warnings } = configFrom(values)
    await untilSignal((stop) => runAll({ config: readConfig(), readConfig, warnings }, stop))
  })
}

interface RunConfig {
  readonly config: Config
  /** Reads it again. */
  readonly readConfig: () => Config
  readonly warnings: readonly string[]
}

async function runAll(read: RunConfig, stop: Stop): Promise<void> {
  // Closed in the other order, whatever happens in between.
  const closers: (() => Promise<void>)[] = []
  try {
    await runStages(read, stop, closers)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

async function runStages(
  { config, readConfig, warnings }: RunConfig,
  stop: Stop,
  closers: (() => Promise<void>)[],
): Promise<void> {
  const log = createLogger(config.logLevel)
  const takeReloads = listenForReload(log, closers)
  for (const warning of warnings) log.warn(warning)
  const manager = findServiceManager(process.env, log)
  manager.status('opening the model')
  // Only runs that serve the page load what it needs, while the model opens.
  const serving = config.page.enabled ? import('../server/page.js') : null
  serving?.catch(() => undefined) // told where it is awaited
  const classifier = await openClassifier({
    ...modelOptions(config),
    heat: config.heat,
    onFault: (sentence) => log.warn(sentence),
  })
  closers.push(() => classifier.close())
  const board = createBoardReader({ stateDirectory: stateDirectory(config) })
  const cameras = await camerasOf(config, stop.signal)
  const broker =
    config.mqtt.broker === 'embedded'
      ? await startEmbeddedBroker({ log, ...(config.mqtt.port === undefined ? {} : { port: config.mqtt.port }) })
      : null
  if (broker) closers.push(() => broker.close())
  const topics = createTopics(config.mqtt.base, config.node)
  const ids = cameras.map(({ id }) => id)
  let requests: Requests | null = null
  const prefix = config.homeassistant ? config.homeassistantPrefix : null
  const published = openPublishedTopics(stateDirectory(config), log)
  closers.push(() => published.close())
  const { facts, model } = await describeDevice({
    node: config.node,
    cameras: ids,
    version,
    classifier,
    board,
    ...pageUrlOf(config),
  })
  const first = await announce({ facts, model, topics, prefix, retainsImages: config.mqtt.retainImages, published })
  const birth = prefix === null ? null : createBirthListener(prefix, () => publisher.repeat())
  if (birth) closers.push(async () => birth.close())
  const clockSync = config.mqtt.broker === 'none' ? null : watchClockSync()
  closers.push(async () => clockSync?.close())
  const isClockSynced = (): boolean => clockSync?.isSynced() ?? false
  const outbox =
    config.mqtt.broker === 'none'
      ? null
      : await openDurableOutbox({ ...outboxOptions(config), log, clock: systemClock, isClockSynced })
  const publisher = createPublisher({
    ...(outbox ? { outbox } : {}),
    durableResults: config.outbox.results,
    isClockSynced,
    first,
    ...(prefix === null ? {} : { holdEventsMs }),
    subscriptions: [...requestSubscriptions(topics, ids), ...(prefix === null ? [] : [birthSubscription(prefix)])],
    onMessage: (message) => {
      requests?.handle(message)
      birth?.handle(message)
    },
    broker: broker ? { url: broker.url, protocol: '3.1.1' } : connectionOf(config),
    node: config.node,
    cameras: ids,
    baseTopic: config.mqtt.base,
    stateEveryMs: config.mqtt.stateEveryMs,
    ...(config.mqtt.resultEveryMs >= 0 ? { resultEveryMs: config.mqtt.resultEveryMs } : {}),
    log,
  })
  closers.push(() => publisher.close())
  await publisher.start()
  const isJson = wantsJson(config.json)
  let page: Page | null = null
  const banner = new Banner(config, classifier, broker, publisher, () => page?.url ?? null)
  const metrics = createMetrics(performance.now())
  const watch = watchOver({ config, metrics, manager, log }, stop.signal)
  closers.push(async () => watch.close())
  const recorders = await flightRecorders(config, cameras, classifier, log)
  closers.push(async () => {
    for (const recorder of recorders.values()) await recorder.close()
  })
  await run(
    {
      recorders,
      config,
      cameras,
      classifier,
      publisher,
      log,
      metrics,
      progress: watch.progress,
      board,
      stateFolder: stateDirectory(config),
      readConfig,
      onRestart: () => {
        process.exitCode = exitStatus.restart
      },
      isSupervised: manager.isThere,
      onReady: ({ commands }) => {
        requests = createRequests({
          topics,
          cameras: ids,
          kinds: commandKinds,
          execute: (command) => commands.execute(command, 'mqtt'),
          send: publisher.sendNow,
          log,
          clock: systemClock,
        })
        takeReloads(commands)
      },
      ...(serving
        ? {
            attach: async (live) => {
              try {
                page = await (await serving).startPage({ config, live, classifier, publisher, log })
              } catch (error) {
                // Whoever asked for an address wants to know; else labels go out whether somebody can look on or not.
                if (
                  !(error instanceof GapcamError) ||
                  config.page.port !== undefined ||
                  config.page.host !== '127.0.0.1' ||
                  config.page.tokenFile !== undefined
                )
                  throw error
                log.warn({ code: error.code }, `${error.message}; running without it`)
              }
              return page?.close ?? (() => Promise.resolve())
            },
          }
        : {}),
      onCamera: (camera, description, pixelPath) => banner.show(camera, description, pixelPath),
      onSettled: (camera, decision, prediction) => {
        page?.settled(camera, decision)
        if (!stop.isStdoutClosed())
          writeSettled(isJson, camera, decision, prediction, classifier.engine.describe().reason)
      },
    },
    stop.signal,
  )
  writeSummary(metrics, classifier, publisher)
}

/** Where others find the page: known before it is open only where its port is given, and nowhere while it is on loopback. */
function pageUrlOf({ page: { enabled, host, port } }: Config): { readonly pageUrl?: string } {
  if (!enabled || port === undefined || port === 0 || /^(127\.|::1$|localhost$)/.test(host)) return {}
  const name = /^(0\.0\.0\.0|::)$/.test(host) ? hostname() : host
  return { pageUrl: `http://${name.includes(':') ? `[${name}]` : name}:${port}` }
}

/**
 * SIGHUP reads the configuration again where a service manager sends it; on a terminal it still means that the terminal is
 * gone. One that comes while the run starts waits for what is given here, and does not end it.
 */
function listenForReload(log: Logger, closers: (() => Promise<void>)[]): (commands: Commands) => void {
  if (process.stdin.isTTY || process.stderr.isTTY) return () => undefined
  let take: (commands: Commands) => void = () => undefined
  const ready = new Promise<Commands>((resolve) => {
    take = resolve
  })
  const reload = async (): Promise<void> => {
    const result = await (await ready).execute({ kind: 'reload' }, 'signal')
    // Who asks by signal gets no answer but the log.
    if (result.status === 'error')
      log.error({ code: 'CONFIG_INVALID' }, `the configuration is not read again, and stays as it was: ${result.error}`)
  }
  process.on('SIGHUP', reload)
  closers.push(async () => void process.off('SIGHUP', reload))
  return take
}

/** The configured cameras; else the first that works; else the photographs that come with gapcam. */
export async function camerasOf(config: Config, signal: AbortSignal): Promise<readonly CameraConfig[]> {
  if (config.cameras.every(({ source }) => source !== '')) return config.cameras
  const [given] = config.cameras
  const found = await findFirstCamera(signal)
  if ('uri' in found) return [{ ...given!, source: found.uri }]
  const folder = fileURLToPath(new URL('../../models/photos', import.meta.url))
  if (!existsSync(folder))
    throw new GapcamError('CAMERA_NOT_FOUND', `there is no camera that works: ${found.reasons.join('; ')}`)
  for (const reason of found.reasons) process.stderr.write(`no camera: ${reason}\n`)
  // Each photograph stays for three seconds, so that its label settles.
  return [{ holdMs: 3000, loop: true, ...given!, source: folder }]
}

/** Says once what runs, when the first camera has opened, and each further camera in a line. */
class Banner {
  readonly #config: Config
  readonly #classifier: Classifier
  readonly #broker: EmbeddedBroker | null
  readonly #publisher: Publisher
  readonly #pageUrl: () => string | null
  #isShown = false

  constructor(
    config: Config,
    classifier: Classifier,
    broker: EmbeddedBroker | null,
    publisher: Publisher,
    pageUrl: () => string | null,
  ) {
    this.#pageUrl = pageUrl
    this.#config = config
    this.#classifier = classifier
    this.#broker = broker
    this.#publisher = publisher
  }

  show(camera: CameraConfig, description: CameraDescription, pixelPath: string): void {
    const { name, width, height, format } = description
    const lines = [`camera   ${camera.id}: ${name}, ${width} x ${height} ${format}`]
    if (!this.#isShown) lines.push(...this.#lines(camera, pixelPath))
    this.#isShown = true
    process.stderr.write(`${lines.join('\n')}\n`)
  }

  #lines(camera: CameraConfig, pixelPath: string): string[] {
    const { engine, target, threads, reason, cuda } = this.#classifier.engine.describe()
    const { mqtt, node } = this.#config
    const root = `${mqtt.base}/${node}`
    const address = this.#broker ? `${this.#broker.host}:${this.#broker.port}` : this.#publisher.stats().url
    const [host, port] = (this.#broker ? address! : '').split(':')
    return [
      `model    ${this.#classifier.modelId}, ${this.#classifier.labels.length} labels${this.#classifier.assumed.map((text) => `; assumed: ${text}`).join('')}`,
      `engine   ${engine} ${target}, ${engine === 'cuda' ? cuda?.device : `${threads} ${threads === 1 ? 'thread' : 'threads'}`}: ${reason}`,
      ...(pixelPath === 'native' ? [] : [`pixels   ${pixelPath}`]),
      `broker   ${address ?? 'none'}${this.#broker ? ' (embedded)' : ''}`,
      ...(this.#pageUrl() === null ? [] : [`page     ${this.#pageUrl()}`]),
      ...(address === null
        ? []
        : [
            `topics   ${root}/${camera.id}/label, ${root}/${camera.id}/state, ${root}/status`,
            `listen   mosquitto_sub ${this.#broker ? `-h ${host} -p ${port} -t '${root}/#'` : `-L '${address}/${root}/#'`} -v`,
          ]),
    ]
  }
}

function writeSettled(
  isJson: boolean,
  camera: string,
  decision: Decision,
  prediction: Prediction | null,
  engineReason: string,
): void {
  const { label, score, reason, prev, top } = decision
  if (reason === 'settling' || reason === 'starting') return // nothing has settled yet
  const ts = new Date().toISOString()
  if (isJson) {
    writeJson({
      ts,
      camera,
      label,
      score: rounded(score),
      prev,
      ...(reason ? { reason } : {}),
      top: top.map((entry) => ({ ...entry, score: rounded(entry.score) })),
      ...(prediction
        ? {
            engine: prediction.engine,
            target: prediction.target,
            engineReason,
            ms: mapValues(prediction.timings, (ms) => Math.round(ms * 1000) / 1000),
          }
        : {}),
    })
  } else
    process.stdout.write(
      `${ts.slice(11, 19)}  ${camera.padEnd(8)} ${score.toFixed(3)}  ${label}${reason ? ` (${reason.replace(/_/g, ' ')})` : ''}\n`,
    )
}

const rounded = (value: number): number => Math.round(value * 10_000) / 10_000

function mapValues(values: object, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values as Record<string, number>).map(([key, value]) => [key, change(value)]),
  )
}

function writeSummary(metrics: Metrics, classifier: Classifier, publisher: Publisher): void {
  const { engine, target, reason, cuda } = classifier.engine.describe()
  const { p50 } = metrics.infer.percentiles()
  const { dropped, reconnects } = publisher.stats()
  process.stderr.write(
    `${metrics.frames} frames classified by ${engine} ${target} (${reason}), median ${p50.toFixed(1)} ms; ${metrics.dropped} dropped, ` +
      `${metrics.invalid} unusable, ${metrics.recoveries} camera recoveries, ${reconnects} reconnects, ${dropped} events lost${cuda && cuda.faults > 0 ? `, ${cuda.faults} faults of CUDA, ${cuda.framesOnCpu} frames on the CPU` : ''}\n`,
  )
}
