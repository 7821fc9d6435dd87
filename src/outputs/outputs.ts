/** Opens the outputs of the configuration, each with an outbox of its own, and gives every event to all of them. */
import { join } from 'node:path'
import { systemClock, type Clock } from '../clock.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Decision, PolicyEvent } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import type { Outbox, OutboxEntry } from '../publish/outbox/outbox.js'
import { eventPayload, gapPayload } from '../publish/payloads.js'
import { readSecret } from '../secrets.js'
import { startHttpOutput, type HttpOutput, type HttpRequest } from './http.js'
import { influxRequest, type LineEvent } from './influx.js'
import { webhookRequest } from './webhook.js'

export interface Outputs {
  /** An event of the policy, as `Publisher.event` has it. Never throws and never waits. */
  event(zone: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  close(): Promise<void>
}

type RequestOf = (fields: LineEvent & Readonly<Record<string, unknown>>) => HttpRequest

/** Opens them. Rejects with CONFIG_INVALID for a file of a secret that cannot be read now. */
export async function openOutputs(
  config: Config,
  isClockSynced: () => boolean,
  log: Pick<Logger, 'info' | 'warn' | 'debug'>,
): Promise<Outputs> {
  const { webhook, influx } = config
  const opened: { readonly outbox: Outbox; readonly output: HttpOutput }[] = []
  const open = async (name: string, timeoutS: number, requestOf: RequestOf): Promise<void> => {
    const { maxMb, maxAgeH } = config.outbox
    const outbox = await openDurableOutbox({
      ...{ folder: join(stateDirectory(config), 'outputs', name), ack: 'puback', clock: systemClock },
      ...{ maxBytes: maxMb << 20, maxAgeMs: maxAgeH * 3_600_000, isClockSynced, log },
    })
    const fieldsOf = entryFields(config.node, outbox.boot, systemClock, isClockSynced)
    const request = (entry: OutboxEntry): HttpRequest => requestOf(fieldsOf(entry))
    const output = startHttpOutput({ name, outbox, requestOf: request, timeoutMs: timeoutS * 1000, log })
    opened.push({ outbox, output })
  }
  const secretOf = (key: string, file: string | undefined): (() => string | undefined) => {
    const read = (): string | undefined => (file === undefined ? undefined : readFile(key, file))
    read()
    return read
  }
  if (webhook.url !== '') {
    const secret = secretOf('webhook.secretFile', webhook.secretFile)
    await open('webhook', webhook.timeoutS, (fields) =>
      webhookRequest(webhook.url, JSON.stringify(fields), {
        ...{ id: `${fields.boot}-${fields.seq}`, secret: secret(), wallMs: systemClock.wall() },
      }),
    )
  }
  if (influx.url !== '') {
    const token = secretOf('influx.tokenFile', influx.tokenFile)
    await open('influx', influx.timeoutS, (fields) => influxRequest(influx, token(), fields))
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
    async close() {
      await Promise.all(opened.map(({ output }) => output.close()))
    },
  }
}

/** The fields of an entry, with node and place: a receiver has no topic to read them from. */
function entryFields(node: string, boot: string, clock: Clock, isClockSynced: () => boolean) {
  return (entry: OutboxEntry): LineEvent & Readonly<Record<string, unknown>> => {
    const stamp = { wallMs: clock.wall(), boot, isClockSynced: isClockSynced() }
    const text = entry.kind === 'event' ? entry.payload : gapPayload(stamp, entry)
    return { node, place: entry.camera, ...(JSON.parse(text) as Omit<LineEvent, 'node' | 'place'>) }
  }
}

function readFile(key: string, file: string): string {
  try {
    return readSecret(file)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `${key}: ${file} cannot be read: ${fileFaultOf(error)}`)
  }
}
