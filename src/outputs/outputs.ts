/**
 * Opens the outputs of the configuration, and tells all of them what happens: events go through an outbox of each output over
 * HTTP, states are kept for the servers.
 */
import { join } from 'node:path'
import { systemClock } from '../clock.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Decision, PolicyEvent } from '../decision/decision.js'
import type { Prediction } from '../decision/prediction.js'
import type { Logger } from '../log.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import type { OutboxEntry } from '../publish/outbox/outbox.js'
import { eventPayload } from '../publish/payloads.js'
import { entryFields } from './fields.js'
import { startHttpOutput, type HttpOutput, type HttpRequest } from './http.js'
import { httpOutputs } from './http-outputs.js'
import { openModbus } from './modbus/modbus.js'
import { openOpcua } from './opcua/opcua.js'
import type { OpenOutput, Switch } from './output.js'
import { createZoneStates, type ZoneStates } from './zone-states.js'

/** The functions with names of `Publisher` do for the outputs what they do there. None of them throws or waits. */
export interface Outputs {
  event(zone: string, type: PolicyEvent, decision: Decision, prediction: Prediction | null): void
  /** What the zones say, for servers. */
  readonly zones: ZoneStates
  /** From now on clients can switch zones, where the configuration lets them. */
  useSwitch(change: Switch): void
  /** For `R/health`: what each output does; null without outputs. */
  health(): Readonly<Record<string, unknown>> | null
  close(): Promise<void>
}

export interface OutputsOptions {
  readonly config: Config
  /** Keys of the zones. */
  readonly zones: readonly string[]
  readonly isClockSynced: () => boolean
  /** Whether to listen for clients too: `gapcam once` does not. */
  readonly hasServers: boolean
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
}

/** Opens them. Rejects with CONFIG_INVALID for a file that cannot be used now, and with PORT_IN_USE. */
export async function openOutputs(options: OutputsOptions): Promise<Outputs> {
  const { config, isClockSynced, hasServers, log } = options
  const zones = createZoneStates(config.node, options.zones)
  const opened: OpenOutput[] = []
  let change: Switch | null = null
  const setEnabled: Switch = async (place, value) => (await change?.(place, value)) ?? false
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((output) => output.close()))
  }
  try {
    for (const parts of httpOutputs(config, log)) opened.push(await openHttp(parts, options))
    if (hasServers && config.modbus.enabled) opened.push(await openModbus({ config, zones, setEnabled, log }))
    if (hasServers && config.opcua.enabled) opened.push(await openOpcua({ config, zones, log }))
  } catch (error) {
    await close()
    throw error
  }
  return {
    zones,
    event(zone, type, decision, prediction) {
      for (const { outbox } of opened)
        outbox?.add(zone, 'event', false, (seq) => {
          const { now, wall } = { now: systemClock.now(), wall: systemClock.wall() }
          const stamp = { wallMs: wall, boot: outbox.boot, seq, isClockSynced: isClockSynced() }
          return eventPayload(stamp, { decision, sinceWallMs: wall - (now - decision.sinceMs), prediction }, type)
        })
    },
    useSwitch(given) {
      change = given
    },
    health: () =>
      opened.length === 0 ? null : Object.fromEntries(opened.map((output) => [output.name, output.health()])),
    close,
  }
}

/** Opens the outbox of an output over HTTP and starts to deliver from it. */
async function openHttp(
  { name, timeoutS, faults, request }: ReturnType<typeof httpOutputs>[number],
  { config, isClockSynced, log }: OutputsOptions,
): Promise<OpenOutput> {
  const { maxMb, maxAgeH } = config.outbox
  const outbox = await openDurableOutbox({
    ...{ folder: join(stateDirectory(config), 'outputs', name), ack: 'puback', clock: systemClock },
    ...{ maxBytes: maxMb << 20, maxAgeMs: maxAgeH * 3_600_000, isClockSynced, log },
  })
  const fieldsOf = entryFields(config.node, outbox.boot, systemClock, isClockSynced)
  const requestOf = (entry: OutboxEntry): HttpRequest => request(fieldsOf(entry))
  const output: HttpOutput = startHttpOutput({ name, outbox, requestOf, timeoutMs: timeoutS * 1000, log })
  return {
    name,
    outbox,
    health() {
      const { queued, dropped } = outbox.stats()
      const { delivered, refused } = output
      return { queued, dropped, delivered, refused, template_faults: faults() }
    },
    close: () => output.close(),
  }
}
