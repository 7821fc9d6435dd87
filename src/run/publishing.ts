/** The MQTT half of a node: what it announces, the outbox and the publisher, and where incoming messages go. */
import { systemClock } from '../clock.js'
import { outboxOptions } from '../config/outbox.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Logger } from '../log.js'
import { birthSubscription } from '../publish/announcement.js'
import type { EmbeddedBroker } from '../publish/broker.js'
import type { ClockSync } from '../publish/clock-sync.js'
import type { Incoming, Message } from '../publish/mqtt.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import { createPublisher, type Publisher } from '../publish/publisher.js'
import type { PublisherOptions } from '../publish/publisher-options.js'
import { openOutputs, type Outputs } from '../outputs/outputs.js'
import { createRequests, requestSubscriptions, type Requests } from '../publish/requests.js'
import type { Topics } from '../publish/topics.js'
import { commandTable, type Commands } from './commands.js'
import { connectionOf } from './connection.js'
import { placesIn, type ZonedCamera } from '../zone/definition.js'

/** Home Assistant subscribes to a new device's events within a second of its discovery. */
const holdEventsMs = 1500

/** The listeners of incoming messages. They are added after the publisher was created. */
export interface Inbox {
  readonly listeners: ((message: Incoming) => void)[]
}

export interface PublishingParts {
  readonly config: Config
  readonly cameras: readonly ZonedCamera[]
  readonly broker: EmbeddedBroker | null
  readonly topics: Topics
  readonly clockSync: ClockSync | null
  /** Retained messages that go first on every connection. */
  readonly announcement: readonly Message[]
  /** Takes what comes in; absent: nothing is subscribed to. */
  readonly inbox?: Inbox | undefined
  /** For a node that looks only once. */
  readonly once?: PublisherOptions['once']
  readonly log: Logger
}

/** Home Assistant's discovery prefix; null where the node is not announced. */
export function discoveryPrefix({ homeassistant, homeassistantPrefix }: Config): string | null {
  return homeassistant ? homeassistantPrefix : null
}

/** Opens the outbox and a publisher that owns it, and starts to connect. Rejects with CONFIG_INVALID. */
export async function openPublisher(parts: PublishingParts): Promise<Publisher> {
  const { config, cameras, broker, topics, clockSync, announcement, inbox, once, log } = parts
  const { mqtt, outbox: outboxConfig, node } = config
  const places = placesIn(cameras)
  const prefix = discoveryPrefix(config)
  const connection = broker ? { url: broker.url, protocol: '3.1.1' as const } : connectionOf(config)
  const isClockSynced = (): boolean => clockSync?.isSynced() ?? false
  const outbox =
    mqtt.broker === 'none'
      ? null
      : await openDurableOutbox({ ...outboxOptions(config), log, clock: systemClock, isClockSynced })
  try {
    const publisher = createPublisher({
      outbox: outbox ?? undefined,
      durableResults: outboxConfig.results,
      isClockSynced,
      first: announcement,
      holdEventsMs: prefix === null ? undefined : holdEventsMs,
      ...(inbox ? incoming(inbox, topics, places.cameras, config.groups, prefix) : {}),
      once,
      broker: connection,
      node,
      ...places,
      baseTopic: mqtt.base,
      stateEveryMs: mqtt.stateEveryMs,
      resultEveryMs: mqtt.resultEveryMs >= 0 ? mqtt.resultEveryMs : undefined,
      log,
    })
    const outputs = await openOutputs(config, isClockSynced, log)
    await publisher.start()
    return withOutputs(publisher, outputs)
  } catch (error) {
    await outbox?.close()
    throw error
  }
}

/** Events go to the outputs too, also where no broker is used. */
function withOutputs(publisher: Publisher, outputs: Outputs): Publisher {
  return {
    ...publisher,
    event(zone, type, decision, prediction) {
      publisher.event(zone, type, decision, prediction)
      outputs.event(zone, type, decision, prediction)
    },
    health(fields) {
      const figures = outputs.health()
      publisher.health(figures ? { ...fields, outputs: figures } : fields)
    },
    async close() {
      await Promise.all([publisher.close(), outputs.close()])
    },
  }
}

/** What to subscribe to, and where it goes. */
function incoming(
  inbox: Inbox,
  topics: Topics,
  cameras: readonly string[],
  groups: readonly string[],
  prefix: string | null,
) {
  return {
    subscriptions: [
      ...requestSubscriptions(topics, cameras, groups),
      ...(prefix === null ? [] : [birthSubscription(prefix)]),
    ],
    onMessage: (message: Incoming): void => {
      for (const listen of inbox.listeners) listen(message)
    },
  }
}

export interface RequestParts {
  readonly cameras: readonly CameraConfig[]
  readonly topics: Topics
  readonly groups: readonly string[]
  readonly commands: Commands
  readonly publisher: Publisher
  readonly log: Logger
}

/** The way of commands from MQTT to the one door for commands. */
export function openRequests({ cameras, topics, groups, commands, publisher, log }: RequestParts): Requests {
  return createRequests({
    topics,
    groups,
    cameras: cameras.map(({ id }) => id),
    commands: commandTable,
    execute: (command) => commands.execute(command, 'mqtt'),
    send: publisher.sendNow,
    log,
    clock: systemClock,
  })
}
