/** Decisions, predictions and a recorded log, for the publisher's tests. */
import type { Decision } from '../../src/decision/decision.js'
import { createPredictor, type Prediction } from '../../src/decision/prediction.js'
import type { ConnectOptions } from '../../src/publish/mqtt.js'
import { createPublisher, type Publisher } from '../../src/publish/publisher.js'
import type { PublisherOptions } from '../../src/publish/publisher-options.js'

export function prediction(frameSeq = 1): Prediction {
  const predictor = createPredictor({
    labels: ['open', 'closed'],
    scoreActivation: 'none',
    modelId: 'dock-7',
    modelSha256: '9f2c',
  })
  const timings = { capture: 8.123, preprocess: 0.3, infer: 11.2, total: 34 }
  const outcome = predictor(Float32Array.of(0.97, 0.03), {
    engine: 'native',
    target: 'neon',
    frameSeq,
    wallTime: 1_767_608_553_412,
    timings,
  })
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.prediction
}

export function decision(label: string, sinceMs = 0, prev = 'unknown'): Decision {
  const index = ['open', 'closed'].indexOf(label)
  const base = { label, score: 0.97, prev, sinceMs, top: [{ index: 0, label: 'open', score: 0.97 }] }
  return index < 0 ? { ...base, index: null, reason: 'low_confidence' } : { ...base, index }
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

export function recordingLog(): { readonly lines: LogLine[]; readonly log: PublisherOptions['log'] } {
  const lines: LogLine[] = []
  const write =
    (level: LogLine['level']) =>
    (fields: Record<string, unknown>, message: string): void => {
      lines.push({ level, fields, message })
    }
  return { lines, log: { debug: write('debug'), info: write('info'), warn: write('warn') } as PublisherOptions['log'] }
}

/** A publisher that reconnects within milliseconds. */
export function quickPublisher(
  url: string,
  more: Partial<Omit<PublisherOptions, 'broker'>> & { readonly broker?: Partial<ConnectOptions> } = {},
): Publisher & { readonly lines: LogLine[] } {
  const { lines, log } = recordingLog()
  const { broker, ...rest } = more
  const publisher = createPublisher({
    node: 'dock1',
    cameras: ['cam0'],
    log,
    backoffMs: { first: 20, most: 200 },
    ...rest,
    broker: { url, willDelaySeconds: 0, ...broker },
  })
  return Object.assign(publisher, { lines })
}
