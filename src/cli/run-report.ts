/** What `gapcam run` prints: a banner and a summary on stderr, one line for each settled label on stdout. */
import { localTime } from '../clock.js'
import type { CameraDescription } from '../camera/camera.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Decision } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Node } from '../run/node.js'
import { zonesOf } from '../zone/definition.js'
import { writeJson } from './output.js'

/** Says once what runs, when the first camera delivers, and each further camera in one line. */
export class Banner {
  readonly #config: Config
  #isShown = false

  constructor(config: Config) {
    this.#config = config
  }

  show(node: Node, camera: CameraConfig, description: CameraDescription, pixelPath: string): void {
    const { name, width, height, format } = description
    const lines = [`camera   ${camera.id}: ${name}, ${width} x ${height} ${format}`]
    if (!this.#isShown) lines.push(...this.#nodeLines(node, camera, pixelPath))
    this.#isShown = true
    process.stderr.write(`${lines.join('\n')}\n`)
  }

  #nodeLines({ classifier, broker, publisher, pageUrl }: Node, camera: CameraConfig, pixelPath: string): string[] {
    const { engine, target, threads, reason, cuda } = classifier.engine.describe()
    const processor = engine === 'cuda' ? cuda?.device : `${threads} ${threads === 1 ? 'thread' : 'threads'}`
    const assumed = classifier.assumed.map((text) => `; assumed: ${text}`).join('')
    const root = `${this.#config.mqtt.base}/${this.#config.node}`
    const [first] = zonesOf(camera)
    const place = first?.key ?? camera.id
    const address = broker ? `${broker.host}:${broker.port}` : publisher.stats().url
    const listen = broker ? `-h ${broker.host} -p ${broker.port} -t '${root}/#'` : `-L '${String(address)}/${root}/#'`
    return [
      `model    ${classifier.modelId}, ${classifier.labels.length} labels${assumed}`,
      `engine   ${engine} ${target}, ${processor}: ${reason}`,
      ...(pixelPath === 'native' ? [] : [`pixels   ${pixelPath}`]),
      `broker   ${address ?? 'none'}${broker ? ' (embedded)' : ''}`,
      ...(pageUrl === null ? [] : [`page     ${pageUrl}`]),
      ...(address === null
        ? []
        : [
            `topics   ${root}/${place}/label, ${root}/${place}/state, ${root}/status`,
            `listen   mosquitto_sub ${listen} -v`,
          ]),
    ]
  }
}

/** One line on stdout for a label that was settled or withdrawn; nothing while none has settled yet. */
export function writeSettled(
  isJson: boolean,
  camera: string,
  decision: Decision,
  prediction: Prediction | null,
  engineReason: string,
): void {
  const { label, score, reason, prev, top } = decision
  if (reason === 'settling' || reason === 'starting') return
  const now = new Date()
  if (!isJson) {
    const why = reason ? ` (${reason.replace(/_/g, ' ')})` : ''
    process.stdout.write(`${localTime(now)}  ${camera.padEnd(8)} ${score.toFixed(3)}  ${label}${why}\n`)
    return
  }
  writeJson({
    ts: now.toISOString(),
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
}

/** What a run did, in one line on stderr. */
export function writeSummary({
  metrics,
  classifier,
  publisher,
}: Pick<Node, 'metrics' | 'classifier' | 'publisher'>): void {
  const { engine, target, reason, cuda } = classifier.engine.describe()
  const { p50 } = metrics.infer.percentiles()
  const { dropped, reconnects, outbox } = publisher.stats()
  const gpu = cuda && cuda.faults > 0 ? `, ${cuda.faults} faults of CUDA, ${cuda.framesOnCpu} frames on the CPU` : ''
  process.stderr.write(
    `${metrics.frames} frames classified by ${engine} ${target} (${reason}), median ${p50.toFixed(1)} ms; ` +
      `${metrics.dropped} dropped, ${metrics.invalid} unusable, ${metrics.recoveries} camera recoveries, ` +
      `${reconnects} reconnects, ${dropped + outbox.inMemory} events lost${gpu}\n`,
  )
}

const rounded = (value: number): number => Math.round(value * 10_000) / 10_000

function mapValues(values: object, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values as Record<string, number>).map(([key, value]) => [key, change(value)]),
  )
}
