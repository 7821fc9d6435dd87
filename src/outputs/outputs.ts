/** Opens the outputs of the configuration, each with an outbox of its own, and gives every event to all of them. */
import { join } from 'node:path'
import { systemClock } from '../clock.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Decision, PolicyEvent } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import type { Outbox, OutboxEntry } from '../publish/outbox/outbox.js'
import { eventPayload } from '../publish/payloads.js'
import { readSecret } from '../secrets.js'
import { entryFields, eventFieldNames } from './fields.js'
import { startHttpOutput, type HttpOutput, type HttpRequest } from './http.js'
import { acceptPoint, checkPointTemplate, influxRequest, pointOf, type LineEvent } from './influx.js'
import { openMapping } from './mapping.js'
import type { Fields } from './template.js'
import { webhookRequest } from './webhook.js'

export interface Outputs {
  /** An event of the policy, as `Publisher.event` has it. Never throws and never waits. */
  event(zone: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  /** For `R/health`: what waits, was delivered and was lost, of each output; null without outputs. */
  health(): Readonly<Record<string, unknown>> | null
  close(): Promise<void>
}

/** Opens them. Rejects with CONFIG_INVALID for a file of a secret or a template that cannot be used now. */
export async function openOutputs(
  config: Config,
  isClockSynced: () => boolean,
  log: Pick<Logger, 'info' | 'warn' | 'debug'>,
): Promise<Outputs> {
  const opened: Opened[] = []
  for (const { name, timeoutS, faults, request } of httpOutputs(config, log)) {
    const { maxMb, maxAgeH } = config.outbox
    const outbox = await openDurableOutbox({
      ...{ folder: join(stateDirectory(config), 'outputs', name), ack: 'puback', clock: systemClock },
      ...{ maxBytes: maxMb << 20, maxAgeMs: maxAgeH * 3_600_000, isClockSynced, log },
    })
    const fieldsOf = entryFields(config.node, outbox.boot, systemClock, isClockSynced)
    const requestOf = (entry: OutboxEntry): HttpRequest => request(fieldsOf(entry))
    const output = startHttpOutput({ name, outbox, requestOf, timeoutMs: timeoutS * 1000, log })
    opened.push({ name, outbox, output, faults })
  }
  return {
    event(zone, type, decision, prediction) {
      for (const { outbox } of opened)
        outbox.add(zone, 'event', false, (seq) => {
          const { now, wall } = { now: systemClock.now(), wall: systemClock.wall() }
          const stamp = { wallMs: wall, boot: outbox.boot, seq, isClockSynced: isClockSynced() }
          return eventPayload(stamp, { decision, sinceWallMs: wall - (now - decision.sinceMs), prediction }, type)
        })
    },
    health() {
      if (opened.length === 0) return null
      return Object.fromEntries(opened.map((one) => [one.name, healthOf(one)]))
    },
    async close() {
      await Promise.all(opened.map(({ output }) => output.close()))
    },
  }
}

interface Opened {
  readonly name: string
  readonly outbox: Outbox
  readonly output: HttpOutput
  readonly faults: () => number
}

function healthOf({ outbox, output, faults }: Opened): Readonly<Record<string, number>> {
  const { queued, dropped } = outbox.stats()
  const { delivered, refused } = output
  return { queued, dropped, delivered, refused, template_faults: faults() }
}

/** An output over HTTP as the configuration names it. */
interface HttpOutputParts {
  readonly name: string
  readonly timeoutS: number
  readonly faults: () => number
  readonly request: (fields: LineEvent & Fields) => HttpRequest
}

function httpOutputs({ webhook, influx }: Config, log: Pick<Logger, 'info' | 'warn'>): HttpOutputParts[] {
  const made: HttpOutputParts[] = []
  if (webhook.url !== '') {
    const secret = secretOf('webhook.secretFile', webhook.secretFile)
    const body = openMapping({
      ...{ key: 'webhook.templateFile', file: webhook.templateFile, names: eventFieldNames, log },
      accept: (value) => JSON.stringify(value),
      plain: (fields) => JSON.stringify(fields),
    })
    const request = (fields: LineEvent & Fields): HttpRequest =>
      webhookRequest(webhook.url, body(fields), {
        ...{ id: `${fields.boot}-${fields.seq}`, secret: secret(), wallMs: systemClock.wall() },
      })
    made.push({ name: 'webhook', timeoutS: webhook.timeoutS, faults: body.faults, request })
  }
  if (influx.url !== '') {
    const token = secretOf('influx.tokenFile', influx.tokenFile)
    const point = openMapping({
      ...{ key: 'influx.templateFile', file: influx.templateFile, names: eventFieldNames, log },
      ...{ check: checkPointTemplate, accept: acceptPoint, plain: (fields) => pointOf(fields as LineEvent & Fields) },
    })
    const request = (fields: LineEvent & Fields): HttpRequest =>
      influxRequest(influx, token(), point(fields), Date.parse(fields.ts))
    made.push({ name: 'influx', timeoutS: influx.timeoutS, faults: point.faults, request })
  }
  return made
}

/** Reads a secret's file now, so that a wrong one is an error at the start, and again each time it is asked for. */
function secretOf(key: string, file: string | undefined): () => string | undefined {
  const read = (): string | undefined => (file === undefined ? undefined : readFile(key, file))
  read()
  return read
}

function readFile(key: string, file: string): string {
  try {
    return readSecret(file)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `${key}: ${file} cannot be read: ${fileFaultOf(error)}`)
  }
}
